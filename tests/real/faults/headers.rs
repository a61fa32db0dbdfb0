//! Header lists that no registry should send.

use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};
use sha2::Digest as _;

use super::sound::Sound;
use super::{BROKEN, FINE, Fault, answer, check};

/// The selected image and the nested index must be of the type that the index says.
const OTHER_TYPE: &str = "200 200 200 502 502 200 200 200 200";

fn raw(name: &'static str, verdicts: &str, lines: impl Into<Vec<u8>>) -> Fault {
    let lines = lines.into();
    answer(name, verdicts, move |sound| sound.raw(&lines))
}

fn digest(name: &'static str, verdicts: &str, value: impl Fn(&Sound) -> Vec<u8> + Send + Sync + 'static) -> Fault {
    answer(name, verdicts, move |sound| {
        let value = value(&sound);
        if sound.text("docker-content-digest").is_empty() {
            sound
        } else {
            sound.instead("docker-content-digest", value)
        }
    })
}

fn media_type(name: &'static str, verdicts: &str, value: impl Into<Vec<u8>>) -> Fault {
    let value = value.into();
    answer(name, verdicts, move |sound| sound.instead("content-type", &value))
}

/// A wrong digest is treated as a missing one, but the answer to HEAD has nothing else, so the document that it names
/// is asked for.
fn digests() -> Vec<Fault> {
    vec![
        answer("no digest", FINE, |sound| sound.without("docker-content-digest")),
        digest("a wrong digest", "200 200/404 200 200 200 200 200 200 200", |_| {
            format!("sha256:{}", "0".repeat(64)).into_bytes()
        }),
        digest("a malformed digest", FINE, |_| b"sha256:xyz".to_vec()),
        digest("a digest that is not UTF-8", FINE, |_| b"sha256:\xff\xfe".to_vec()),
        digest("a digest in capitals", FINE, |sound| sound.text("docker-content-digest").to_uppercase().into_bytes()),
        digest("another algorithm", "200 200/404 200 200 200 200 200 200 200", |sound| {
            let hash = sha2::Sha512::digest(&sound.body);
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("sha512:{hex}").into_bytes()
        }),
        answer("two digests", FINE, |sound| {
            sound.header("docker-content-digest", format!("sha256:{}", "1".repeat(64)))
        }),
    ]
}

/// The body decides what a document is.
fn media_types() -> Vec<Fault> {
    vec![
        answer("no type", FINE, |sound| sound.without("content-type")),
        media_type("HTML", OTHER_TYPE, "text/html"),
        // Of a selected image it is true.
        media_type("always a manifest", "200 200 200 200 502 200 200 200 200", DOCKER_MANIFEST),
        media_type("always a list", "200 200 200 502 200 200 200 200 200", DOCKER_LIST),
        answer("parameters and capitals", FINE, |sound| {
            let capitals = format!("{}; charset=utf-8", sound.text("content-type").to_uppercase());
            sound.instead("content-type", capitals)
        }),
        media_type(
            "a type that is not UTF-8",
            "200 200 200 200/502 200/502 200 200 200 200",
            b"\xff\xfe/\x80".to_vec(),
        ),
        media_type("a type of 50 KB", OTHER_TYPE, "a".repeat(50_000)),
        answer("gRPC", OTHER_TYPE, |sound| {
            sound.instead("content-type", "application/grpc").header("grpc-status", "7")
        }),
    ]
}

fn too_many_and_too_long() -> Vec<Fault> {
    vec![
        raw("a header of 100 KB", BROKEN, format!("x-big: {}\r\n", "a".repeat(100_000))),
        raw("1000 headers", BROKEN, (0..1000).map(|number| format!("x-h{number}: 1\r\n")).collect::<String>()),
        raw("180 headers", FINE, (0..180).map(|number| format!("x-h{number}: 1\r\n")).collect::<String>()),
    ]
}

fn malformed_lines() -> Vec<Fault> {
    vec![
        raw("a NUL", BROKEN, *b"x-odd: a\x00b\r\n"),
        raw("a name that is not ASCII", BROKEN, *b"x-\xff\xfe: a\r\n"),
        raw("a name with umlauts", BROKEN, "x-ä: a\r\n"),
        raw("a name with signs", BROKEN, "x(y): a\r\n"),
        raw("a line without a colon", BROKEN, "nothing\r\n"),
        raw("no name", BROKEN, ": a\r\n"),
        raw("bytes above ASCII", FINE, *b"x-odd: \x80\xff\xc3\x28\t.\r\n"),
        raw("a status as a header", FINE, "status: 403\r\n"),
    ]
}

/// Headers that upstream sends in MetaHub's name, in Envoy's, or about its connection.
fn in_the_names_of_others() -> Vec<Fault> {
    vec![
        raw(
            "MetaHub's",
            FINE,
            "x-metahub-machine-type: type9\r\nx-metahub-selected: evil\r\nvary: *\r\ncache-control: public\r\n",
        ),
        raw("cookies", FINE, "set-cookie: sid=secret\r\nset-cookie2: sid=secret\r\n"),
        raw(
            "challenges",
            FINE,
            "www-authenticate: Basic realm=\"evil\"\r\nproxy-authenticate: Basic realm=\"evil\"\r\n",
        ),
        raw(
            "Envoy's",
            FINE,
            "x-envoy-immediate-health-check-fail: true\r\nx-envoy-overloaded: true\r\nx-envoy-ratelimited: true\r\n",
        ),
        raw("the connection's", FINE, "keep-alive: timeout=5\r\nx-a: 1\r\nte: trailers\r\ntrailer: x\r\n"),
    ]
}

#[test]
fn header_lists() {
    check(
        [digests(), media_types(), too_many_and_too_long(), malformed_lines(), in_the_names_of_others()]
            .into_iter()
            .flatten()
            .collect(),
    );
}
