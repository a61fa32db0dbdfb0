//! An upstream that is down, slow, or breaks off.

use std::time::Duration;

use metahub::media_type::{DOCKER_LIST, DOCKER_MANIFEST};

use super::rows::{FEATURES, LOGIN, Row, Stage, manifest, sound_index};
use crate::real::observe::{PROTOCOLS, Watch, assert_error, assert_no_vm_died};
use crate::support::bench::{Bench, REPOSITORY};
use crate::support::envoy::{Envoy, replace};
use crate::support::http::Request;
use crate::support::mock_registry::{Act, Answer, MockRegistry};
use crate::support::wait_for;

fn row(name: &'static str, index: Vec<Act>, says: &'static [&'static str]) -> Row {
    Row { name, index, child: None, status: 503, code: "UNAVAILABLE", says, counter: "upstream_failed" }
}

fn child(name: &'static str, child: Vec<Act>, says: &'static [&'static str]) -> Row {
    Row { child: Some(child), ..row(name, sound_index(), says) }
}

fn image() -> Answer {
    Answer::document(DOCKER_MANIFEST, Bench::build().image(FEATURES).manifest.bytes.clone())
}

fn list() -> Answer {
    Answer::document(DOCKER_LIST, Bench::build().list.bytes)
}

/// Shortens the route's time limit, so that a slow upstream is noticed at once.
fn impatient(bootstrap: String) -> String {
    replace(&bootstrap, "route: { cluster: registry, timeout: 60s }", "route: { cluster: registry, timeout: 0.3s }", 1)
}

#[test]
fn broken_before_the_answer() {
    let rows = [
        row("reset", vec![Act::Reset], &["is not available (503)", "try again later"]),
        row("closed", vec![Act::Send(Vec::new()), Act::Reset], &["is not available (503)"]),
        row("garbage", vec![Act::Send(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), Act::Reset], &["is not available (502)"]),
        row("half-headers", vec![Act::Send(b"HTTP/1.1 200 OK\r\ncont".to_vec()), Act::Reset], &["not available (50"]),
        row("slow", vec![Act::Hang], &["is not available (504)"]),
        child("child-reset", vec![Act::Reset], &["answered 503 for sha256:", "try again later"]),
        child("child-garbage", vec![Act::Send(b"?\r\n\r\n".to_vec()), Act::Reset], &["for sha256:"]),
        child("child-breaks-off", image().interrupted(50, Act::Reset), &["broke off", "sha256:"]),
        child("child-breaks-off-chunked", image().chunked().interrupted(50, Act::Reset), &["broke off", "sha256:"]),
    ];
    Stage::set_with(&rows, impatient).check(&rows);
}

/// Envoy has told the router that the answer began, so all that is left is to break off as well: the client sees a
/// failed transfer and no image. The operator sees one line.
#[test]
fn broken_in_the_middle_of_the_index() {
    let breaking = [
        row("breaks-off", list().interrupted(50, Act::Reset), &[]),
        row("breaks-off-chunked", list().chunked().interrupted(50, Act::Reset), &[]),
        row("stalls", list().interrupted(50, Act::Hang), &[]),
    ];
    let stage = Stage::set_with(&breaking, impatient);
    for row in &breaking {
        for protocol in PROTOCOLS {
            let watch = Watch::begin(&stage.envoy);
            let request = manifest(&format!("fault/{}", row.name)).login(LOGIN, LOGIN);
            let answer = protocol.send(&stage.envoy, &request);
            eprintln!("{} {protocol:?}: {:?}", row.name, answer.map(|answer| (answer.status, answer.text())));
            eprintln!("{:?} {:?}", watch.lines(1), watch.counted());
        }
    }
    panic!("look");
}
