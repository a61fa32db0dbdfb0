//! The headers and query that a client's own request brings to the registry when it fetches a large manifest.

use metahub::text::headers::HeaderChange;
use serde_json::json;

use super::driver::{basic, parse, send_headers};
use super::flow_cache::{large, with_cache};
use super::outcome::Outcome;
use super::scripted_registry::header_list;

/// Headers that no registry may get, because its answer would depend on the client.
const BROUGHT: [&str; 5] = ["cookie", "if-none-match", "range", "x-http-method-override", "x-remote-user"];

/// Says which of them went on, and with which path.
fn went_on(outcome: &Outcome) -> (Vec<&'static str>, Option<String>) {
    let removed = |name: &str| outcome.changes.contains(&HeaderChange::Remove(name.to_owned().into()));
    // The last one is what Envoy sends.
    let path = outcome.changes.iter().rev().find_map(|change| match change {
        HeaderChange::Set(":path", path) => Some(path.clone()),
        _ => None,
    });
    (BROUGHT.into_iter().filter(|name| !removed(name)).collect(), path)
}

#[test]
fn a_large_manifest_is_asked_for_with_nothing_of_the_clients() {
    let authorization = basic("qnib-type1", "qnib-type1");
    for cache in [json!({}), json!({ "tag_ttl": "60s" })] {
        let (_, upstream, digest) = large(100_000);
        let config = parse(&with_cache(&cache));
        let expected = (Vec::new(), Some(format!("/v2/qnib/bench/manifests/{digest}")));
        // New, and then as it is known: confirmed by a HEAD, or within `tag_ttl`.
        for known in [false, true] {
            let path = "/v2/qnib/bench/manifests/latest?token=x";
            let mut headers = header_list(&[(":method", "GET"), (":path", path), ("authorization", &authorization)]);
            headers.extend(header_list(&BROUGHT.map(|name| (name, "theirs"))));
            let outcome = send_headers(&config, &headers, &upstream);
            assert_eq!(outcome.status, 200, "{:?}", outcome.lines);
            assert_eq!(went_on(&outcome), expected, "{cache} known: {known}");
        }
    }
}

#[test]
fn a_large_manifest_by_digest_is_asked_for_with_nothing_of_the_clients() {
    let (config, upstream, digest) = large(100_000);
    let (authorization, path) = (basic("qnib-type1", "qnib-type1"), format!("/v2/qnib/bench/manifests/{digest}"));
    let sent = format!("{path}?token=x");
    let headers = [
        (":method", "GET"),
        (":path", &sent),
        ("authorization", &authorization),
        ("cookie", "a"),
        ("x-remote-user", "b"),
    ];
    let outcome = send_headers(&config, &header_list(&headers), &upstream);
    assert_eq!((outcome.status, outcome.callouts.len()), (200, 1), "{:?}", outcome.lines);
    let (went_on, sent) = went_on(&outcome);
    assert!(!went_on.contains(&"cookie") && !went_on.contains(&"x-remote-user"), "{went_on:?}");
    assert_eq!(sent, Some(path));
}

#[test]
fn a_request_that_announces_a_body_is_refused() {
    let (config, upstream, _) = large(10);
    let authorization = basic("qnib-type1", "qnib-type1");
    for (name, value, status) in
        [("content-length", "1", 400), ("transfer-encoding", "chunked", 400), ("content-length", "0", 200)]
    {
        let path = "/v2/qnib/bench/manifests/latest";
        let headers = [(":method", "GET"), (":path", path), ("authorization", authorization.as_str()), (name, value)];
        let outcome = send_headers(&config, &header_list(&headers), &upstream);
        assert_eq!(outcome.status, status, "{name}: {value}");
    }
}
