//! Pulls through mirrors are counted, and answered like any other.

use serde_json::json;

use super::driver::{basic, configuration, parse, send_headers};
use super::flow_cache::demo;
use super::scripted_registry::header_list;

#[test]
fn a_tag_that_is_asked_for_through_a_mirror_is_counted() {
    let mut document = configuration();
    document["registries"]["registry"]["anonymous"] = json!("type1");
    let (config, upstream) = (parse(&document), demo());
    let digest = format!("/v2/qnib/bench/manifests/sha256:{}", "0".repeat(64));
    let tag = "/v2/qnib/bench/manifests/latest";
    let through = format!("{tag}?ns=hub.example");
    let rows = [
        ("GET", tag, "qnib-type1", "harbor-registry-client", 1),
        ("HEAD", tag, "qnib-type1", "harbor-registry-client", 1),
        ("GET", &through, "qnib-type1", "containerd/2.3.1", 1),
        ("GET", tag, "qnib-type1", "containerd/2.3.1", 0),
        // It gets the index.
        ("GET", tag, "all", "harbor-registry-client", 0),
        ("GET", "/v2/qnib/bench/manifests/sha256-00.sig", "qnib-type1", "harbor-registry-client", 0),
        ("GET", &digest, "qnib-type1", "harbor-registry-client", 0),
        ("GET", "/v2/qnib/bench/tags/list", "qnib-type1", "harbor-registry-client", 0),
        ("GET", "/v2/", "qnib-type1", "harbor-registry-client", 0),
    ];
    let mut logged = 0;
    for (method, path, user, agent, counted) in rows {
        let headers = header_list(&[
            (":method", method),
            (":path", path),
            (":authority", "hub.example"),
            ("user-agent", agent),
            ("authorization", &basic(user, user)),
        ]);
        let outcome = send_headers(&config, &headers, &upstream);
        let times = outcome.counters.iter().filter(|name| **name == "metahub_mirrored").count();
        assert_eq!(times, counted, "{method} {path} as {user} with {agent}");
        let lines = outcome.lines.iter().filter(|line| line.contains("through a mirror"));
        logged += lines.inspect(|line| assert!(line.contains("qnib/bench:latest"), "{line}")).count();
        if counted == 1 {
            assert_eq!((outcome.status, outcome.header("x-metahub-machine-type")), (200, "type1"));
        }
    }
    assert_eq!(logged, 2, "one line an hour for each sign");
}
