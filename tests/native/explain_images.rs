//! `explain` for images whose variants are tags: it says what pulls return.

use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};
use serde_json::{Value, json};

use super::driver::{parse, send};
use super::explain::explain_with;
use super::flow_images::{document, ollama, pull, push};
use super::scripted_registry::{Response, ScriptedRegistry, list};

/// Each machine type with the tag, the digest and the reason that it is told, all pages together.
fn told(document: &Value, query: &str, upstream: &ScriptedRegistry) -> Vec<(String, Value)> {
    let config = parse(document);
    let (mut query, mut told) = (query.to_owned(), Vec::new());
    loop {
        let (status, page) = explain_with(&config, "who", &query, upstream);
        assert_eq!(status, 200, "{page}");
        for group in page["machine_types"].as_array().unwrap() {
            let names = group["names"].as_array().unwrap();
            told.extend(names.iter().map(|name| (name.as_str().unwrap().to_owned(), group.clone())));
        }
        let Some(next) = page["next"].as_str() else { return told };
        query = next.split_once('?').unwrap().1.to_owned();
    }
}

/// Compares what each machine type is told with what its pull returns.
fn compare(document: &Value, tag: &str, upstream: &ScriptedRegistry) {
    let config = parse(document);
    let told = told(document, &format!("image=ollama/ollama:{tag}"), upstream);
    assert_eq!(told.len(), document["machine_types"].as_object().unwrap().len());
    for (name, told) in told {
        let pulled = pull(&config, &name, tag, upstream);
        let digest = (pulled.status == 200).then(|| pulled.header("docker-content-digest"));
        assert_eq!(told["selected"].as_str(), digest, "{name} {tag}: {told}");
        let reason = told["reason"].as_str().unwrap();
        if pulled.status == 200 {
            let selected = pulled.header("x-metahub-selected");
            assert!(selected.ends_with(reason), "{name} {tag}: {selected:?} {reason:?}");
            let names_tag = told["tag"].as_str().map(|tag| format!("tag {tag}; "));
            let agrees = names_tag.is_some_and(|names_tag| selected.contains(&names_tag));
            assert!(agrees || !selected.contains("tag "), "{selected:?} {told}");
        } else {
            assert!(pulled.message().ends_with(reason), "{name} {tag}: {:?} {reason:?}", pulled.message());
        }
    }
}

#[test]
fn says_what_pulls_return() {
    for on_no_match in ["refuse", "unfiltered"] {
        let mut document = document();
        document["on_no_match"] = json!(on_no_match);
        let mut upstream = ollama();
        push(&mut upstream, "0.6", &["amd64"]);
        push(&mut upstream, "0.7", &["arm64"]);
        push(&mut upstream, "0.7-rocm", &["arm64"]);
        upstream.by_digest.insert("0.8-rocm".to_owned(), Some(Response::new(503, "text/plain", "down")));
        push(&mut upstream, "0.8", &["amd64", "arm64"]);
        upstream.by_digest.insert("0.9-rocm".to_owned(), None);
        for tag in ["0.5", "0.6", "0.7", "0.8", "0.9"] {
            // First with nothing in the cache, then with all that the pulls left there.
            compare(&document, tag, &upstream);
            compare(&document, tag, &upstream);
        }
        // A rule without a line for everybody.
        document["images"]["ollama/ollama"] = json!([{ "tag": "*", "variants": [
            { "tag": "{tag}", "features": ["nvcap:8.0"] },
            { "tag": "{tag}-rocm", "features": ["gfx:gfx942"] },
        ] }]);
        for tag in ["0.5", "0.7"] {
            compare(&document, tag, &upstream);
        }
    }
}

#[test]
fn variants_that_differ_have_a_note_on_other_tools() {
    let (config, mut upstream) = (parse(&document()), ollama());
    push(&mut upstream, "0.6", &["amd64"]);
    push(&mut upstream, "0.6-rocm", &["amd64"]);
    let (_, explained) = explain_with(&config, "who", "image=ollama/ollama:0.6", &upstream);
    assert_eq!(explained["notes"].as_array().unwrap().len(), 1, "{explained}");
}

#[test]
fn lists_the_lines_with_what_is_behind_them() {
    let (config, mut upstream) = (parse(&document()), ollama());
    push(&mut upstream, "0.6", &["amd64"]);
    let (_, explained) = explain_with(&config, "who", "image=ollama/ollama:0.6", &upstream);
    let lines = explained["variants"].as_array().unwrap();
    assert_eq!((lines.len(), &explained["notes"]), (3, &json!([])), "{explained}");
    assert_eq!(lines[0]["requires"], json!(["nvcap:8.0"]));
    assert_eq!(lines[1]["tag"], "0.6-rocm");
    assert_eq!(lines[1]["requires"], json!(["architecture amd64", "gfx:gfx942"]));
    assert_eq!((&lines[1]["digest"], &lines[1]["problem"]), (&Value::Null, &json!("the registry has no such tag")));
    assert!(lines[2]["digest"].as_str().unwrap().starts_with("sha256:"));
    let told = told(&document(), "image=ollama/ollama:0.6&machine_type=rocm", &upstream);
    let [(name, rocm)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (name.as_str(), &rocm["tag"], &rocm["missing_variants"]),
        ("rocm", &json!("0.6"), &json!(["tag 0.6-rocm"]))
    );
    // Its own tag tells the rest.
    let (_, whole) = explain_with(&config, "who", "image=ollama/ollama:0.5-rocm", &upstream);
    assert_eq!(whole["entries"].as_array().unwrap().len(), 1);
}

#[test]
fn a_tag_of_a_line_is_asked_for_once() {
    let (config, upstream) = (parse(&document()), ollama());
    let path = "/metahub/v1/explain?image=ollama/ollama:0.5";
    let ask = || send(&config, "GET", path, "who", "", &upstream);
    let asked = ask().callouts;
    assert_eq!(asked.len(), 2, "{asked:?}");
    // With a cache that knows the tags it costs HEAD alone.
    for machine_type in ["cpu", "rocm"] {
        pull(&config, machine_type, "0.5", &upstream);
    }
    let asked = ask().callouts;
    assert!(asked.iter().all(|callout| callout.headers.contains(&(":method", "HEAD".to_owned()))), "{asked:?}");
    assert_eq!(asked.len(), 2);
}

#[test]
fn many_machine_types_come_in_pages() {
    let mut document = document();
    let types: serde_json::Map<String, Value> = (0..700)
        .map(|n| (format!("t{n:04}"), json!({ "architecture": "amd64", "features": [format!("rack:{}", n % 500)] })))
        .collect();
    document["machine_types"] = Value::Object(types);
    let upstream = ollama();
    let told = told(&document, "image=ollama/ollama:0.5", &upstream);
    let names: Vec<String> = told.into_iter().map(|(name, _)| name).collect();
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((names.len(), sorted.len()), (700, 700));
    let (_, first) = explain_with(&parse(&document), "who", "image=ollama/ollama:0.5", &upstream);
    assert!(first["next"].is_string() && first["machine_types"].as_array().unwrap().len() < 250, "bounded work");
}

#[test]
fn assumed_levels_are_explained() {
    let mut document = document();
    document["machine_types"] =
        json!({ "v1": { "architecture": "amd64" }, "v3": { "architecture": "amd64", "variant": "v3" } });
    document["images"]["ollama/ollama"] = json!([{ "tag": "*", "assume": { "amd64": "v3" } }]);
    let upstream = ollama();
    compare(&document, "0.5", &upstream);
    document["images"]["ollama/ollama"][0]["variants"] =
        json!([{ "tag": "{tag}-rocm", "architecture": "amd64", "variant": "v3" }]);
    compare(&document, "0.5", &upstream);
}

/// The documents behind a publisher's tags may be as large as an index may be. One that is not kept is asked for again.
#[test]
fn few_large_documents_are_kept_for_an_answer() {
    let mut document = document();
    document["machine_types"] = json!({
        "a": { "architecture": "amd64", "features": ["x"] }, "b": { "architecture": "amd64", "features": ["y"] },
    });
    let lines: Vec<Value> = (0..8).map(|number| json!({ "tag": format!("{{tag}}-{number}") })).collect();
    document["images"]["ollama/ollama"] = json!([{ "tag": "*", "variants": lines }]);
    let asked = |length: usize| {
        let mut upstream = ollama();
        for number in 0..8 {
            let entry = |platform: Value| {
                json!({
                    "mediaType": DOCKER_MANIFEST, "digest": Digest::of(b"").as_str(), "size": 1, "platform": platform,
                    "annotations": { "x": "x".repeat(length) },
                })
            };
            let bytes = list(&[entry(json!({ "os": "linux", "architecture": format!("none{number}") }))]);
            upstream.by_digest.insert(format!("0.5-{number}"), Some(Response::new(200, DOCKER_LIST, bytes)));
        }
        // What nothing fits in is not remembered by an explanation, so that both go through all tags.
        let path = "/metahub/v1/explain?image=ollama/ollama:0.5";
        let outcome = send(&parse(&document), "GET", path, "who", "", &upstream);
        let page: Value = serde_json::from_slice(&outcome.body).unwrap();
        assert_eq!(page["machine_types"].as_array().unwrap().len(), 2, "{page}");
        assert!(page["machine_types"].as_array().unwrap().iter().all(|group| group["tag"] == "0.5"), "{page}");
        assert!(page["variants"].as_array().unwrap().iter().all(|line| line["digest"].is_string()), "{page}");
        outcome.callouts.len()
    };
    assert_eq!(asked(10), 9);
    assert!(asked(4_000_000) > 9, "all of them were kept");
}
