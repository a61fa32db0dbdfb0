//! The ends of a caller's permission, and doubts about a token: each refusal counts at once, and a temporary fault
//! takes nothing from any client.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use serde_json::{Value, json};

use super::driver::{configuration, parse, send};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, child};

const MANIFEST: &str = "/v2/qnib/bench/manifests/latest";

fn demo() -> ScriptedRegistry {
    let upstream = ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:broadwell"])]);
    upstream.memory.now.set(10_000);
    upstream
}

/// A registry to which clients bring their own passwords, and which may be down for an hour; with these fields.
fn stale_for_an_hour(fields: Value) -> Config {
    let mut document = configuration();
    document["cache"] = json!({ "serve_stale_on_error": "1h" });
    let registry = document["registries"]["registry"].as_object_mut().unwrap();
    registry.insert("authentication".to_owned(), json!("upstream"));
    registry.extend(fields.as_object().unwrap().clone());
    parse(&document)
}

fn with_token_service() -> Config {
    let service = json!({ "cluster": "auth", "realm": "https://auth.example/token", "service": "hub" });
    stale_for_an_hour(json!({ "token_service": service }))
}

/// An answer of a token service, with a token that is valid for this many seconds.
fn token(token: &str, seconds: u32) -> Option<Response> {
    let body = json!({ "token": token, "expires_in": seconds }).to_string();
    Some(Response::new(200, "application/json", body))
}

fn down() -> Option<Response> {
    Some(Response::new(502, "text/html", ""))
}

fn pull(config: &Config, user: &str, upstream: &ScriptedRegistry) -> Outcome {
    send(config, "GET", MANIFEST, user, "pw", upstream)
}

/// Lets the tag lead to another index, whose only image gets this answer.
fn move_to(upstream: &mut ScriptedRegistry, answer: &Response) {
    let moved = ScriptedRegistry::with_list(&[child(&["cpu:haswell"])]);
    let index = moved.index.unwrap();
    upstream.by_digest.insert(Digest::of(&index.body).to_string(), Some(index.clone()));
    upstream.by_digest.extend(moved.by_digest.into_keys().map(|digest| (digest, Some(answer.clone()))));
    upstream.index = Some(index);
}

#[test]
fn an_image_that_is_denied_ends_what_was_confirmed() {
    let (config, mut upstream) = (stale_for_an_hour(json!({})), demo());
    assert_eq!([pull(&config, "me-type1", &upstream).status, pull(&config, "you-type1", &upstream).status], [200, 200]);
    move_to(&mut upstream, &Response::new(403, "application/json", "{}"));
    let outcome = pull(&config, "me-type1", &upstream);
    assert_eq!((outcome.status, outcome.code().as_str()), (403, "DENIED"));
    upstream.index = down();
    assert_eq!(pull(&config, "me-type1", &upstream).status, 503, "nothing stands in any more");
    assert_eq!(pull(&config, "you-type1", &upstream).status, 200, "another's is another's");
}

#[test]
fn what_a_full_envoy_says_of_an_image_is_no_outage() {
    let (config, mut upstream) = (stale_for_an_hour(json!({})), demo());
    assert_eq!(pull(&config, "me-type1", &upstream).status, 200);
    move_to(&mut upstream, &Response::new(503, "text/plain", "").with("x-envoy-overloaded", "true"));
    let outcome = pull(&config, "me-type1", &upstream);
    assert_eq!((outcome.status, outcome.header("retry-after")), (503, "1"));
    assert!(outcome.message().contains("too many requests"), "{}", outcome.message());
    move_to(&mut upstream, &Response::new(503, "text/plain", ""));
    assert_eq!(pull(&config, "me-type1", &upstream).status, 200, "the registry's own word is one");
}

/// The token service refuses when a token is asked for, or when the registry has refused the one before.
#[test]
fn a_refusal_of_the_token_service_ends_what_was_confirmed() {
    let config = with_token_service();
    for (status, first) in [(401, true), (403, true), (401, false), (403, false)] {
        let mut upstream = demo();
        upstream.by_digest.insert("token".to_owned(), token("t", 3000));
        assert_eq!(pull(&config, "me-type1", &upstream).status, 200);
        assert_eq!(pull(&config, "you-type1", &upstream).status, 200);
        let up = std::mem::replace(&mut upstream.index, down());
        assert_eq!(pull(&config, "me-type1", &upstream).status, 200, "stale");
        upstream.index = up;
        if first {
            upstream.memory.now.set(13_100);
        } else {
            upstream.refuses = Some(("Bearer t".to_owned(), 401));
        }
        upstream.by_digest.insert("token".to_owned(), Some(Response::new(status, "text/plain", "")));
        assert_eq!(pull(&config, "me-type1", &upstream).status, status, "{first}");
        upstream.by_digest.insert("token".to_owned(), token("other", 3000));
        (upstream.refuses, upstream.index) = (None, down());
        assert_eq!(pull(&config, "me-type1", &upstream).status, 503, "{status} {first}: nothing stands in any more");
        assert_eq!(pull(&config, "you-type1", &upstream).status, 200, "another's is another's");
    }
}

/// 401 is about the token. 400 may be about one client's request, and all clients that may use the token share it.
#[test]
fn a_token_is_forgotten_for_401_only() {
    let config = with_token_service();
    let digest = child(&["cpu:broadwell"]).0["digest"].as_str().unwrap().to_owned();
    let by_digest = format!("/v2/qnib/bench/manifests/{digest}");
    let explain = "/metahub/v1/explain?image=qnib/bench";
    for path in [MANIFEST, by_digest.as_str(), explain, "/metahub/v1/machine-types"] {
        for (status, next) in [(401, "Bearer new"), (400, "Bearer old")] {
            let mut upstream = demo();
            upstream.by_digest.insert(String::new(), Some(Response::new(200, "application/json", "{}")));
            upstream.by_digest.insert("token".to_owned(), token("old", 300));
            let get = |upstream: &ScriptedRegistry| send(&config, "GET", path, "me-type1", "pw", upstream);
            assert_eq!(get(&upstream).status, 200, "{path}");
            upstream.memory.now.set(10_100);
            upstream.refuses = Some(("Bearer old".to_owned(), status));
            // No other token comes at once.
            upstream.by_digest.insert("token".to_owned(), Some(Response::new(500, "text/plain", "")));
            get(&upstream);
            upstream.refuses = None;
            upstream.by_digest.insert("token".to_owned(), token("new", 300));
            let outcome = get(&upstream);
            assert_eq!((outcome.status, outcome.authorization), (200, Some(Some(next.to_owned()))), "{path} {status}");
        }
    }
}
