//! Requests of one worker that want the same at the same time share one fetch, and none depends on another client.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Stage, request};
use crate::real::observe::assert_no_vm_died;
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::add_plain_cluster;
use metahub_testkit::http::connection::Connection;
use metahub_testkit::server::{Act, Answer, Gate, Server};
use metahub_testkit::wait_for;

const CLIENTS: usize = 12;
const LOGIN: &str = "qnib-type1";
const FEATURE: &str = "cpu:broadwell";

/// Waits until this many requests of clients are under way in Envoy.
fn wait_for_clients(stage: &Stage, count: u64) {
    let active = || stage.envoy.stat("http.clients.downstream_rq_active", "").ok();
    wait_for("the requests to arrive", Duration::from_secs(10), || active().filter(|active| *active == count)).unwrap();
}

/// Waits until only the requests at the gate are under way to upstream, thirty times in a row: then all clients have
/// made their earlier requests, and wait for the same answer.
fn wait_for_the_gate(stage: &Stage) {
    let stat = |name: &str| stage.envoy.stat(&format!("cluster.registry.upstream_rq_{name}"), "").ok();
    let mut calm = 0;
    wait_for("all to wait at the gate", Duration::from_secs(10), || {
        calm = if (stat("active"), stat("pending_active")) == (Some(1), Some(0)) { calm + 1 } else { 0 };
        (calm > 30).then_some(())
    })
    .unwrap();
}

/// All ask for a reference while something stands at the gate (of the registry, if `gated_upstream`); the client that
/// asked first goes away.
fn assert_shared(stage: &Stage, reference: &str, gate: &Gate, gated_upstream: bool) {
    let request = request("GET", reference, LOGIN, LOGIN);
    let begin = || {
        let mut connection = Connection::open(stage.envoy.port()).unwrap();
        connection.begin(&request).unwrap();
        connection
    };
    let first = begin();
    gate.reached();
    let others: Vec<Connection> = (1..CLIENTS).map(|_| begin()).collect();
    wait_for_clients(stage, CLIENTS as u64);
    drop(first);
    wait_for_clients(stage, CLIENTS as u64 - 1);
    if gated_upstream {
        wait_for_the_gate(stage);
    }
    gate.open();
    let image = &stage.bench.image(&[FEATURE]).manifest;
    for mut connection in others {
        let answer = connection.finish(&request).unwrap();
        assert_eq!((answer.status, &answer.body), (200, &image.bytes), "{}", answer.text());
    }
    assert_no_vm_died(&stage.envoy);
}

#[test]
fn one_fetch_serves_all_who_wait() {
    let digest = metahub_testkit::bench::Bench::build().digest(&[FEATURE]);
    // (The request, the document at the gate, and whether this also holds without a cache: digests pass through then.)
    for (reference, gated, always) in [("latest", "latest", true), ("latest", &digest, true), (&digest, &digest, false)]
    {
        for cache in [Value::Null, json!({ "bytes": 0 })].into_iter().filter(|cache| always || cache.is_null()) {
            let stage = Stage::set(cache.clone(), |stage| stage.concurrency(1));
            let gate = Gate::default();
            stage.change(|state| state.gate = Some((gated.to_owned(), gate.clone())));
            assert_shared(&stage, reference, &gate, true);
            // A client that comes after the tag's answer may have to ask for the tag again, with HEAD if the cache is
            // on.
            let gets = stage.asked().into_iter().filter(|asked| *asked == format!("GET {gated}")).count();
            assert_eq!(gets, 1, "{reference} while {gated} waits, {cache}");
        }
    }
}

/// With any number of waiting clients, the document that they waited for is kept once.
#[test]
fn what_all_waited_for_takes_one_place() {
    let stage = Stage::set(Value::Null, |stage| stage.concurrency(1));
    let gate = Gate::default();
    stage.change(|state| state.gate = Some(("latest".to_owned(), gate.clone())));
    assert_shared(&stage, "latest", &gate, true);
    let list = stage.bench.list.bytes.len() as u64;
    let image = stage.bench.image(&[FEATURE]).manifest.bytes.len() as u64;
    let kept = stage.metric("cache_bytes");
    assert!(kept > list + image && kept < 2 * (list + image) + 2_000, "{kept} for {list} + {image}");
}

#[test]
fn one_token_serves_all_who_wait() {
    let gate = Gate::default();
    let theirs = gate.clone();
    let service = Server::start(move |_| {
        let token = Answer::document("application/json", r#"{"token":"t0ken","expires_in":300}"#);
        vec![Act::Wait(theirs.clone()), Act::Send(token.bytes())]
    })
    .unwrap();
    let port = service.port();
    let stage = Stage::set(Value::Null, |stage| {
        let config = move |config: &mut Value| {
            let realm = format!("http://127.0.0.1:{port}/token");
            let registry = config.at_mut("registries.registry");
            registry.add("credentials", json!({ "username": "metahub", "password": "secret" }));
            registry.add("token_service", json!({ "cluster": "tokens", "realm": realm, "service": "test" }));
        };
        stage.concurrency(1).config(config).bootstrap(move |bootstrap| add_plain_cluster(bootstrap, "tokens", port))
    });
    assert_shared(&stage, "latest", &gate, false);
    assert_eq!(service.received("/token").len(), 1, "one token for all");
    let received = stage.registry.as_ref().unwrap().received(REPOSITORY);
    assert_eq!(received.len(), 2, "{received:?}");
    assert!(received.iter().all(|request| request.header("authorization") == Some("Bearer t0ken")));
}
