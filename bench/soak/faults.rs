//! The registry that misbehaves, and the one that ends.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};

use crate::stage::{FAULTY, Stage, as_machine, unexpected};
use metahub_testkit::bench::Bench;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::server::{Act, Answer, Received};
use metahub_testkit::{Failure, Result, wait_for};

/// How long what is held back is held back.
const HELD: Duration = Duration::from_millis(1500);
/// How soon after its start a registry is used again.
const RECOVERY: Duration = Duration::from_secs(20);
const MIB: usize = 1024 * 1024;

/// Each fault's name, which is the first part of its repositories' names, and the statuses that clients may see.
const FAULTS: [(&str, &[u16]); 20] = [
    ("sound", &[200]),
    ("status302", &[502]),
    ("status403", &[403]),
    ("status404", &[404]),
    ("status418", &[418]),
    ("status429", &[429]),
    ("status500", &[503]),
    ("status503", &[503]),
    ("close", &[503]),
    ("reset", &[503]),
    ("truncated", &[503]),
    ("truncatedchild", &[503]),
    ("held", &[200]),
    ("drip", &[200]),
    ("oversized", &[502]),
    ("garbage", &[502]),
    ("gzip", &[502]),
    ("lyingtype", &[200]),
    ("lyingdigest", &[200, 502]),
    ("wrongchild", &[502]),
];

/// Meets all faults twice each at the same time; what is known of a repository must not make the second one wrong.
pub(crate) fn meet(round: usize, stage: &Stage) -> Result<()> {
    let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = FAULTS
            .iter()
            .map(|(fault, statuses)| {
                scope.spawn(move || {
                    meet_one(round, stage, fault, statuses)?;
                    meet_one(round, stage, fault, statuses)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    let failures: Vec<String> =
        outcomes.into_iter().filter_map(Result::err).map(|failure| failure.to_string()).collect();
    if failures.is_empty() { Ok(()) } else { Err(Failure::new(failures.join("; "))) }
}

fn meet_one(round: usize, stage: &Stage, fault: &str, statuses: &[u16]) -> Result<()> {
    let path = format!("/v2/{fault}/r{round}/manifests/latest");
    let machine = round % 3;
    let answer = as_machine(Request::get(&path).header("host", FAULTY), machine).send(stage.envoy.port())?;
    if !statuses.contains(&answer.status) {
        return Err(unexpected(&format!("{fault}, which may be {statuses:?}"), &answer));
    }
    if answer.status == 200 { stage.is_right(machine, &answer) } else { is_registry_error(fault, &answer) }
}

fn is_registry_error(fault: &str, answer: &Response) -> Result<()> {
    let code = answer.json()["errors"][0]["code"].is_string();
    if code || answer.status == 418 { Ok(()) } else { Err(unexpected(&format!("{fault}: no registry error"), answer)) }
}

/// The registry ends: what is known is not served without its word. It starts again: so are pulls.
pub(crate) fn outage(round: usize, stage: &mut Stage) -> Result<()> {
    let machine = round % 3;
    stage.pull(machine, "latest")?;
    stage.registry_mut().stop();
    let answer = stage.envoy.send(&as_machine(Request::get(&crate::stage::manifest("latest")), machine))?;
    if answer.status != 503 {
        return Err(unexpected("without its registry", &answer));
    }
    stage.registry_mut().start_again()?;
    let began = Instant::now();
    wait_for("a pull after the outage", RECOVERY, || stage.pull(machine, "latest").ok())?;
    eprintln!("the first pull {:?} after the registry's start", began.elapsed());
    Ok(())
}

/// What the misbehaving registry does.
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

/// What happens when a tag is asked for.
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

/// What happens when an image is asked for.
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
