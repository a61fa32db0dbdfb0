//! The registry that misbehaves: the first part of a repository's name says how.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};

use metahub_testkit::bench::Bench;
use metahub_testkit::server::{Act, Answer, Received};

/// How long what is held back is held back.
const HELD: Duration = Duration::from_millis(1500);
const MIB: usize = 1024 * 1024;

/// The acts of the misbehaving registry.
pub(crate) fn serve(request: &Received, bench: &Arc<Bench>) -> Vec<Act> {
    let path = request.path.split('?').next().unwrap_or_default();
    let fault = path.strip_prefix("/v2/").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let reference = path.rsplit('/').next().unwrap_or_default();
    let image = bench.images.iter().map(|image| &image.manifest).find(|manifest| manifest.digest() == reference);
    let is_tag = reference == "latest";
    let acts = match fault {
        _ if path.contains("/blobs/") => blob(fault),
        "large" => vec![Act::Send(LARGE.clone())],
        _ if is_tag => tag(fault, bench),
        _ => match image {
            Some(manifest) => child(fault, &manifest.bytes),
            None if reference == bench.list.digest() => index(bench).acts(),
            None => error(404).acts(),
        },
    };
    if request.method == "HEAD" { acts.into_iter().map(head_of).collect() } else { acts }
}

fn document(media_type: &str, body: &[u8]) -> Answer {
    Answer::document(media_type, body).header("docker-content-digest", &Digest::of(body).to_string())
}

fn index(bench: &Bench) -> Answer {
    document(DOCKER_LIST, &bench.list.bytes)
}

fn error(status: u16) -> Answer {
    let body = r#"{"errors":[{"code":"UNKNOWN","message":"by request"}]}"#;
    Answer::new(status).header("content-type", "application/json").header("retry-after", "1").body(body)
}

/// A manifest that is too large for an answer of MetaHub's own. Made once: to hash it for each client would take longer
/// than all else.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut body = Bench::build().images[0].manifest.bytes.clone();
    body.resize(2 * MIB, b' ');
    document(DOCKER_MANIFEST, &body).bytes()
});
static PIECE: LazyLock<Arc<[u8]>> = LazyLock::new(|| vec![b'b'; MIB].into());

fn blob(fault: &str) -> Vec<Act> {
    let piece = &*PIECE;
    let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", 16 * MIB).into_bytes();
    let mut acts = match fault {
        "held" => vec![Act::Pause(HELD), Act::Send(head)],
        "half" => vec![Act::Send(head), Act::SendShared(Arc::clone(piece)), Act::Pause(HELD)],
        _ => vec![Act::Send(head)],
    };
    let pieces = if fault == "half" { 15 } else { 16 };
    acts.extend((0..pieces).map(|_| Act::SendShared(Arc::clone(piece))));
    acts
}

/// The acts for a request for a tag.
fn tag(fault: &str, bench: &Bench) -> Vec<Act> {
    if let Some(status) = fault.strip_prefix("status").and_then(|digits| digits.parse().ok()) {
        return error(status).header("location", "http://evil.test/").acts();
    }
    let sound = index(bench);
    match fault {
        "close" => vec![Act::Close],
        "reset" => vec![Act::Reset],
        "truncated" => sound.interrupted(100, Act::Close),
        "held" => vec![Act::Pause(HELD), Act::Send(sound.bytes())],
        "half" => sound.interrupted(100, Act::Pause(HELD)),
        "drip" => {
            let bytes = sound.bytes();
            let pieces = bytes.chunks(bytes.len() / 8);
            pieces.flat_map(|piece| [Act::Send(piece.to_vec()), Act::Pause(Duration::from_millis(50))]).collect()
        }
        "oversized" => Answer::document(DOCKER_LIST, vec![b' '; 5 * MIB]).acts(),
        "garbage" => Answer::document(DOCKER_LIST, "[{\"manifests\":").acts(),
        "gzip" => index(bench).header("content-encoding", "gzip").acts(),
        "lyingtype" => document(DOCKER_MANIFEST, &bench.list.bytes).acts(),
        "lyingdigest" => Answer::document(DOCKER_LIST, bench.list.bytes.clone())
            .header("docker-content-digest", &Digest::of(b"another").to_string())
            .acts(),
        _ => sound.acts(),
    }
}

/// The acts for a request for an image.
fn child(fault: &str, bytes: &[u8]) -> Vec<Act> {
    let sound = document(DOCKER_MANIFEST, bytes);
    match fault {
        "truncatedchild" => sound.interrupted(100, Act::Close),
        "heldchild" => vec![Act::Pause(HELD), Act::Send(sound.bytes())],
        "wrongchild" => {
            let other: Vec<u8> = bytes.iter().map(|byte| if *byte == b'1' { b'2' } else { *byte }).collect();
            Answer::document(DOCKER_MANIFEST, other).acts()
        }
        _ => sound.acts(),
    }
}

/// An answer to HEAD ends where its body would begin.
fn head_of(act: Act) -> Act {
    let Act::Send(mut bytes) = act else { return act };
    if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        bytes.truncate(end + 4);
    }
    Act::Send(bytes)
}
