//! The response side of the flow: the result of a pull by tag, for every answer that an upstream can give.

use metahub::flow::MAX_MANIFEST;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use serde_json::{Value, json};

use super::driver::{configuration, exchange, parse};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, child, list};

fn pull(method: &str, upstream: &ScriptedRegistry) -> Outcome {
    exchange(&parse(&configuration()), method, "qnib/bench:latest", "qnib-type1", upstream)
}

fn demo() -> ScriptedRegistry {
    ScriptedRegistry::with_list(&[
        child(&[]),
        child(&["cpu:skylake"]),
        child(&["cpu:broadwell"]),
        child(&["cpu:broadwell", "nvcap:5.2"]),
    ])
}

#[test]
fn a_tag_becomes_the_entry_that_fits() {
    let (entry, bytes) = child(&["cpu:broadwell"]);
    let outcome = pull("GET", &demo());
    assert_eq!((outcome.status, &outcome.body), (200, &bytes));
    let digest = entry["digest"].as_str().unwrap();
    assert_eq!(outcome.header("docker-content-digest"), digest);
    assert_eq!(outcome.header("content-length"), bytes.len().to_string());
    assert_eq!(outcome.header("content-type"), DOCKER_MANIFEST);
    assert_eq!(outcome.header("etag"), format!("\"{digest}\""));
    assert_eq!(outcome.header("vary"), "Authorization");
    assert_eq!(outcome.header("cache-control"), "private");
    assert_eq!(outcome.header("last-modified"), "", "it is the index's");
    assert_eq!(outcome.header("x-metahub-machine-type"), "type1");
    assert!(outcome.header("x-metahub-selected").starts_with(digest), "{outcome:?}");
    assert_eq!(outcome.counters, ["metahub_selected"]);
    assert!(outcome.lines.is_empty());
    let [_, callout] = outcome.callouts.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(callout.cluster, "registry");
    assert!(callout.headers.contains(&(":authority", "registry.example".to_owned())));
    assert!(callout.headers.contains(&(":path", format!("/v2/qnib/bench/manifests/{digest}"))));
    assert!(!callout.headers.iter().any(|(name, _)| *name == "authorization"));
}

#[test]
fn head_says_what_get_says() {
    let (get, head) = (pull("GET", &demo()), pull("HEAD", &demo()));
    // Envoy leaves the body out.
    assert_eq!((&get.headers, &get.body, get.status), (&head.headers, &head.body, head.status));
}

/// Docker Hub says in headers how much of its limit is left; a client must not lose them because the child was refused.
#[test]
fn a_limit_that_the_child_meets_is_told_to_the_client() {
    let limit = [
        ("retry-after", "7"),
        ("ratelimit-limit", "100;w=21600"),
        ("ratelimit-remaining", "0;w=21600"),
        ("ratelimit-reset", "60"),
        ("docker-ratelimit-source", "192.0.2.7"),
    ];
    let refusal = Response::new(429, "text/plain", "").with("x-secret", "1").with("set-cookie", "session");
    let refusal = limit.iter().fold(refusal, |refusal, (name, value)| refusal.with(name, value));
    let mut upstream = demo();
    upstream.by_digest.insert(child(&["cpu:broadwell"]).0["digest"].as_str().unwrap().to_owned(), Some(refusal));
    let outcome = pull("GET", &upstream);
    assert_eq!(outcome.status, 429);
    for (name, value) in limit {
        assert_eq!(outcome.header(name), value);
    }
    assert_eq!((outcome.header("x-secret"), outcome.header("set-cookie")), ("", ""));
}

#[test]
fn what_is_no_index_passes() {
    let (_, manifest) = child(&["cpu:skylake"]);
    let artifact = json!({ "mediaType": OCI_INDEX, "artifactType": "x/y", "manifests": [child(&[]).0] }).to_string();
    let rows = [
        (Response::new(200, DOCKER_MANIFEST, manifest.clone()), "a single manifest"),
        (Response::new(200, OCI_MANIFEST, manifest.clone()), "a single OCI manifest"),
        (Response::new(200, "application/vnd.example+json", "{\"blob\":1}"), "something else"),
        (Response::new(200, OCI_INDEX, artifact), "an artifact index"),
    ];
    for (response, what) in rows {
        let digest = Digest::of(&response.body).to_string();
        for response in [response.clone().with("docker-content-digest", &digest), response.without("content-length")] {
            let mut upstream = ScriptedRegistry { index: Some(response.clone()), ..ScriptedRegistry::default() };
            upstream.by_digest.insert(digest.clone(), Some(response.clone()));
            let get = pull("GET", &upstream);
            assert_eq!((get.status, &get.body), (200, &response.body), "{what}");
            assert!(get.header("x-metahub-selected").starts_with("passed through: "), "{what}");
            assert_eq!(get.counters, ["metahub_passed_through"], "{what}");
            let head = pull("HEAD", &upstream);
            assert_eq!(head.status, 200, "{what}");
            assert_eq!(head.header("content-length"), response.body.len().to_string(), "{what}");
            assert_ne!(head.header("docker-content-digest"), "", "{what}");
        }
    }
}

#[test]
fn an_index_under_another_content_type_is_still_one() {
    let (_, bytes) = child(&["cpu:broadwell"]);
    for content_type in ["application/json", "text/plain; charset=utf-8", ""] {
        let mut upstream = demo();
        let index = upstream.index.take().unwrap().body;
        upstream.index = Some(Response::new(200, content_type, index));
        assert_eq!(pull("GET", &upstream).body, bytes, "{content_type}");
    }
}

#[test]
fn signatures_of_a_tag_pass() {
    let upstream = demo();
    let tag = format!("qnib/bench:sha256-{}.sig", "a".repeat(64));
    let outcome = exchange(&parse(&configuration()), "GET", &tag, "qnib-type1", &upstream);
    assert_eq!(outcome.body, upstream.index.unwrap().body);
}

#[test]
fn unfiltered_sees_the_index() {
    let upstream = demo();
    let outcome = exchange(&parse(&configuration()), "GET", "qnib/bench:latest", "all", &upstream);
    let index = upstream.index.unwrap();
    assert_eq!(outcome.body, index.body);
    assert_eq!(outcome.header("docker-content-digest"), Digest::of(&index.body).as_str());
}

#[test]
fn no_match_says_what_there_is() {
    let upstream = ScriptedRegistry::with_list(&[child(&["cpu:zen4"]), child(&["cpu:skylake_avx512", "nvcap:8.0"])]);
    for method in ["GET", "HEAD"] {
        let outcome = pull(method, &upstream);
        assert_eq!((outcome.status, outcome.code().as_str()), (404, "MANIFEST_UNKNOWN"));
        let message = outcome.message();
        for part in ["qnib/bench:latest", "type1", "cpu:zen4", "nvcap:8.0"] {
            assert!(message.contains(part), "{message} lacks {part}");
        }
        assert!(
            matches!(outcome.lines.as_slice(), [line] if line.contains(&message) && line.contains("\"qnib-type1\""))
        );
        assert_eq!(outcome.counters, ["metahub_no_match"]);
        let mut document = configuration();
        document["on_no_match"] = json!("deny");
        let denied = exchange(&parse(&document), method, "qnib/bench:latest", "qnib-type1", &upstream);
        assert_eq!((denied.status, denied.code().as_str()), (403, "DENIED"));
        assert_eq!(denied.message(), message, "the same text");
        assert_eq!((denied.counters.as_slice(), denied.lines.len()), (["metahub_no_match"].as_slice(), 1));
        assert!(denied.lines[0].starts_with("403 ") && denied.lines[0].contains(&message), "{:?}", denied.lines);
    }
    let mut document = configuration();
    document["on_no_match"] = json!("unfiltered");
    for method in ["GET", "HEAD"] {
        let outcome = exchange(&parse(&document), method, "qnib/bench:latest", "qnib-type1", &upstream);
        let index = upstream.index.as_ref().unwrap();
        assert_eq!(outcome.status, 200);
        if method == "GET" {
            assert_eq!(outcome.body, index.body);
        }
        assert_eq!(outcome.header("content-type"), DOCKER_LIST);
        assert_eq!(outcome.header("content-length"), index.body.len().to_string());
        assert_eq!(outcome.header("docker-content-digest"), Digest::of(&index.body).as_str());
    }
}

#[test]
fn an_index_that_cannot_be_used_is_refused() {
    let valid = |extra: &str| format!("{{\"schemaVersion\":2,\"manifests\":[{}]{extra}}}", child(&[]).0);
    let big = valid(&format!(",\"x\":\"{}\"", "x".repeat(MAX_MANIFEST)));
    let rows = [
        (Response::new(200, OCI_INDEX, "<html>"), "malformed"),
        (Response::new(200, OCI_INDEX, valid("").trim_end_matches('}')), "malformed"),
        (Response::new(200, OCI_INDEX, vec![b'['; 100_000]), "malformed"),
        (Response::new(200, OCI_INDEX, "{}"), "no entries"),
        (Response::new(200, OCI_INDEX, "{\"manifests\":null}"), "no entries"),
        (Response::new(200, OCI_INDEX, "{\"manifests\":[],\"layers\":[]}"), "ambiguous"),
        (Response::new(200, OCI_INDEX, valid(",\"layers\":[]")), "ambiguous"),
        (Response::new(200, OCI_INDEX, valid(",\"config\":{}")), "ambiguous"),
        (Response::new(200, OCI_INDEX, valid("")).with("content-encoding", "gzip"), "compressed"),
        (Response::new(200, OCI_INDEX, big.clone()), "larger than 4 MiB"),
        (Response::new(200, OCI_INDEX, big).without("content-length"), "larger than 4 MiB"),
        (Response::new(200, OCI_INDEX, ""), "without a body"),
        (Response::new(206, OCI_INDEX, valid("")), "206"),
        (
            Response::new(307, OCI_INDEX, valid("")).with("location", "https://elsewhere.example/v2/"),
            "redirects manifests",
        ),
        (Response::new(302, "text/html", "").with("location", "/v2/other"), "redirects manifests"),
        (Response::new(304, OCI_INDEX, ""), "redirects manifests (304)"),
    ];
    for (response, message) in rows {
        let upstream = ScriptedRegistry { index: Some(response), ..ScriptedRegistry::default() };
        for method in ["GET", "HEAD"] {
            refused(&pull(method, &upstream), 502, "MANIFEST_INVALID", message, "metahub_invalid_manifest");
        }
    }
}

/// Such an index may be pushed (the OCI conformance suite does): nothing is wrong with it, and it has no image.
/// Issue 11: such an index was refused as a fault of the registry.
#[test]
fn an_index_without_entries_has_nothing_that_fits() {
    let empty = || Response::new(200, OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[]}");
    let words = "nothing fits; the index has no entries";
    let untyped = Response { headers: Vec::new(), ..empty() };
    let inner = list(&[]);
    let entry = json!({
        "mediaType": DOCKER_LIST, "digest": Digest::of(&inner).as_str(), "size": inner.len(),
        "platform": { "os": "linux", "architecture": "amd64" },
    });
    let mut nested =
        ScriptedRegistry { index: Some(Response::new(200, OCI_INDEX, list(&[entry]))), ..ScriptedRegistry::default() };
    nested.by_digest.insert(Digest::of(&inner).to_string(), Some(Response::new(200, DOCKER_LIST, inner)));
    let top = |response| ScriptedRegistry { index: Some(response), ..ScriptedRegistry::default() };
    for upstream in [top(empty()), top(untyped), nested] {
        for method in ["GET", "HEAD"] {
            refused(&pull(method, &upstream), 404, "MANIFEST_UNKNOWN", words, "metahub_no_match");
        }
    }
    let mut unfiltered = configuration();
    unfiltered["on_no_match"] = json!("unfiltered");
    let passed = exchange(&parse(&unfiltered), "GET", "a:latest", "qnib-type1", &top(empty()));
    assert_eq!((passed.status, passed.body), (200, empty().body));
    let artifact = Response::new(200, OCI_INDEX, "{\"artifactType\":\"x/y\",\"manifests\":[]}");
    assert_eq!(pull("GET", &top(artifact)).status, 200, "an index of artifacts passes as ever");
}

#[track_caller]
fn refused(outcome: &Outcome, status: u16, code: &str, message: &str, counter: &str) {
    assert_eq!((outcome.status, outcome.code().as_str()), (status, code), "{message}: {outcome:?}");
    assert!(outcome.message().contains(message), "{} lacks {message}", outcome.message());
    assert_eq!(outcome.counters, [counter]);
    let [line] = outcome.lines.as_slice() else { panic!("one line, not {:?}", outcome.lines) };
    assert!(line.contains("qnib/bench:latest") && line.contains("type1") && line.contains("\"qnib-type1\""), "{line}");
}

/// Clients and tools ask with a 404 whether there is an image, and a broken index is not the client's fault.
#[test]
fn only_where_nothing_fits_on_no_match_denies() {
    let mut document = configuration();
    document["on_no_match"] = json!("deny");
    let config = parse(&document);
    let mut without_child = demo();
    without_child.by_digest.clear();
    let broken = Response::new(200, DOCKER_LIST, "{\"manifests\":");
    let rows = [
        (ScriptedRegistry { index: Some(Response::new(404, "application/json", "{}")), ..demo() }, 404),
        (without_child, 404),
        (ScriptedRegistry { index: Some(broken), ..demo() }, 502),
        (demo(), 200),
    ];
    for (upstream, status) in rows {
        assert_eq!(exchange(&config, "GET", "qnib/bench:latest", "qnib-type1", &upstream).status, status);
    }
}

#[test]
fn a_child_that_is_not_what_the_index_says_is_refused() {
    let (entry, bytes) = child(&["cpu:broadwell"]);
    let digest = entry["digest"].as_str().unwrap();
    let mut forged = bytes.clone();
    forged[0] = b' ';
    let good = || Response::new(200, DOCKER_MANIFEST, bytes.clone());
    let rows = [
        (Some(Response::new(200, DOCKER_MANIFEST, forged)), 502, "MANIFEST_INVALID", "hashes to"),
        (Some(Response::new(200, DOCKER_MANIFEST, &bytes[1..])), 502, "MANIFEST_INVALID", "bytes, not"),
        (Some(Response::new(200, DOCKER_MANIFEST, "")), 502, "MANIFEST_INVALID", "bytes, not"),
        (Some(Response::new(200, OCI_MANIFEST, bytes.clone())), 502, "MANIFEST_INVALID", "media type"),
        (Some(good().with("content-encoding", "gzip")), 502, "MANIFEST_INVALID", "compressed"),
        (Some(Response::new(404, "application/json", "{}")), 404, "MANIFEST_UNKNOWN", "push the image again"),
    ];
    for (response, status, code, message) in rows {
        let mut upstream = demo();
        upstream.by_digest.insert(digest.to_owned(), response);
        refused(&pull("GET", &upstream), status, code, message, "metahub_invalid_manifest");
    }
    let down = [
        (None, 503, "UNAVAILABLE", "broke off"),
        (Some(Response::new(503, "text/plain", "")), 503, "UNAVAILABLE", "503"),
        (Some(Response::new(504, "text/plain", "")), 503, "UNAVAILABLE", "504"),
        (Some(Response::new(302, "text/plain", "")), 503, "UNAVAILABLE", "302"),
        (Some(Response::new(429, "text/plain", "").with("retry-after", "7")), 429, "TOOMANYREQUESTS", "429"),
    ];
    for (response, status, code, message) in down {
        let limited = response.as_ref().is_some_and(|response| response.status == 429);
        let mut upstream = demo();
        upstream.by_digest.insert(digest.to_owned(), response);
        let outcome = pull("GET", &upstream);
        refused(&outcome, status, code, message, "metahub_upstream_failed");
        assert_eq!(outcome.header("retry-after"), if limited { "7" } else { "" });
    }
}

#[test]
fn a_registry_that_refuses_the_child_refuses_metahub() {
    let (entry, _) = child(&["cpu:broadwell"]);
    let mut upstream = demo();
    upstream.by_digest.insert(entry["digest"].as_str().unwrap().into(), Some(Response::new(401, "text/plain", "")));
    let outcome = pull("GET", &upstream);
    assert_eq!((outcome.status, outcome.code().as_str()), (403, "DENIED"));
    assert_eq!(outcome.counters, ["metahub_upstream_failed"]);
}

#[test]
fn upstreams_word_reaches_the_client_its_challenge_never() {
    for status in [400, 403, 404, 429] {
        let response = Response::new(status, "application/json", "{\"errors\":[]}").with("retry-after", "3");
        let upstream = ScriptedRegistry { index: Some(response.clone()), ..ScriptedRegistry::default() };
        let get = pull("GET", &upstream);
        assert_eq!((get.status, &get.body, get.header("retry-after")), (status, &response.body, "3"));
        let head = pull("HEAD", &upstream);
        assert_eq!((head.status, head.header("retry-after")), (status, "3"));
    }
    let challenge =
        Response::new(401, "application/json", "{}").with("www-authenticate", "Bearer realm=\"https://evil.example\"");
    let outcome = pull("GET", &ScriptedRegistry { index: Some(challenge), ..ScriptedRegistry::default() });
    assert_eq!((outcome.status, outcome.code().as_str(), outcome.header("www-authenticate")), (403, "DENIED", ""));
    for status in [500, 502, 503, 504] {
        let response = Response::new(status, "text/html", "oops").with("retry-after", "3");
        let outcome = pull("GET", &ScriptedRegistry { index: Some(response), ..ScriptedRegistry::default() });
        refused(&outcome, 503, "UNAVAILABLE", &status.to_string(), "metahub_upstream_failed");
        assert_eq!(outcome.header("retry-after"), "3");
    }
}

/// An index around another, `levels` deep.
fn nested(levels: u32) -> ScriptedRegistry {
    let mut upstream = demo();
    let mut inner = upstream.index.take().unwrap().body;
    for _ in 0..levels {
        let entry: Value = json!({
            "mediaType": DOCKER_LIST, "digest": Digest::of(&inner).as_str(), "size": inner.len(),
            "platform": { "os": "linux", "architecture": "amd64" },
        });
        upstream.by_digest.insert(Digest::of(&inner).to_string(), Some(Response::new(200, DOCKER_LIST, inner)));
        inner = list(&[entry]);
    }
    upstream.index = Some(Response::new(200, DOCKER_LIST, inner));
    upstream
}

#[test]
fn nested_indexes_are_followed_to_three_levels() {
    let (_, bytes) = child(&["cpu:broadwell"]);
    for levels in 1..=2 {
        let (get, head) = (pull("GET", &nested(levels)), pull("HEAD", &nested(levels)));
        assert_eq!(get.body, bytes);
        assert_eq!(get.header("docker-content-digest"), head.header("docker-content-digest"));
        assert_eq!((get.callouts.len(), head.callouts.len()), (levels as usize + 2, levels as usize + 2));
    }
    refused(&pull("GET", &nested(3)), 502, "MANIFEST_INVALID", "deeper than 3", "metahub_invalid_manifest");
    let mut broken = nested(1);
    for response in
        broken.by_digest.values_mut().flatten().filter(|response| response.body.starts_with(b"{\"manifests\""))
    {
        response.body.pop();
    }
    refused(&pull("GET", &broken), 502, "MANIFEST_INVALID", "bytes, not", "metahub_invalid_manifest");
}

#[test]
fn a_variant_worth_building_is_reported() {
    let outcome = pull("GET", &ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:haswell"])]));
    assert_eq!(outcome.status, 200);
    assert_eq!(outcome.counters, ["metahub_selected", "metahub_missing_variant"]);
    let [line] = outcome.lines.as_slice() else { panic!("{:?}", outcome.lines) };
    for part in ["qnib/bench:latest", "cpu:broadwell", "type1", "cpu:haswell"] {
        assert!(line.contains(part), "{line} lacks {part}");
    }
    for children in [vec![child(&[])], vec![child(&["cpu:haswell"]), child(&["cpu:broadwell"])]] {
        assert_eq!(
            pull("GET", &ScriptedRegistry::with_list(&children)).counters,
            ["metahub_selected"],
            "nothing is missing"
        );
    }
}
