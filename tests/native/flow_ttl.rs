//! Answers that rest on an earlier confirmation of the registry: within `tag_ttl`, and while the registry is down.

use metahub::oci::digest::Digest;
use serde_json::{Value, json};

use super::driver::{configuration, exchange, parse, send};
use super::flow_cache::{DEMO, demo, requests, with_cache};
use super::scripted_registry::{Response, ScriptedRegistry, child};

#[test]
fn within_the_ttl_upstream_is_not_asked() {
    let config = parse(&with_cache(&json!({ "tag_ttl": "30s" })));
    let upstream = demo();
    upstream.memory.now.set(1_000);
    let pull = |method, user| exchange(&config, method, DEMO, user, &upstream);
    let cold = pull("GET", "qnib-type1");
    upstream.memory.now.set(1_029);
    for method in ["GET", "HEAD"] {
        let warm = pull(method, "qnib-type1");
        assert_eq!((requests(&warm).len(), warm.status, &warm.body), (0, 200, &cold.body));
        assert_eq!(warm.header("docker-content-digest"), cold.header("docker-content-digest"));
    }
    assert_eq!(exchange(&config, "GET", DEMO, "all", &upstream).asked.as_deref(), Some("GET"), "another login");
    upstream.memory.now.set(1_030);
    assert_eq!(requests(&pull("GET", "qnib-type1")), ["HEAD own"]);
    upstream.memory.now.set(1_059);
    assert_eq!(requests(&pull("GET", "qnib-type1")).len(), 0, "confirmed anew");
    upstream.memory.now.set(900);
    assert_eq!(requests(&pull("GET", "qnib-type1")), ["HEAD own"], "a clock that was set back");
}

#[test]
fn a_word_given_to_one_credential_is_worth_nothing_to_another() {
    let mut document = with_cache(&json!({ "tag_ttl": "30s", "serve_stale_on_error": "1h" }));
    document["registries"]["registry"]["authentication"] = json!("upstream");
    let config = parse(&document);
    let mut upstream = demo();
    let get = |user, password, upstream: &ScriptedRegistry| {
        send(&config, "GET", "/v2/qnib/bench/manifests/latest", user, password, upstream)
    };
    assert_eq!(get("me-type1", "right", &upstream).status, 200);
    assert_eq!(requests(&get("me-type1", "right", &upstream)).len(), 0);
    upstream.index = Some(Response::new(401, "application/json", "{}"));
    for (user, password) in [("me-type1", "wrong"), ("you-type1", "right"), ("me-type1", "")] {
        let outcome = get(user, password, &upstream);
        assert_eq!((outcome.status, requests(&outcome)), (401, vec!["HEAD own".to_owned()]), "{user} {password}");
    }
    upstream.index = None;
    for (user, password) in [("me-type1", "wrong"), ("you-type1", "right")] {
        assert_eq!(get(user, password, &upstream).status, 404, "{user} {password}");
    }
}

#[test]
fn what_was_known_stands_in_while_upstream_is_down() {
    let config = parse(&with_cache(&json!({ "serve_stale_on_error": "1m" })));
    let mut upstream = demo();
    upstream.memory.now.set(1_000);
    let pull = |upstream: &ScriptedRegistry| exchange(&config, "GET", DEMO, "qnib-type1", upstream);
    let cold = pull(&upstream);
    let up = upstream.index.replace(Response::new(503, "text/plain", "down"));
    upstream.memory.now.set(1_059);
    let stale = pull(&upstream);
    // The client's own headers may have brought the first answer about.
    let asked = ["HEAD own", "HEAD latest"].map(str::to_owned).to_vec();
    assert_eq!((stale.status, &stale.body, requests(&stale)), (200, &cold.body, asked));
    assert!(stale.counters.contains(&"metahub_served_stale"), "{:?}", stale.counters);
    let [line] = stale.lines.as_slice() else { panic!("{:?}", stale.lines) };
    assert!(line.contains("qnib/bench:latest") && line.contains("registry.example"), "{line}");
    upstream.memory.now.set(1_060);
    assert_eq!(pull(&upstream).status, 503, "too old");
    upstream.index = up;
    upstream.memory.now.set(1_061);
    assert_eq!(requests(&pull(&upstream)), ["HEAD own"]);
    let config = parse(&configuration());
    upstream.index = Some(Response::new(503, "text/plain", "down"));
    assert_eq!(exchange(&config, "GET", DEMO, "qnib-type1", &upstream).status, 503, "not unless configured");
}

/// A child that the registry does not allow is not an outage.
#[test]
fn nothing_stands_in_for_what_is_denied() {
    let config = parse(&with_cache(&json!({ "serve_stale_on_error": "1h" })));
    let mut upstream = demo();
    assert_eq!(exchange(&config, "GET", DEMO, "qnib-type1", &upstream).status, 200);
    let moved = ScriptedRegistry::with_list(&[child(&["cpu:haswell"])]);
    let index = moved.index.unwrap();
    upstream.by_digest.insert(Digest::of(&index.body).to_string(), Some(index.clone()));
    let denied = Response::new(403, "application/json", "{}");
    upstream.by_digest.extend(moved.by_digest.into_keys().map(|digest| (digest, Some(denied.clone()))));
    upstream.index = Some(index);
    let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
    assert_eq!((outcome.status, outcome.code().as_str()), (403, "DENIED"));
}

#[test]
fn a_permission_that_was_taken_away_is_gone_at_once() {
    let mut document = with_cache(&json!({ "tag_ttl": "1h" }));
    let upstream = demo();
    let get = |document: &Value| {
        send(&parse(document), "GET", "/v2/team/bench/manifests/latest", "team-type1", "team", &upstream)
    };
    assert_eq!((get(&document).status, requests(&get(&document)).len()), (200, 0));
    document["accounts"]["team"]["repositories"] = json!(["else/**"]);
    assert_eq!(get(&document).status, 403);
    document["accounts"]["team"]["repositories"] = json!(["team/**"]);
    document["accounts"]["team"]["machine_types"] = json!(["type2"]);
    assert_eq!(get(&document).status, 403);
}
