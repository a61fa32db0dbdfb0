//! An Envoy whose connections to the registry are all in use shows nothing about the registry: an earlier confirmation
//! is not used instead, because a client could cause that.

use std::time::Duration;

use serde_json::json;

use super::observe::assert_unharmed;
use metahub_testkit::bench::Bench;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::cluster;
use metahub_testkit::http::Request;
use metahub_testkit::server::{Act, Answer, Gate, Received};
use metahub_testkit::stage::stage;
use metahub_testkit::wait_for;

/// Issue 11: a client that filled the connections of Envoy brought stale answers about.
#[test]
fn a_full_envoy_is_no_registry_that_is_down() {
    let (gate, bench) = (Gate::default(), Bench::build());
    let theirs = gate.clone();
    let serve = move |request: &Received| {
        if request.path.contains("/slow") {
            return vec![Act::Wait(theirs.clone()), Act::Send(Answer::new(404).body("{}").bytes())];
        }
        // Only callouts ask this registry: it knows no HEAD.
        if request.method == "HEAD" {
            return vec![Act::Send(Answer::new(405).bytes())];
        }
        let image = bench.images.iter().find(|image| image.manifest.digest() == request.reference());
        Answer::stored(image.map_or(&bench.list, |image| &image.manifest)).acts()
    };
    let stage = stage()
        .server(serve)
        .concurrency(1)
        .configuration(json!({
            "machine_types": { "type1": { "features": ["cpu:broadwell"] } },
            "registries": { "registry": { "authentication": "none" } },
            "cache": { "bytes": "1MiB", "serve_stale_on_error": "1h" },
        }))
        .bootstrap(|bootstrap| {
            let limits = cluster(bootstrap, "registry").at_mut("circuit_breakers.thresholds.0");
            assert_eq!(limits.at("priority"), "DEFAULT");
            for (limit, few) in [("max_connections", 1), ("max_pending_requests", 1), ("max_requests", 2)] {
                limits.set(limit, few);
            }
        })
        .start()
        .unwrap();
    let envoy = &stage.envoy;
    let pull = |image: &str| {
        envoy.send(&Request::get(&format!("/v2/{image}/manifests/latest")).login("alice-type1", "pw")).unwrap()
    };
    // The second time HEAD is found to be of no use.
    assert_eq!([pull("a/b").status, pull("a/b").status, pull("a/b").status], [200; 3]);
    std::thread::scope(|scope| {
        // One after the other: the first has the connection, the second waits for it.
        for number in 1..=2 {
            scope.spawn(move || {
                let path = format!("/v2/slow{number}/x/manifests/latest");
                envoy.send(&Request::get(&path).login("mallory-type1", "pw")).unwrap()
            });
            let under_way = || envoy.stat("cluster.registry.upstream_rq_", "active").unwrap() >= number;
            wait_for("a request under way", Duration::from_secs(20), || under_way().then_some(())).unwrap();
        }
        let answer = pull("a/b");
        gate.open();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.text());
        assert!(answer.text().contains("too many requests"), "{}", answer.text());
    });
    assert_eq!(envoy.stat("wasmcustom.metahub_served_stale", "").unwrap(), 0);
    assert_eq!(pull("a/b").status, 200);
    assert_unharmed(envoy);
}
