//! Large manifests: the headers and log lines while they pass from upstream, and that no request goes upstream twice.

use metahub::oci::digest::Digest;
use metahub::oci::media_type::DOCKER_MANIFEST;
use metahub::oci::reference::Repository;
use metahub::store::cache::{Cache, CacheScope};
use serde_json::json;

use super::driver::{basic, configuration, exchange, parse, send};
use super::flow_cache::{large, requests, with_cache};
use super::scripted_registry::{Response, ScriptedRegistry, child};

const IMAGE: &str = "qnib/bench:latest";
const MANIFEST: &str = "/v2/qnib/bench/manifests/latest";

/// Upstream's answer to the request for this digest.
fn answer(upstream: &ScriptedRegistry, digest: &str) -> Response {
    upstream.by_digest[digest].clone().unwrap()
}

#[test]
fn what_passes_has_few_headers_of_upstreams() {
    let kept = [
        ("accept-ranges", "bytes"),
        ("age", "7"),
        ("connection", "close"),
        ("date", "Tue, 01 Jul 2025 00:00:00 GMT"),
        ("server", "registry"),
    ];
    let removed = [
        ("www-authenticate", "Basic realm=\"https://evil.example\""),
        ("proxy-authenticate", "Basic"),
        ("set-cookie", "a=b"),
        ("last-modified", "yesterday"),
        ("location", "https://evil.example"),
        ("x-metahub-other", "x"),
    ];
    let (config, mut upstream, digest) = large(100_000);
    exchange(&config, "GET", IMAGE, "qnib-type1", &upstream);
    let mut response = answer(&upstream, &digest).with("docker-content-digest", "sha256:0").with("vary", "Cookie");
    response = response.with("etag", "\"x\"").with("x-metahub-selected", "all").with("x-metahub-machine-type", "type9");
    response.headers.extend(kept.iter().chain(&removed).map(|(name, value)| (*name, (*value).to_owned())));
    upstream.by_digest.insert(digest.clone(), Some(response));
    for method in ["GET", "HEAD"] {
        let outcome = exchange(&config, method, IMAGE, "qnib-type1", &upstream);
        assert_eq!((outcome.status, outcome.asked.as_deref()), (200, Some(method)));
        let expected = [
            ("content-type", DOCKER_MANIFEST),
            ("content-length", &(100_000 + DOCKER_MANIFEST.len()).to_string()),
            ("docker-content-digest", &digest),
            ("x-metahub-machine-type", "type1"),
            ("etag", &format!("\"{digest}\"")),
            ("vary", "Authorization"),
        ];
        for (name, value) in expected.iter().chain(&kept) {
            assert_eq!(outcome.header(name), *value, "{method} {name}");
        }
        assert!(outcome.header("x-metahub-selected").starts_with(&digest), "{:?}", outcome.headers);
        for (name, _) in removed {
            assert_eq!(outcome.headers.get(name), None, "{method} {name}");
        }
    }
}

#[test]
fn a_refusal_of_what_is_to_pass_is_no_outage() {
    let challenge = "Basic realm=\"https://evil.example\"";
    for (authentication, status, told) in [("accounts", 403, ""), ("upstream", 401, "Basic realm=\"MetaHub\"")] {
        let mut document = configuration();
        document["registries"]["registry"]["authentication"] = json!(authentication);
        let (_, mut upstream, digest) = large(100_000);
        assert_eq!(exchange(&parse(&document), "GET", IMAGE, "qnib-type1", &upstream).status, 200);
        let refusal = Response::new(401, "application/json", "{}").with("www-authenticate", challenge);
        upstream.by_digest.insert(digest, Some(refusal));
        let outcome = exchange(&parse(&document), "GET", IMAGE, "qnib-type1", &upstream);
        assert_eq!((outcome.status, outcome.header("www-authenticate")), (status, told), "{authentication}");
    }
}

#[test]
fn a_refusal_of_what_is_to_pass_ends_what_was_confirmed() {
    let mut document = with_cache(&json!({ "tag_ttl": "1h" }));
    document["registries"]["registry"]["authentication"] = json!("upstream");
    let config = parse(&document);
    for status in [401, 403] {
        let (_, mut upstream, _) = large(100_000);
        let get = |upstream: &ScriptedRegistry| send(&config, "GET", MANIFEST, "me-type1", "pw", upstream);
        assert_eq!(get(&upstream).status, 200);
        assert_eq!(requests(&get(&upstream)), ["GET own"], "within the ttl");
        upstream.refuses = Some((basic("me", "pw"), status));
        assert_eq!(get(&upstream).status, status);
        upstream.refuses = None;
        assert_eq!(requests(&get(&upstream)), ["GET own", "HEAD latest"], "{status}: the registry is asked again");
    }
}

#[test]
fn an_answer_without_a_body_is_no_manifest() {
    let (config, mut upstream, digest) = large(100_000);
    assert_eq!(exchange(&config, "GET", IMAGE, "qnib-type1", &upstream).status, 200);
    let good = answer(&upstream, &digest);
    for empty in [good.clone(), good.without("content-length")] {
        upstream.by_digest.insert(digest.clone(), Some(Response { body: Vec::new(), ..empty }));
        let outcome = exchange(&config, "GET", IMAGE, "qnib-type1", &upstream);
        assert_eq!((outcome.status, outcome.code().as_str()), (502, "MANIFEST_INVALID"));
        assert!(outcome.message().contains("has no bytes, not 100"), "{}", outcome.message());
        assert_eq!(exchange(&config, "HEAD", IMAGE, "qnib-type1", &upstream).status, 200, "HEAD has none");
    }
}

/// It could go on for ever.
#[test]
fn a_client_that_was_sent_round_is_not_sent_again() {
    let (config, mut upstream) = (parse(&configuration()), ScriptedRegistry::with_list(&[child(&["cpu:broadwell"])]));
    assert_eq!(exchange(&config, "GET", IMAGE, "qnib-type1", &upstream).status, 200);
    let (_, moved, _) = large(100_000);
    (upstream.index, upstream.by_digest) = (moved.index, moved.by_digest);
    let index = upstream.index.clone().unwrap();
    upstream.by_digest.insert(Digest::of(&index.body).to_string(), Some(index));
    let path = format!("{MANIFEST}?metahub-retry=1");
    let outcome = send(&config, "GET", &path, "qnib-type1", "qnib-type1", &upstream);
    assert_eq!((outcome.status, outcome.header("retry-after"), outcome.header("location")), (503, "1", ""));
    assert!(outcome.message().contains("has changed just now"), "{}", outcome.message());
    assert!(outcome.lines.iter().any(|line| line.contains("\"qnib-type1\"")), "{:?}", outcome.lines);
}

/// A registry with one manifest that states its media type, and has at least this many bytes.
fn by_digest(size: usize) -> (ScriptedRegistry, String, usize) {
    let body = json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "x": " ".repeat(size) }).to_string();
    let (digest, length) = (Digest::of(body.as_bytes()).to_string(), body.len());
    let mut upstream = ScriptedRegistry::default();
    upstream.by_digest.insert(digest.clone(), Some(Response::new(200, DOCKER_MANIFEST, body)));
    (upstream, digest, length)
}

/// An answer of MetaHub's own would be held whole for a client that does not read it.
#[test]
fn a_large_manifest_that_is_known_passes_by_its_digest() {
    let config = parse(&configuration());
    for size in [40_000, 100_000, 600_000] {
        let (upstream, digest, length) = by_digest(size);
        let path = format!("/v2/qnib/bench/manifests/{digest}");
        let get = || send(&config, "GET", &path, "qnib-type1", "qnib-type1", &upstream);
        assert_eq!(requests(&get()).last().map(String::as_str), Some("GET sha256"), "{size}: fetched and checked");
        let known = get();
        assert_eq!((known.status, requests(&known)), (200, vec!["GET own".to_owned()]), "{size}");
        assert_eq!(known.body.len(), length);
    }
}

/// The memory holds something small in the place of something large, so that the client's request went upstream as
/// HEAD.
#[test]
fn a_request_by_digest_goes_upstream_once() {
    let (config, (mut upstream, digest, _)) = (parse(&configuration()), by_digest(100_000));
    let repository = Repository::parse("qnib/bench").unwrap();
    let scope = CacheScope { cluster: "registry", prefix: None, repository: &repository };
    let _ = Cache::default().keep_document(&upstream.memory, scope, &digest, DOCKER_MANIFEST, b"small");
    upstream.refuses_own_head = Some(404);
    let path = format!("/v2/qnib/bench/manifests/{digest}");
    let get =
        |path: &str, upstream: &ScriptedRegistry| send(&config, "GET", path, "qnib-type1", "qnib-type1", upstream);
    let outcome = get(&path, &upstream);
    assert_eq!(requests(&outcome), ["HEAD own", "GET sha256"]);
    let again = outcome.header("location").to_owned();
    assert_eq!((outcome.status, again.as_str()), (307, format!("{path}?metahub-retry=1").as_str()));
    assert_eq!(get(&again, &upstream).status, 200, "what was learned lets it pass");
}
