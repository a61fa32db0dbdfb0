//! `registries.*.prefix`: the registry sees it in every path and token, and nobody else does.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use metahub::text::headers::HeaderChange;
use serde_json::{Value, json};

use super::driver::{exchange, parse, send};
use super::explain::explain_with;
use super::flow_cache::{large, with_cache};
use super::flow_images::{document, ollama, push, says};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry};

/// An image whose variants are tags, one that a machine finds in another repository, and a default namespace.
fn with(prefix: Option<&str>) -> Config {
    let mut document = document();
    document["registries"]["registry"]["prefix"] = json!(prefix);
    document["registries"]["registry"]["default_namespace"] = json!("library");
    document["images"]["vllm/vllm"] = json!([{ "repositories": [
        { "repository": "vllm/vllm-rocm", "architecture": "amd64", "features": ["gfx:gfx942"] },
    ] }]);
    parse(&document)
}

fn get(config: &Config, path: &str, machine_type: &str, upstream: &ScriptedRegistry) -> Outcome {
    send(config, "GET", path, &format!("x-{machine_type}"), "", upstream)
}

/// The paths that the registry is asked for: by callouts, then by the client's own request.
pub(super) fn asked(outcome: &Outcome, sent: &str) -> Vec<String> {
    let path = |headers: &[(&str, String)]| headers.iter().find(|(name, _)| *name == ":path").unwrap().1.clone();
    let mut paths: Vec<String> = outcome.callouts.iter().map(|callout| path(&callout.headers)).collect();
    let own = outcome.changes.iter().rev().find_map(|change| match change {
        HeaderChange::Set(":path", path) => Some(path.clone()),
        _ => None,
    });
    paths.extend(outcome.asked.is_some().then(|| own.unwrap_or_else(|| sent.to_owned())));
    paths
}

#[test]
fn every_request_to_the_registry_has_it() {
    let (config, upstream) = (with(Some("hub/cache")), ollama());
    let digest = Digest::of(b"blob");
    let rows = [
        ("/v2/ollama/ollama/manifests/0.5", "cpu", "hub/cache/ollama/ollama/"),
        ("/v2/ollama/ollama/manifests/0.5", "rocm", "hub/cache/ollama/ollama/"),
        ("/v2/vllm/vllm/manifests/0.5", "rocm", "hub/cache/vllm/vllm-rocm/"),
        ("/v2/nginx/manifests/0.5", "cpu", "hub/cache/library/nginx/"),
        ("/v2/library/nginx/tags/list?n=1", "cpu", "hub/cache/library/nginx/"),
        ("/v2/nginx/tags/list?n=1", "cpu", "hub/cache/library/nginx/"),
        ("/v2/vllm/vllm/tags/list", "rocm", "hub/cache/vllm/vllm-rocm/"),
        (&format!("/v2/nginx/blobs/{digest}"), "cpu", "hub/cache/library/nginx/"),
        (&format!("/v2/a/b/referrers/{digest}?artifactType=x"), "cpu", "hub/cache/a/b/"),
        (&format!("/v2/a/b/manifests/{digest}"), "cpu", "hub/cache/a/b/"),
        ("/metahub/v1/explain?image=nginx:0.5", "cpu", "hub/cache/library/nginx/"),
    ];
    // The second round is answered from what the first one has left.
    for (path, machine_type, expected) in rows.into_iter().chain(rows) {
        let outcome = get(&config, path, machine_type, &upstream);
        let asked = asked(&outcome, path);
        assert!(!asked.is_empty(), "{path}");
        for asked in &asked {
            assert!(asked.starts_with(&format!("/v2/{expected}")), "{path}: {asked}");
        }
        if let Some((_, rest)) = path.split_once("/tags/list") {
            assert!(asked[0].ends_with(&format!("/tags/list{rest}")), "{path}: {asked:?}");
        }
    }
    assert_eq!(says(&get(&config, "/v2/ollama/ollama/manifests/0.5", "rocm", &upstream)), "0.5-rocm amd64");
}

/// A large manifest is not fetched by a callout: the client's own request does, by the registry's name.
#[test]
fn large_manifests_are_there_too() {
    for cache in [json!({}), json!({ "bytes": 0 }), json!({ "tag_ttl": "1m" })] {
        let mut document = with_cache(&cache);
        document["registries"]["registry"]["prefix"] = json!("hub/cache");
        let (config, upstream) = (parse(&document), large(100_000).1);
        for method in ["GET", "HEAD", "GET"] {
            let outcome = exchange(&config, method, "qnib/bench:latest", "qnib-type1", &upstream);
            assert_eq!(outcome.status, 200, "{cache} {method}");
            let asked = asked(&outcome, "");
            assert!(
                asked.iter().all(|path| path.starts_with("/v2/hub/cache/qnib/bench/")),
                "{cache} {method}: {asked:?}"
            );
        }
    }
}

#[test]
fn answers_name_paths_without_it() {
    let (config, mut upstream) = (with(Some("cache")), ollama());
    let digest = Digest::of(b"blob").to_string();
    let link = "</v2/cache/library/nginx/tags/list?n=1&last=a>; rel=\"next\"";
    upstream.by_digest.insert("list".to_owned(), Some(Response::new(200, "application/json", "{}").with("link", link)));
    let tags = get(&config, "/v2/nginx/tags/list?n=1", "cpu", &upstream);
    assert_eq!(tags.header("link"), "</v2/library/nginx/tags/list?n=1&last=a>; rel=\"next\"");
    for (location, expected) in [
        ("/v2/cache/library/nginx/blobs/x", "/v2/library/nginx/blobs/x"),
        ("https://storage.example/v2/cache/library/nginx/x", "https://storage.example/v2/cache/library/nginx/x"),
    ] {
        let moved = Response::new(307, "text/plain", "").with("location", location);
        upstream.by_digest.insert(digest.clone(), Some(moved));
        for kind in ["blobs", "manifests", "referrers"] {
            let outcome = get(&config, &format!("/v2/nginx/{kind}/{digest}"), "cpu", &upstream);
            assert_eq!((outcome.status, outcome.header("location")), (307, expected), "{kind}");
        }
    }
}

/// MetaHub's own answers lead clients back to the name that they use, and no part of it is taken for the registry's.
#[test]
fn a_second_round_is_for_the_name_of_clients() {
    let (mut document, mut upstream) = (document(), ollama());
    document["registries"]["registry"]["prefix"] = json!("a");
    document["images"] = json!({ "a/b/c": [{ "repositories": [{ "repository": "a/b", "architecture": "amd64" }] }] });
    let config = parse(&document);
    push(&mut upstream, "latest", &["amd64"]);
    let path = "/v2/a/b/c/manifests/latest";
    assert_eq!(get(&config, path, "cpu", &upstream).status, 200);
    // What the HEAD names is a manifest that only the client may make sense of.
    upstream.by_digest.insert("latest".to_owned(), Some(Response::new(418, "text/plain", "")));
    let bad = Response::new(200, "text/plain", "x".repeat(100_000));
    let digest = Digest::of(&bad.body).to_string();
    upstream.by_digest.insert(digest.clone(), Some(bad.with("docker-content-digest", &digest)));
    upstream.head = Some(Response::new(200, "text/plain", "").with("docker-content-digest", &digest));
    let outcome = get(&config, path, "cpu", &upstream);
    assert_eq!(
        (outcome.status, outcome.header("location")),
        (307, "/v2/a/b/c/manifests/latest?metahub-retry=1"),
        "{:?}",
        outcome.lines
    );
}

#[test]
fn tokens_are_for_the_registrys_repository() {
    let mut document = document();
    let registry = &mut document["registries"]["registry"];
    registry["token_service"] = json!({ "cluster": "tokens", "realm": "https://auth.example/token" });
    let mut upstream = ollama();
    upstream.by_digest.insert("token".to_owned(), Some(Response::new(200, "application/json", r#"{"token":"t"}"#)));
    let tokens = |document: &Value| {
        let outcome = get(&parse(document), "/v2/a/b/tags/list", "cpu", &upstream);
        let callouts = outcome.callouts.iter().filter(|callout| callout.cluster == "tokens");
        callouts.map(|callout| callout.headers[1].1.clone()).collect::<Vec<_>>()
    };
    assert_eq!(tokens(&document), ["/token?scope=repository%3Aa%2Fb%3Apull"]);
    document["registries"]["registry"]["prefix"] = json!("cache");
    assert_eq!(tokens(&document), ["/token?scope=repository%3Acache%2Fa%2Fb%3Apull"], "no token of the other name");
    assert_eq!(tokens(&document), Vec::<String>::new());
    document["registries"]["registry"]["prefix"] = json!("cache/a");
    let outcome = get(&parse(&document), "/v2/b/tags/list", "cpu", &upstream);
    assert!(outcome.callouts.is_empty(), "the same repository of the same registry");
}

/// A reload that changes the prefix leads to other repositories: nothing that was kept of the old ones is theirs.
#[test]
fn another_prefix_shares_nothing() {
    let upstream = ollama();
    let path = "/v2/ollama/ollama/manifests/0.5";
    for prefix in [None, Some("one"), Some("two")] {
        let config = with(prefix);
        let counters = |outcome: Outcome| {
            outcome.cache.into_iter().filter(|name| *name != "metahub_cache_bytes").collect::<Vec<_>>()
        };
        assert_eq!(counters(get(&config, path, "rocm", &upstream)), ["metahub_cache_miss"], "{prefix:?}");
        assert_eq!(counters(get(&config, path, "rocm", &upstream)), ["metahub_cache_hit"], "{prefix:?}");
    }
}

#[test]
fn permissions_and_explanations_are_about_the_name_of_clients() {
    let mut document = document();
    document["registries"]["registry"]["prefix"] = json!("cache");
    document["registries"]["registry"]["authentication"] = json!("accounts");
    document["accounts"] = json!({
        "team": { "password": bcrypt::hash("team", 4).unwrap(), "repositories": ["ollama/*"] },
        "other": { "password": bcrypt::hash("other", 4).unwrap(), "repositories": ["cache/**"] },
    });
    let (config, upstream) = (parse(&document), ollama());
    let path = "/v2/ollama/ollama/manifests/0.5";
    assert_eq!(send(&config, "GET", path, "team-rocm", "team", &upstream).status, 200);
    assert_eq!(send(&config, "GET", path, "other-rocm", "other", &upstream).status, 403);
    let (status, page) = explain_with(&config, "team", "image=ollama/ollama:0.5", &upstream);
    assert_eq!((status, &page["image"]), (200, &json!("ollama/ollama:0.5")));
    assert!(!page.to_string().contains("cache/"), "{page}");
}

/// A build pipeline pushes to the repository that the cache has its images from, not into the cache.
#[test]
fn events_are_about_the_name_of_clients() {
    let mut document = document();
    document["registries"]["registry"]["prefix"] = json!("cache");
    document["events"] = json!({ "cluster": "builds", "host": "builds.example" });
    let (config, mut upstream) = (parse(&document), ollama());
    push(&mut upstream, "0.5-rocm", &["arm64"]);
    push(&mut upstream, "0.5", &["arm64"]);
    let outcome = get(&config, "/v2/ollama/ollama/manifests/0.5", "rocm", &upstream);
    assert_eq!((outcome.status, outcome.events.len()), (404, 1), "{:?}", outcome.lines);
    let event: Value = serde_json::from_str(&outcome.events[0]).unwrap();
    assert_eq!(event["repository"], json!("ollama/ollama"));
    assert!(outcome.lines.iter().any(|line| line.contains("ollama/ollama:0.5")), "{:?}", outcome.lines);
    assert!(outcome.lines.iter().all(|line| !line.contains("cache/")), "{:?}", outcome.lines);
}
