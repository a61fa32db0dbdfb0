//! A wrong statement of a registry or a client must not be believed, kept, or held against others.

use metahub::flow::{Event, Step, WorkerState, begin};
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_MANIFEST};
use metahub::text::headers::{HeaderChange, Headers};
use serde_json::{Value, json};

use super::driver::{arrival, basic, configuration, exchange, parse, send, send_headers};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, child, header_list};

pub(super) const IMAGE: &str = "qnib/bench:latest";

pub(super) fn demo() -> ScriptedRegistry {
    ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:skylake"]), child(&["cpu:broadwell"])])
}

fn broadwell() -> String {
    Digest::of(&child(&["cpu:broadwell"]).1).to_string()
}

fn pull(config: &Value, upstream: &ScriptedRegistry) -> Outcome {
    exchange(&parse(config), "GET", IMAGE, "qnib-type1", upstream)
}

/// The demo's index under another content type.
fn retyped(upstream: &ScriptedRegistry, media_type: &str) -> Response {
    upstream.index.clone().unwrap().without("content-type").with("content-type", media_type)
}

/// Issue 11: an index under the type of an image was served to every machine.
#[test]
fn an_index_is_one_whatever_its_content_type() {
    for media_type in
        [DOCKER_MANIFEST, OCI_MANIFEST, "application/vnd.docker.distribution.manifest.v1+json", "text/html"]
    {
        let mut upstream = demo();
        let honest = upstream.index.replace(retyped(&upstream, media_type));
        for _ in 0..2 {
            let outcome = pull(&configuration(), &upstream);
            assert_eq!((outcome.status, outcome.header("docker-content-digest")), (200, broadwell().as_str()));
            assert_eq!(outcome.header("content-type"), DOCKER_MANIFEST, "{media_type}");
        }
        // Nothing of the lie is left.
        let digest = honest.as_ref().map(|index| Digest::of(&index.body).to_string()).unwrap();
        upstream.by_digest.insert(digest.clone(), honest);
        let path = format!("/v2/qnib/bench/manifests/{digest}");
        let outcome = send(&parse(&configuration()), "GET", &path, "qnib-type1", "qnib-type1", &upstream);
        assert_eq!((outcome.status, outcome.header("content-type")), (200, DOCKER_LIST), "{media_type}");
    }
}

/// Issue 11: an index under the type of an image stayed in the cache.
#[test]
fn a_wrong_content_type_is_not_kept_by_digest_either() {
    let mut upstream = demo();
    let honest = upstream.index.clone();
    let digest = Digest::of(&honest.as_ref().unwrap().body).to_string();
    let get = |upstream: &ScriptedRegistry| {
        let path = format!("/v2/qnib/bench/manifests/{digest}");
        send(&parse(&configuration()), "GET", &path, "qnib-type1", "qnib-type1", upstream)
    };
    upstream.by_digest.insert(digest.clone(), Some(retyped(&upstream, OCI_MANIFEST)));
    assert_eq!(get(&upstream).header("content-type"), OCI_MANIFEST, "the registry's word, this once");
    upstream.by_digest.insert(digest.clone(), honest);
    assert_eq!(get(&upstream).header("content-type"), DOCKER_LIST);
    assert_eq!(pull(&configuration(), &upstream).header("docker-content-digest"), broadwell());
}

/// A registry that gives a document the type that the client has asked for: the first client does not decide for the
/// others.
/// Issue 11: within `tag_ttl` the `Accept` of one client decided for all.
#[test]
fn what_one_client_accepts_is_not_kept_for_the_others() {
    let oci = br#"{"schemaVersion":2,"config":{},"layers":[]}"#.to_vec();
    for (document, right, wrong) in
        [(child(&["cpu:broadwell"]).1, DOCKER_MANIFEST, OCI_MANIFEST), (oci, OCI_MANIFEST, DOCKER_MANIFEST)]
    {
        let digest = Digest::of(&document).to_string();
        for wrong in [wrong, "text/html", "application/json", ""] {
            let mut upstream = demo();
            let mut get = |media_type: &str| {
                let answer = Response::new(200, media_type, document.clone());
                upstream.by_digest.insert(digest.clone(), Some(answer));
                let path = format!("/v2/qnib/bench/manifests/{digest}");
                let outcome = send(&parse(&configuration()), "GET", &path, "qnib-type1", "qnib-type1", &upstream);
                assert_eq!(outcome.status, 200);
                outcome.header("content-type").to_owned()
            };
            assert_eq!(get(wrong), wrong, "the registry's word, this once");
            assert_eq!(get(right), right, "after {wrong:?}");
            // The true statement is kept.
            assert_eq!(get(wrong), right, "{wrong:?} again");
        }
    }
}

/// Runtimes refuse a manifest whose own `mediaType` is not its `Content-Type`.
#[test]
fn a_manifest_of_another_type_than_it_says_is_not_kept() {
    let (_, bytes) = child(&["cpu:broadwell"]);
    let (digest, own) = (Digest::of(&bytes).to_string(), DOCKER_MANIFEST);
    let response = |media_type: &str| {
        Some(demo().by_digest[&digest].clone().unwrap().without("content-type").with("content-type", media_type))
    };
    let path = format!("/v2/qnib/bench/manifests/{digest}");
    for lie in [OCI_MANIFEST, "text/html", "application/json"] {
        let mut upstream = demo();
        let get = |upstream: &ScriptedRegistry| {
            send(&parse(&configuration()), "GET", &path, "qnib-type1", "qnib-type1", upstream)
                .header("content-type")
                .to_owned()
        };
        upstream.by_digest.insert(digest.clone(), response(lie));
        assert_eq!(get(&upstream), lie, "the registry's word, this once");
        upstream.by_digest.insert(digest.clone(), response(own));
        assert_eq!([get(&upstream), get(&upstream)], [own, own], "by digest, {lie}");
        // The tag of a single manifest.
        let mut upstream = demo();
        let single = |media_type| response(media_type).map(|response| response.with("docker-content-digest", &digest));
        upstream.index = single(lie);
        upstream.by_digest.insert(digest.clone(), response(own));
        assert_eq!(pull(&configuration(), &upstream).header("content-type"), lie, "the registry's word, this once");
        upstream.index = single(own);
        for _ in 0..2 {
            let outcome = pull(&configuration(), &upstream);
            assert_eq!((outcome.status, outcome.header("content-type")), (200, own), "by tag, {lie}");
        }
    }
}

/// A front end refuses a long query, with 502 perhaps; one client must not be able to cause that for others.
#[test]
fn an_ns_that_is_no_host_goes_nowhere() {
    let ask = |ns: &str| {
        let path = format!("/v2/qnib/bench/manifests/latest?ns={ns}");
        let outcome = send(&parse(&configuration()), "GET", &path, "qnib-type1", "qnib-type1", &demo());
        (outcome.status, outcome.callouts.is_empty() && outcome.asked.is_none())
    };
    for ns in ["docker.io", "localhost:5000", "localhost%3A5000", "[::1]:5000", ""] {
        assert_eq!(ask(ns), (200, false), "{ns}");
    }
    for ns in [&"x".repeat(300), "<script>", "a;b", "a'b"] {
        assert_eq!(ask(ns), (400, true), "{ns}");
    }
}

#[test]
fn an_index_that_passed_through_once_under_another_type_passes_through_again() {
    let mut config = configuration();
    config["on_no_match"] = json!("unfiltered");
    let mut upstream = ScriptedRegistry::with_list(&[]);
    upstream.index = ScriptedRegistry::with_list(&[child(&["cpu:graniterapids"])]).index;
    let honest = upstream.index.clone().unwrap();
    upstream.by_digest.insert(Digest::of(&honest.body).to_string(), Some(honest.clone()));
    upstream.index = Some(retyped(&upstream, "text/html"));
    assert_eq!(pull(&config, &upstream).header("content-type"), "text/html", "the registry's word, this once");
    upstream.index = Some(honest);
    for _ in 0..2 {
        let outcome = pull(&config, &upstream);
        assert_eq!((outcome.status, outcome.header("content-type")), (200, DOCKER_LIST), "{}", outcome.message());
    }
}

#[test]
fn an_image_that_is_an_index_is_refused() {
    let inner = demo();
    let bytes = inner.index.as_ref().unwrap().body.clone();
    let platform = json!({ "os": "linux", "architecture": "amd64" });
    let digest = Digest::of(&bytes).to_string();
    let entry = json!({ "mediaType": DOCKER_MANIFEST, "digest": digest, "size": bytes.len(), "platform": platform });
    let upstream = ScriptedRegistry::with_list(&[(entry, bytes)]);
    let outcome = pull(&configuration(), &upstream);
    assert_eq!((outcome.status, outcome.code().as_str()), (502, "MANIFEST_INVALID"));
    assert!(outcome.message().contains("is an index, and not one image"), "{}", outcome.message());
}

#[test]
fn head_is_given_up_only_where_it_is_useless_and_for_minutes() {
    for (status, useless) in [(405, true), (501, true), (400, false), (403, false), (414, false), (431, false)] {
        let mut upstream = demo();
        upstream.memory.now.set(10_000);
        assert_eq!(pull(&configuration(), &upstream).status, 200);
        upstream.refuses_head = Some(status);
        let refused = pull(&configuration(), &upstream);
        assert_eq!((refused.status, refused.asked.as_deref()), (200, Some("HEAD")), "{status}");
        upstream.refuses_head = None;
        assert_eq!(pull(&configuration(), &upstream).asked.is_none(), useless, "{status}");
        upstream.memory.now.set(10_000 + 300);
        // The first pull after that finds out, the next one uses it.
        pull(&configuration(), &upstream);
        assert_eq!(pull(&configuration(), &upstream).asked.as_deref(), Some("HEAD"), "{status}");
    }
}

/// A front end may refuse the headers of a client that are forwarded; that must not affect other clients.
/// Issue 11: one refused header list made MetaHub ask with GET instead of HEAD for an hour.
#[test]
fn what_a_client_brings_about_is_not_held_against_others() {
    let mut document = configuration();
    document["cache"] = json!({ "serve_stale_on_error": "1h" });
    document["registries"]["registry"]["authentication"] = json!("upstream");
    let config = parse(&document);
    let as_me = |upstream: &ScriptedRegistry| {
        send(&config, "GET", "/v2/qnib/bench/manifests/latest", "me-type1", "pw", upstream)
    };
    for status in [405, 501, 502, 503] {
        let mut upstream = demo();
        assert_eq!(as_me(&upstream).status, 200);
        upstream.refuses_own_head = Some(status);
        let outcome = as_me(&upstream);
        let asked: Vec<&str> = outcome.callouts.iter().map(|callout| callout.headers[0].1.as_str()).collect();
        assert_eq!((outcome.status, outcome.header("docker-content-digest")), (200, broadwell().as_str()), "{status}");
        assert_eq!(asked, ["HEAD"], "{status}: asked again, without the client's headers");
        assert!(!outcome.counters.contains(&"metahub_served_stale"), "{status}");
        // The registry has revoked the permission, and the client keeps it from saying so.
        upstream.refuses = Some((basic("me", "pw"), 403));
        assert_ne!(as_me(&upstream).status, 200, "{status}");
        (upstream.refuses, upstream.refuses_own_head) = (None, None);
        assert_eq!(as_me(&upstream).asked.as_deref(), Some("HEAD"), "{status}: HEAD is not given up");
    }
}

#[test]
fn a_client_adds_nothing_to_what_a_registry_is_asked() {
    let (config, upstream) = (parse(&configuration()), demo());
    let authorization = basic("qnib-type1", "qnib-type1");
    let path = "/v2/qnib/bench/manifests/latest?x=y&ns=docker.io&metahub-retry=1";
    let long = "x".repeat(9000);
    let headers = header_list(&[
        (":method", "GET"),
        (":path", path),
        ("authorization", &authorization),
        ("accept", &long),
        ("user-agent", &long),
        ("x-forwarded-for", &long),
        ("x-long", &long),
        ("cookie", "a=b"),
        ("if-none-match", "\"x\""),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ]);
    send_headers(&config, &headers, &upstream);
    let outcome = send_headers(&config, &headers, &upstream);
    let mut removed = Vec::new();
    let mut set = Vec::new();
    for change in &outcome.changes {
        match change {
            HeaderChange::Set("authorization", _) => panic!("the client's or another's"),
            HeaderChange::Set(name, value) => set.push((*name, value.as_str())),
            HeaderChange::Remove(name) => removed.push(name.as_ref()),
        }
    }
    removed.sort_unstable();
    assert_eq!(removed, ["authorization", "cookie", "if-none-match", "user-agent", "x-forwarded-for", "x-long"]);
    let accept = metahub::oci::media_type::ALL.join(", ");
    let path = "/v2/qnib/bench/manifests/latest?ns=docker.io";
    assert_eq!(set, [(":method", "HEAD"), ("accept", accept.as_str()), (":path", path)]);
}

/// Issue 11: a user whose permission was revoked was served stale answers.
#[test]
fn a_refusal_ends_what_was_confirmed() {
    let mut document = configuration();
    document["cache"] = json!({ "serve_stale_on_error": "1h" });
    document["registries"]["registry"]["authentication"] = json!("upstream");
    let as_user = |upstream: &ScriptedRegistry, user: &str| {
        let path = "/v2/qnib/bench/manifests/latest";
        send(&parse(&document), "GET", path, user, "password", upstream).status
    };
    for status in [401, 403] {
        let mut upstream = demo();
        upstream.memory.now.set(10_000);
        assert_eq!([as_user(&upstream, "me-type1"), as_user(&upstream, "you-type1")], [200, 200]);
        let index = upstream.index.clone();
        upstream.index = Some(Response::new(502, "text/html", ""));
        assert_eq!([as_user(&upstream, "me-type1"), as_user(&upstream, "you-type1")], [200, 200], "stale");
        upstream.refuses = Some((basic("me", "password"), status));
        assert_ne!(as_user(&upstream, "me-type1"), 200, "{status}");
        upstream.refuses = None;
        upstream.memory.now.set(10_001);
        assert_eq!(as_user(&upstream, "me-type1"), 503, "{status}: nothing stands in any more");
        assert_eq!(as_user(&upstream, "you-type1"), 200, "another's is another's");
        // The registry's word makes it good again.
        upstream.index = index;
        assert_eq!(as_user(&upstream, "me-type1"), 200);
        upstream.index = Some(Response::new(502, "text/html", ""));
        assert_eq!(as_user(&upstream, "me-type1"), 200, "{status}");
    }
}

/// The rule holds for every resource of the repository that the registry refuses.
#[test]
fn each_refusal_ends_what_was_confirmed() {
    let mut document = configuration();
    document["cache"] = json!({ "serve_stale_on_error": "1h", "tag_ttl": "1h" });
    document["registries"]["registry"]["authentication"] = json!("upstream");
    let config = parse(&document);
    let blob = format!("/v2/qnib/bench/blobs/{}", Digest::of(b"blob"));
    for refused in [blob.as_str(), "/v2/qnib/bench/tags/list", "/metahub/v1/explain?image=qnib/bench"] {
        let mut upstream = demo();
        let get =
            |upstream: &ScriptedRegistry, path: &str| send(&config, "GET", path, "me-type1", "password", upstream);
        let tag = "/v2/qnib/bench/manifests/latest";
        assert_eq!(get(&upstream, tag).status, 200);
        assert_eq!(get(&upstream, tag).asked, None, "within the ttl");
        upstream.refuses = Some((basic("me", "password"), 403));
        assert_ne!(get(&upstream, refused).status, 200, "{refused}");
        upstream.refuses = None;
        assert_eq!(get(&upstream, tag).asked.as_deref(), Some("HEAD"), "the registry is asked again after {refused}");
    }
}

#[test]
fn a_tag_that_is_gone_is_gone_while_the_registry_is_down() {
    let mut document = configuration();
    document["cache"] = json!({ "serve_stale_on_error": "1h" });
    let mut upstream = demo();
    assert_eq!(pull(&document, &upstream).status, 200);
    upstream.index = Some(Response::new(404, "application/json", "{}"));
    assert_eq!(pull(&document, &upstream).status, 404);
    upstream.index = Some(Response::new(502, "text/html", ""));
    assert_eq!(pull(&document, &upstream).status, 503);
}

/// Issue 11: a client that filled the connections of Envoy brought stale answers about.
#[test]
fn a_full_envoy_is_no_registry_that_is_down() {
    let mut document = configuration();
    document["cache"] = json!({ "serve_stale_on_error": "1h" });
    let mut upstream = demo();
    assert_eq!(pull(&document, &upstream).status, 200);
    upstream.index = Some(Response::new(503, "text/plain", "").with("x-envoy-overloaded", "true"));
    let outcome = pull(&document, &upstream);
    assert_eq!((outcome.status, outcome.header("retry-after")), (503, "1"));
    assert!(outcome.message().contains("too many requests"), "{}", outcome.message());
}

#[test]
fn a_challenge_leaves_with_a_401_only() {
    let (config, upstream) = (parse(&configuration()), ScriptedRegistry::default());
    let authorization = basic("qnib-type1", "qnib-type1");
    let headers = header_list(&[(":method", "GET"), (":path", "/v2/a/tags/list"), ("authorization", &authorization)]);
    let state = begin(&config, &upstream.memory, &WorkerState::default(), arrival(Some("registry"), &headers)).exchange;
    let response = header_list(&[(":status", "200"), ("www-authenticate", "Basic realm=\"https://evil.example\"")]);
    let event = Event::ResponseHeaders { headers: Headers(&response), end: false };
    let effects = state.advance(&upstream.memory, &event);
    assert_eq!(effects.step, Step::Continue(vec![HeaderChange::Remove("www-authenticate".into())]));
}

#[test]
fn what_envoy_answers_itself_goes_to_the_client() {
    let mut document = configuration();
    document["registries"]["registry"]["token_service"] =
        json!({ "cluster": "tokens", "realm": "https://auth.example/token" });
    let config = parse(&document);
    let memory = ScriptedRegistry::default().memory;
    let authorization = basic("qnib-type1", "qnib-type1");
    for path in ["/v2/a/blobs/latest", "/v2/a/manifests/latest", "/v2/a/tags/list", "/metahub/v1/explain?image=a"] {
        let path = path.replace("blobs/latest", &format!("blobs/{}", Digest::of(b"x")));
        let headers = header_list(&[(":method", "GET"), (":path", &path), ("authorization", &authorization)]);
        let effects = begin(&config, &memory, &WorkerState::default(), arrival(Some("registry"), &headers));
        assert!(matches!(effects.step, Step::CallOut(_)), "{path}: {:?}", effects.step);
        let timeout = header_list(&[(":status", "408")]);
        let event = Event::ResponseHeaders { headers: Headers(&timeout), end: false };
        let effects = effects.exchange.advance(&memory, &event);
        assert_eq!(effects.step, Step::Continue(Vec::new()), "{path}");
        assert!(effects.exchange.is_done(), "{path}");
    }
}
