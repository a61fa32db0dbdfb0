//! Images that machines find in other repositories: all that they read is read there.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use metahub::text::headers::HeaderChange;
use serde_json::{Value, json};

use super::driver::{basic, parse, send, send_headers};
use super::explain::explain_with;
use super::flow_images::{document, ollama, push, says};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, header_list};

/// One name over two repositories; the chosen one's tags have variants too.
fn mapped() -> Value {
    let mut document = document();
    document["images"] = json!({
        "vllm/vllm": [{ "repositories": [
            { "repository": "vllm/vllm-rocm", "architecture": "amd64", "features": ["gfx:gfx942"] },
        ] }],
        "vllm/vllm-rocm": [
            { "tag": "*", "variants": [{ "tag": "{tag}-rocm" }] },
            { "repositories": [{ "repository": "vllm/never" }] },
        ],
    });
    document
}

fn get(config: &Config, path: &str, machine_type: &str, upstream: &ScriptedRegistry) -> Outcome {
    send(config, "GET", path, &format!("x-{machine_type}"), "", upstream)
}

/// The path of the client's own request as the registry gets it.
fn path(outcome: &Outcome) -> Option<String> {
    outcome.changes.iter().find_map(|change| match change {
        HeaderChange::Set(":path", path) => Some(path.clone()),
        _ => None,
    })
}

#[test]
fn tags_are_read_in_the_chosen_repository_by_its_own_rules() {
    let (config, upstream) = (parse(&mapped()), ollama());
    let asked = |outcome: &Outcome| {
        let path = |headers: &[(&str, String)]| headers.iter().find(|(name, _)| *name == ":path").unwrap().1.clone();
        outcome.callouts.iter().map(|callout| path(&callout.headers)).collect::<Vec<_>>()
    };
    let rocm = get(&config, "/v2/vllm/vllm/manifests/0.5", "rocm", &upstream);
    assert_eq!(
        (says(&rocm), asked(&rocm)[0].as_str()),
        ("0.5-rocm amd64".to_owned(), "/v2/vllm/vllm-rocm/manifests/0.5-rocm")
    );
    let cpu = get(&config, "/v2/vllm/vllm/manifests/0.5", "cpu", &upstream);
    assert_eq!((says(&cpu), asked(&cpu)[0].as_str()), ("0.5 amd64".to_owned(), "/v2/vllm/vllm/manifests/0.5"));
    // The cache is the chosen repository's, whatever name it is asked by.
    let warm = get(&config, "/v2/vllm/vllm/manifests/0.5", "rocm", &upstream);
    assert_eq!(path(&warm).as_deref(), Some("/v2/vllm/vllm-rocm/manifests/0.5-rocm"));
    assert!(warm.callouts.is_empty());
}

#[test]
fn everything_else_is_read_there_too() {
    let (config, mut upstream) = (parse(&mapped()), ollama());
    let digest = Digest::of(b"blob");
    let link = "</v2/vllm/vllm-rocm/tags/list?n=1&last=a>; rel=\"next\"";
    upstream.by_digest.insert("list".to_owned(), Some(Response::new(200, "application/json", "{}").with("link", link)));
    let storage = "https://storage.example/v2/vllm/vllm-rocm/x";
    let moved = Response::new(307, "text/plain", "").with("location", storage);
    upstream.by_digest.insert(digest.to_string(), Some(moved));
    for (rest, expected) in [
        ("tags/list?n=1".to_owned(), "tags/list?n=1".to_owned()),
        (format!("blobs/{digest}"), format!("blobs/{digest}")),
        (format!("referrers/{digest}"), format!("referrers/{digest}")),
    ] {
        let rocm = get(&config, &format!("/v2/vllm/vllm/{rest}"), "rocm", &upstream);
        assert_eq!(path(&rocm), Some(format!("/v2/vllm/vllm-rocm/{expected}")));
        let cpu = get(&config, &format!("/v2/vllm/vllm/{rest}"), "cpu", &upstream);
        assert_eq!(path(&cpu), None, "{rest}");
    }
    let tags = get(&config, "/v2/vllm/vllm/tags/list", "rocm", &upstream);
    assert_eq!(tags.header("link"), "</v2/vllm/vllm/tags/list?n=1&last=a>; rel=\"next\"");
    let blob = get(&config, &format!("/v2/vllm/vllm/blobs/{digest}"), "rocm", &upstream);
    assert_eq!((blob.status, blob.header("location")), (307, storage), "another host's path is its own");
    let manifest = upstream.by_digest.keys().find(|key| key.starts_with("sha256:") && **key != digest.to_string());
    let outcome = get(&config, &format!("/v2/vllm/vllm/manifests/{}", manifest.unwrap()), "rocm", &upstream);
    assert_eq!(outcome.status, 200);
    let asked = &outcome.callouts[0].headers[1].1;
    assert!(asked.starts_with("/v2/vllm/vllm-rocm/manifests/sha256:"), "{asked}");
}

/// Both names count, and every read says as which machine.
#[test]
fn an_account_needs_both_repositories() {
    let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
    let mut document = mapped();
    document["registries"]["registry"]["authentication"] = json!("accounts");
    document["accounts"] = json!({
        "both": { "password": hash("both"), "repositories": ["vllm/*"] },
        "named": { "password": hash("named"), "repositories": ["vllm/vllm"] },
        "chosen": { "password": hash("chosen"), "repositories": ["vllm/vllm-rocm"] },
    });
    let (config, upstream) = (parse(&document), ollama());
    let tags = "/v2/vllm/vllm/tags/list";
    for path in ["/v2/vllm/vllm/manifests/0.5", tags, "/metahub/v1/explain?image=vllm/vllm:0.5&machine_type=rocm"] {
        for (account, expected) in [("both", 200), ("named", 403), ("chosen", 403)] {
            let outcome = send(&config, "GET", path, &format!("{account}-rocm"), account, &upstream);
            let status = if path == tags && outcome.status == 404 { 200 } else { outcome.status };
            assert_eq!(status, expected, "{account} {path}");
        }
    }
    assert_eq!(send(&config, "GET", "/v2/vllm/vllm/manifests/0.5", "named-cpu", "named", &upstream).status, 200);
    assert_eq!(send(&config, "GET", tags, "both", "both", &upstream).status, 403, "no machine type");
}

/// The token that the registry gets is for the repository that is read.
#[test]
fn tokens_are_for_the_chosen_repository() {
    let mut document = mapped();
    document["registries"]["registry"]["token_service"] =
        json!({ "cluster": "tokens", "realm": "https://auth.example/token" });
    let (config, mut upstream) = (parse(&document), ollama());
    upstream.by_digest.insert("token".to_owned(), Some(Response::new(200, "application/json", r#"{"token":"t"}"#)));
    let headers = header_list(&[
        (":method", "GET"),
        (":path", "/v2/vllm/vllm/manifests/0.5"),
        ("authorization", &basic("x-rocm", "")),
    ]);
    let outcome = send_headers(&config, &headers, &upstream);
    assert_eq!(says(&outcome), "0.5-rocm amd64");
    let scope = &outcome.callouts[0].headers[1].1;
    assert!(scope.contains("vllm/vllm-rocm") || scope.contains("vllm%2Fvllm-rocm"), "{scope}");
}

#[test]
fn explanations_are_about_one_repository_each() {
    let (config, mut upstream) = (parse(&mapped()), ollama());
    push(&mut upstream, "1", &["amd64"]);
    let mut query = "image=vllm/vllm:0.5".to_owned();
    let (mut told, mut pages) = (Vec::new(), 0);
    loop {
        let (status, page) = explain_with(&config, "who", &query, &upstream);
        assert_eq!((status, &page["image"]), (200, &json!("vllm/vllm:0.5")), "{page}");
        pages += 1;
        for group in page["machine_types"].as_array().unwrap() {
            for name in group["names"].as_array().unwrap() {
                told.push((name.as_str().unwrap().to_owned(), group["selected"].clone(), page["repository"].clone()));
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        query = next.split_once('?').unwrap().1.to_owned();
    }
    let names: Vec<&str> = told.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!((names, pages), (vec!["arm", "cpu", "nv", "old", "rocm"], 2));
    for (name, selected, repository) in &told {
        let pulled = get(&config, "/v2/vllm/vllm/manifests/0.5", name, &upstream);
        assert_eq!(selected.as_str(), Some(pulled.header("docker-content-digest")), "{name}");
        let expected = if name == "rocm" { json!("vllm/vllm-rocm") } else { Value::Null };
        assert_eq!(*repository, expected, "{name}");
    }
}

/// Paths in the answer to a manifest's digest are turned back, whether the answer is MetaHub's or passes.
#[test]
fn paths_in_answers_to_digests_are_turned_back() {
    let (config, mut upstream) = (parse(&mapped()), ollama());
    let bytes = br#"{"schemaVersion":2}"#.to_vec();
    let digest = Digest::of(&bytes).to_string();
    let (link, location) = ("</v2/vllm/vllm-rocm/x>; rel=\"next\"", "/v2/vllm/vllm-rocm/manifests/x");
    let answer = Response::new(200, "application/vnd.oci.image.manifest.v1+json", bytes);
    let answer = answer.with("link", link).with("location", location);
    upstream.by_digest.insert(digest.clone(), Some(answer.clone()));
    let path = format!("/v2/vllm/vllm/manifests/{digest}");
    for method in ["HEAD", "GET"] {
        let outcome = send(&config, method, &path, "x-rocm", "", &upstream);
        assert_eq!((outcome.status, outcome.header("location")), (200, "/v2/vllm/vllm/manifests/x"), "{method}");
        assert_eq!(outcome.header("link"), "</v2/vllm/vllm/x>; rel=\"next\"", "{method}");
    }
    upstream.by_digest.insert(digest, Some(Response { status: 307, ..answer }));
    let outcome = send(&config, "HEAD", &path, "x-rocm", "", &upstream);
    assert_eq!((outcome.status, outcome.header("location")), (307, "/v2/vllm/vllm/manifests/x"));
}
