//! How long an upstream's confirmation is believed, and the answers of clients while it does not answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::Stage;
use crate::real::observe::{assert_no_vm_died, counters, fault_lines};
use metahub_testkit::wait_for;

const BROADWELL: &str = "cpu:broadwell";

fn assert_unavailable(stage: &Stage, reference: &str, login: &str) {
    let answer = stage.ask("GET", reference, login);
    assert_eq!(answer.status, 503, "{reference}: {}", answer.text());
    assert_eq!(answer.json()["errors"][0]["code"], "UNAVAILABLE");
    assert_eq!(stage.ask("HEAD", reference, login).status, 503, "{reference}");
}

/// Until Envoy has a connection to the upstream again.
fn wait_until_back(stage: &Stage) {
    let served = || (stage.ask("GET", "latest", "qnib-type1").status == 200).then_some(());
    wait_for("the upstream to be used again", Duration::from_secs(10), served).unwrap();
}

#[test]
fn within_the_ttl_upstream_is_not_asked_and_may_be_down() {
    let mut stage = Stage::with(json!({ "tag_ttl": "1h" }));
    stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
    let _ = stage.asked();
    let moved = stage.bench.image(&["cpu:skylake"]).manifest.clone();
    stage.change(|state| drop(state.documents.insert("latest".to_owned(), moved)));
    for _ in 0..4 {
        stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
        stage.assert_gets("HEAD", "latest", "qnib-type1", BROADWELL);
    }
    assert_eq!(stage.asked(), Vec::<String>::new());
    stage.stop_upstream();
    for _ in 0..4 {
        stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
        stage.assert_gets("HEAD", "latest", "qnib-type1", BROADWELL);
    }
    // Upstream has confirmed nothing for these requests: the login of another machine type, and a digest that no client
    // asked for by itself.
    assert_unavailable(&stage, "latest", "qnib-type2");
    assert_unavailable(&stage, &stage.bench.digest(&[BROADWELL]), "qnib-type1");
    assert_eq!(stage.ask("GET", "latest", "qnib-typo").status, 401);
    assert_eq!(counters(&stage.envoy).get("served_stale"), None, "within the ttl nothing is stale");
}

#[test]
fn a_ttl_ends() {
    let stage = Stage::with(json!({ "tag_ttl": "1s" }));
    stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
    let _ = stage.asked();
    let asked = || {
        stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
        stage.asked().first().cloned()
    };
    assert_eq!(wait_for("the ttl to end", Duration::from_secs(5), asked).unwrap(), "HEAD latest");
}

#[test]
fn what_was_known_stands_in_while_upstream_is_down() {
    let mut stage = Stage::with(json!({ "serve_stale_on_error": "1h" }));
    stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
    stage.stop_upstream();
    for _ in 0..3 {
        stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
        stage.assert_gets("HEAD", "latest", "qnib-type1", BROADWELL);
    }
    assert_eq!(stage.metric("served_stale"), 6);
    let said: Vec<String> = fault_lines(&stage.envoy);
    assert_eq!(said.len(), 1, "once an hour: {said:?}");
    assert!(said[0].contains("answered with the last known manifest: qnib/bench:latest"), "{said:?}");
    assert_unavailable(&stage, "latest", "qnib-type2");

    let moved = stage.bench.image(&["cpu:skylake"]).manifest.clone();
    stage.change(|state| drop(state.documents.insert("latest".to_owned(), moved)));
    stage.start_upstream();
    wait_for("the upstream's new word", Duration::from_secs(10), || {
        let answer = stage.ask("GET", "latest", "qnib-type1");
        assert_eq!(answer.status, 200, "never without an answer");
        (answer.body == stage.bench.image(&["cpu:skylake"]).manifest.bytes).then_some(())
    })
    .unwrap();
}

#[test]
fn an_upstream_killed_under_load_is_503_and_recovers() {
    let mut stage = Stage::with(Value::Null);
    stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
    let (stop, port) = (AtomicBool::new(false), stage.envoy.port());
    let digest = stage.bench.digest(&[BROADWELL]);
    std::thread::scope(|scope| {
        let load = |reference: String| {
            let stop = &stop;
            move || {
                let request = super::request("GET", &reference, "qnib-type1", "qnib-type1");
                let mut statuses = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = request.send(port).unwrap();
                    let unavailable = answer.status == 503 && answer.text().contains("\"UNAVAILABLE\"");
                    assert!(answer.status == 200 || unavailable, "{} {}", answer.status, answer.text());
                    statuses.push(answer.status);
                }
                statuses
            }
        };
        let clients = ["latest", &digest].map(|reference| scope.spawn(load(reference.to_owned())));
        for _ in 0..3 {
            stage.stop_upstream();
            wait_for("503", Duration::from_secs(10), || {
                (stage.ask("GET", "latest", "qnib-type1").status == 503).then_some(())
            })
            .unwrap();
            assert_unavailable(&stage, "latest", "qnib-type1");
            assert_unavailable(&stage, &digest, "qnib-type1");
            stage.start_upstream();
            wait_until_back(&stage);
        }
        stop.store(true, Ordering::Relaxed);
        for statuses in clients.map(|client| client.join().unwrap()) {
            assert!(statuses.contains(&200) && statuses.contains(&503), "{} answers", statuses.len());
        }
    });
    stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
    assert_no_vm_died(&stage.envoy);
}
