//! Events for a build pipeline: Envoy posts them to a receiver that works, fails, and comes back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::add_plain_cluster;
use metahub_testkit::http::Request;
use metahub_testkit::server::{Answer, Received, Server};
use metahub_testkit::stage::{Stage, stage};
use metahub_testkit::temp::TempDir;
use metahub_testkit::{port, wait_for};
use serde_json::{Value, json};

use super::observe::{assert_unharmed, counters, fault_lines};
use crate::native::build_hook::Receiver;

const PATIENCE: Duration = Duration::from_secs(30);

/// MetaHub before the demo's registry, with a machine that is newer than all variants of the demo's image, and a
/// receiver on this port.
fn set(port: u16) -> Stage {
    let stage = stage().bootstrap(move |bootstrap| add_plain_cluster(bootstrap, "builds", port));
    let stage = stage.config(move |config| {
        config.set("machine_types.type2.features.0", "cpu:icelake");
        let host = format!("127.0.0.1:{port}");
        let header = "METAHUB_EVENTS_HEADER";
        config.add("events", json!({ "cluster": "builds", "host": host, "path": "/events", "header_env": header }));
    });
    stage
        .envoy(|envoy| envoy.filter_environment("METAHUB_EVENTS_HEADER", "Authorization: Bearer hunter2"))
        .start()
        .unwrap()
}

/// Pulls the image often, on connections that both workers share; each pull must succeed.
fn pull(stage: &Stage, times: u32) {
    let request = Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login("qnib-type2", "qnib-type2");
    for _ in 0..times {
        assert_eq!(stage.send(&request).status, 200);
    }
}

fn counted(stage: &Stage, name: &str) -> u64 {
    counters(&stage.envoy).get(name).copied().unwrap_or_default()
}

/// The events that a server got, each as often as it came.
fn events(server: &Server) -> Vec<Value> {
    let posts = server.received("/events");
    let lines = posts.iter().flat_map(|post| {
        assert_eq!((post.method.as_str(), post.header("authorization")), ("POST", Some("Bearer hunter2")));
        assert_eq!(post.header("content-type"), Some("application/x-ndjson"));
        String::from_utf8(post.body.clone()).unwrap().lines().map(str::to_owned).collect::<Vec<String>>()
    });
    lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
}

/// The receiver of `examples/build-hook/` gets the one event, and makes an item of it.
#[test]
fn many_pulls_are_one_event() {
    let (directory, port) = (TempDir::new("events").unwrap(), port::free());
    let receiver = Receiver::start(directory.path(), port, &[]);
    let stage = set(port);
    pull(&stage, 60);
    let matrix = wait_for("the event", PATIENCE, || Some(receiver.matrix()).filter(|matrix| !matrix.is_empty()));
    let matrix = matrix.unwrap();
    pull(&stage, 60);
    // Two more ticks of each worker.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(counted(&stage, "events_sent"), 1);
    assert_eq!((counted(&stage, "missing_variant"), receiver.matrix().len()), (120, 1));
    let item = &matrix[0];
    let shown = ["reason", "tag", "platform", "machine_type", "missing"].map(|key| item[key].as_str().unwrap());
    assert_eq!(shown, ["missing_variant", "latest", "linux/amd64/v4", "type2", "cpu:icelake"]);
    assert!(item["image"].as_str().unwrap().ends_with(&format!("/{REPOSITORY}")), "{item}");
    assert_unharmed(&stage.envoy);
    assert!(!stage.envoy.log().contains("hunter2"), "the header is not logged");
}

#[test]
fn a_receiver_that_is_down_gets_its_event_when_it_is_back() {
    let port = port::free();
    let stage = set(port);
    pull(&stage, 1);
    wait_for("a post that failed", PATIENCE, || (counted(&stage, "events_failed") > 0).then_some(())).unwrap();
    let begin = Instant::now();
    pull(&stage, 100);
    assert!(begin.elapsed() < Duration::from_secs(10), "pulls waited: {:?}", begin.elapsed());
    let lines: Vec<String> = fault_lines(&stage.envoy).into_iter().filter(|line| line.contains("events:")).collect();
    assert!(matches!(lines.as_slice(), [line] if line.contains("trying again later")), "{lines:?}");
    // A reload with the same receiver keeps what waits.
    let config = stage.envoy.config().changed(|config| config.set("machine_types.type1.features.0", "cpu:haswell"));
    assert!(stage.envoy.reload(&config).unwrap());

    // Back, but not well yet.
    let asked = AtomicU32::new(0);
    let server = Server::start_on(port, move |_: &Received| {
        Answer::new(if asked.fetch_add(1, Ordering::SeqCst) < 2 { 500 } else { 202 }).acts()
    });
    let server = server.unwrap();
    wait_for("the event", Duration::from_secs(120), || (counted(&stage, "events_sent") > 0).then_some(())).unwrap();
    let events = events(&server);
    assert_eq!(events.len(), 3, "twice 500, then 202: {events:?}");
    assert!(events.iter().all(|event| *event == events[0]), "{events:?}");
    assert_eq!((&events[0]["reason"], &events[0]["count"]), (&json!("missing_variant"), &json!(1)));
    assert_eq!((counted(&stage, "events_sent"), counted(&stage, "events_dropped")), (1, 0));
    assert_unharmed(&stage.envoy);
}

/// Of the filter as it is shipped: `tools/trim` takes callbacks out of it.
#[test]
fn a_reload_with_another_receiver_counts_what_is_lost() {
    let stage = set(port::free());
    pull(&stage, 1);
    wait_for("a post that failed", PATIENCE, || (counted(&stage, "events_failed") > 0).then_some(())).unwrap();
    let config = stage.envoy.config().changed(|config| config.set("events.path", "/elsewhere"));
    assert!(stage.envoy.reload(&config).unwrap());
    wait_for("the count", PATIENCE, || (counted(&stage, "events_dropped") > 0).then_some(())).unwrap();
    assert_eq!((counted(&stage, "events_sent"), counted(&stage, "events_dropped")), (0, 1));
    assert_unharmed(&stage.envoy);
}
