//! An upstream that is down, slow, or breaks off.

use std::collections::BTreeMap;
use std::time::Duration;

use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};

use super::rows::{FEATURES, LOGIN, Row, Stage, manifest, sound_index};
use crate::real::observe::{PROTOCOLS, Watch, assert_error, assert_no_vm_died};
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::http::connection::Connection;
use metahub_testkit::server::{Act, Answer, Gate, Server};
use metahub_testkit::stage::stage;
use metahub_testkit::wait_for;

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

#[test]
fn broken_before_the_answer() {
    let rows = [
        row("reset", vec![Act::Reset], &["is not available (503)", "try again later"]),
        row("closed", vec![Act::Send(Vec::new()), Act::Reset], &["is not available (503)"]),
        row("garbage", vec![Act::Send(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()), Act::Reset], &["is not available (502)"]),
        row("half-headers", vec![Act::Send(b"HTTP/1.1 200 OK\r\ncont".to_vec()), Act::Reset], &["not available (50"]),
        child("child-reset", vec![Act::Reset], &["answered 503 for sha256:", "try again later"]),
        child("child-garbage", vec![Act::Send(b"?\r\n\r\n".to_vec()), Act::Reset], &["for sha256:"]),
        child("child-breaks-off", image().interrupted(50, Act::Reset), &["broke off", "sha256:"]),
        child("child-breaks-off-chunked", image().chunked().interrupted(50, Act::Reset), &["broke off", "sha256:"]),
    ];
    Stage::set(&rows).check(&rows);
}

#[test]
fn broken_in_the_middle_of_the_index() {
    let rows = [
        row("breaks-off", list().interrupted(50, Act::Reset), &["broke off", "try again later"]),
        row("breaks-off-chunked", list().chunked().interrupted(50, Act::Reset), &["broke off", "try again later"]),
    ];
    Stage::set(&rows).check(&rows);
}

/// A client that goes away does not count as a fault, and affects no other client.
#[test]
fn clients_that_go_away() {
    let (index, image_gate) = (Gate::default(), Gate::default());
    let rows = [
        row("index", list().interrupted(50, Act::Wait(index.clone())), &[]),
        child("child", image().interrupted(50, Act::Wait(image_gate.clone())), &[]),
    ];
    let stage = Stage::set(&rows);
    let watch = Watch::begin(&stage.envoy);
    for (row, gate) in rows.iter().zip([index, image_gate]) {
        let mut connection = Connection::open(stage.envoy.port()).unwrap();
        connection.begin(&manifest(&format!("fault/{}", row.name)).login(LOGIN, LOGIN)).unwrap();
        gate.reached();
        drop(connection);
        wait_for("Envoy to notice", Duration::from_secs(5), || {
            let gone = stage.envoy.stat("http.clients.downstream_rq_rx_reset", "").unwrap()
                + stage.envoy.stat("http.clients.downstream_cx_destroy_remote_active_rq", "").unwrap();
            (gone > 0).then_some(())
        })
        .unwrap();
        gate.open();
        stage.assert_serves(row.name);
    }
    assert_eq!(watch.lines(0), Vec::<String>::new());
    assert_eq!(watch.counted(), BTreeMap::from([("selected".to_owned(), 2)]));
    assert_no_vm_died(&stage.envoy);
}

/// The limit on a callout is the filter's own, 15 seconds: clients wait for 30 and more.
#[test]
fn answers_that_never_come() {
    let broke_off = &["broke off while sending sha256:", "try again later"];
    let rows = [
        row("slow", vec![Act::Hang], &["is not available (504)"]),
        row("stalls", list().interrupted(50, Act::Hang), &["broke off", "try again later"]),
        child("child-slow", image().interrupted(50, Act::Hang), broke_off),
    ];
    let stage = Stage::set(&rows);
    stage.check_at_once(&rows);
    assert_no_vm_died(&stage.envoy);
}

/// The same address, first without a server, then with a registry, then without one again.
#[test]
fn an_upstream_that_goes_and_comes_back() {
    let port = metahub_testkit::port::free();
    let stage = stage().port(port).start().unwrap();
    let envoy = &stage.envoy;
    let request = manifest(REPOSITORY).login(LOGIN, LOGIN);
    let assert_down = |what: &str| {
        for protocol in PROTOCOLS {
            let watch = Watch::begin(envoy);
            let answer = protocol.send(envoy, &request).unwrap();
            let says = ["qnib/bench:latest", "not available (503)", "try again later"];
            assert_error(&answer, 503, "UNAVAILABLE", &says, true, what);
            let lines = watch.lines(1);
            assert!(matches!(lines.as_slice(), [line] if line.contains("503 qnib/bench:latest")), "{what}: {lines:#?}");
        }
    };
    assert_down("before");
    let upstream = Server::start_on(port, super::rows::broken(&[])).unwrap();
    assert_eq!(envoy.send(&request).unwrap().body, stage.bench.image(FEATURES).manifest.bytes);
    drop(upstream);
    assert_down("after");
    assert_no_vm_died(envoy);
}
