//! `If-None-Match` (RFC 9110 §13.1.2): what a client gets that has a manifest already.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_MANIFEST, OCI_INDEX};
use serde_json::json;

use super::driver::{basic, configuration, parse, send_headers};
use super::flow_cache::{demo, large, requests, with_cache};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, child, header_list};

fn ask(config: &Config, method: &str, reference: &str, conditions: &[&str], upstream: &ScriptedRegistry) -> Outcome {
    let (path, authorization) = (format!("/v2/qnib/bench/manifests/{reference}"), basic("qnib-type1", "qnib-type1"));
    let mut headers = vec![(":method", method), (":path", &path), ("authorization", &authorization)];
    headers.extend(conditions.iter().map(|condition| ("if-none-match", *condition)));
    send_headers(config, &header_list(&headers), upstream)
}

/// The headers that a 304 has: those of the 200, without what is said of a body.
fn about(whole: &Outcome) -> Vec<(String, String)> {
    let mut headers: Vec<_> = whole.headers.clone().into_iter().collect();
    headers.retain(|(name, _)| !["content-type", "content-length"].contains(&name.as_str()));
    headers.sort();
    headers
}

/// Issue 15: a client that has its machine's manifest got it once more.
#[test]
fn a_client_gets_no_manifest_of_a_tag_that_it_has() {
    let images: [fn() -> ScriptedRegistry; 4] = [
        demo,
        || large(100_000).1,
        || large(600_000).1,
        // Not an index: it passes.
        || ScriptedRegistry { index: Some(Response::new(200, DOCKER_MANIFEST, child(&[]).1)), ..demo() },
    ];
    for (number, image) in images.into_iter().enumerate() {
        for cache in [json!({}), json!({ "bytes": 0 }), json!({ "tag_ttl": "60s" })] {
            let config = parse(&with_cache(&cache));
            let upstream = image();
            let whole = ask(&config, "GET", "latest", &[], &upstream);
            let digest = whole.header("docker-content-digest").to_owned();
            let index = format!("\"{}\"", Digest::of(b"another"));
            let strong = format!("\"{digest}\"");
            let (weak, among) = (format!("W/{strong}"), format!("{index}, {strong}"));
            for (conditions, expected) in [
                (&[strong.as_str()][..], 304),
                (&[&weak], 304),
                (&[&among], 304),
                (&[&index, &strong], 304),
                (&["*"], 304),
                (&[&index], 200),
                (&[&digest], 200),
            ] {
                for method in ["GET", "HEAD"] {
                    let cold = image();
                    for (upstream, known) in [(&cold, false), (&upstream, true)] {
                        let context = format!("image {number}, {cache}, {method} {conditions:?}, known: {known}");
                        let outcome = ask(&config, method, "latest", conditions, upstream);
                        assert_eq!(outcome.status, expected, "{context}");
                        assert_eq!(about(&outcome), about(&whole), "{context}");
                        assert_eq!(outcome.counters, whole.counters, "{context}");
                        if expected == 304 {
                            assert!(outcome.body.is_empty() && outcome.header("content-type").is_empty(), "{context}");
                        } else if method == "GET" {
                            assert_eq!(outcome.body, whole.body, "{context}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_large_manifest_that_the_client_has_is_not_fetched() {
    let (config, upstream, digest) = large(100_000);
    ask(&config, "GET", "latest", &[], &upstream);
    let outcome = ask(&config, "GET", "latest", &[&format!("\"{digest}\"")], &upstream);
    assert_eq!((outcome.status, requests(&outcome)), (304, vec!["HEAD latest".to_owned()]));
}

#[test]
fn a_condition_changes_no_refusal() {
    let config = parse(&configuration());
    let nothing_fits = ScriptedRegistry::with_list(&[child(&["cpu:zen4"])]);
    let missing = ScriptedRegistry::default();
    let down = ScriptedRegistry { index: Some(Response::new(503, "text/plain", "")), ..ScriptedRegistry::default() };
    for (upstream, status) in [(nothing_fits, 404), (missing, 404), (down, 503)] {
        assert_eq!(ask(&config, "GET", "latest", &["*"], &upstream).status, status);
    }
}

/// By digest the registry knows what the client has, so it is asked with the condition. Where MetaHub must see the
/// whole document, it asks without, and answers the condition itself.
#[test]
fn by_digest_the_condition_is_answered_where_metahub_sees_the_document() {
    let mut document = configuration();
    document["index_by_digest"] = json!("refuse");
    let refuse = parse(&document);
    for size in [10, 100_000] {
        let (pass, upstream, digest) = large(size);
        let strong = format!("\"{digest}\"");
        for (method, condition, status) in
            [("GET", strong.as_str(), 304), ("HEAD", &strong, 304), ("GET", "*", 304), ("GET", "\"x\"", 200)]
        {
            let outcome = ask(&refuse, method, &digest, &[condition], &upstream);
            assert_eq!(outcome.status, status, "{method} {condition} of {size} bytes");
            if status == 304 {
                let told = (outcome.header("docker-content-digest"), outcome.header("etag"), outcome.body.len());
                assert_eq!(told, (digest.as_str(), strong.as_str(), 0), "{method} {condition} of {size} bytes");
            }
            upstream.memory.values.borrow_mut().clear();
            let passed = ask(&pass, method, &digest, &[condition], &upstream);
            let changed = passed.changes.iter().map(|change| change.name()).collect::<Vec<_>>();
            assert_eq!((passed.status, changed), (200, vec!["authorization"]), "{method} {condition}");
        }
    }
    let index = json!({ "mediaType": OCI_INDEX, "manifests": [child(&[]).0] }).to_string();
    let digest = Digest::of(index.as_bytes()).to_string();
    let mut upstream = ScriptedRegistry::default();
    upstream.by_digest.insert(digest.clone(), Some(Response::new(200, OCI_INDEX, index)));
    assert_eq!(ask(&refuse, "GET", &digest, &[&format!("\"{digest}\"")], &upstream).status, 403);
}
