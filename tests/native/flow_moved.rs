//! A tag that has moved, at registries that do not have everything by its digest.

use metahub::oci::digest::Digest;
use serde_json::{Value, json};

use super::driver::{configuration, exchange, parse};
use super::explain::{everybody, explain_with};
use super::flow_cache::{DEMO, demo, requests};
use super::scripted_registry::{Response, ScriptedRegistry, child};

/// Lets the tag point to a new index with one image, which the registry does not have by its digest. Returns the
/// image's digest.
fn move_tag(upstream: &mut ScriptedRegistry) -> String {
    let (entry, bytes) = child(&["cpu:haswell"]);
    let digest = entry["digest"].as_str().unwrap().to_owned();
    let moved = ScriptedRegistry::with_list(&[(entry, bytes)]);
    upstream.index = moved.index;
    upstream.by_digest.extend(moved.by_digest);
    digest
}

/// Issue 14: the client got the 404.
#[test]
fn an_index_that_is_not_there_by_digest_is_asked_for_by_the_tag() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    let pull = |upstream: &ScriptedRegistry| exchange(&config, "GET", DEMO, "qnib-type1", upstream);
    assert_eq!(pull(&upstream).status, 200);
    let image = move_tag(&mut upstream);
    let moved = pull(&upstream);
    assert_eq!((moved.status, moved.header("docker-content-digest")), (200, image.as_str()), "{:?}", moved.lines);
    assert_eq!(requests(&moved), ["HEAD own", "GET sha256", "GET latest", "GET sha256"]);
    assert_eq!(requests(&pull(&upstream)), ["HEAD own"], "the index is known from then on");
}

/// The tag is asked for once, and upstream's answer to that is the client's.
#[test]
fn a_tag_that_is_gone_too_is_not_found() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    assert_eq!(exchange(&config, "GET", DEMO, "qnib-type1", &upstream).status, 200);
    let digest = Digest::of(b"gone");
    // HEAD finds the tag, GET does not, by neither name.
    let gone = Response::new(404, "application/json", r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#);
    let found = Response::new(200, "text/plain", "").with("docker-content-digest", digest.as_str());
    upstream.index = Some(gone.clone());
    upstream.head = Some(found);
    let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
    assert_eq!((outcome.status, &outcome.body), (404, &gone.body));
    assert_eq!(requests(&outcome), ["HEAD own", "GET sha256", "GET latest"]);
}

/// What an index names can be asked for by its digest only.
#[test]
fn a_selected_image_that_is_not_there_by_digest_is_an_error() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    assert_eq!(exchange(&config, "GET", DEMO, "qnib-type1", &upstream).status, 200);
    let image = move_tag(&mut upstream);
    upstream.by_digest.remove(&image);
    upstream.by_digest.insert(image.clone(), Some(Response::new(404, "application/json", "{}")));
    let outcome = exchange(&config, "GET", DEMO, "qnib-type1", &upstream);
    assert_eq!((outcome.status, outcome.code().as_str()), (404, "MANIFEST_UNKNOWN"));
    assert!(outcome.message().contains(&format!("does not have the manifest {image}")), "{}", outcome.message());
}

#[test]
fn an_explanation_asks_by_the_tag_too() {
    let (config, mut upstream) = (parse(&everybody()), demo());
    assert_eq!(exchange(&config, "GET", "a:latest", "x-a-skylake", &upstream).status, 200);
    let image = move_tag(&mut upstream);
    let (status, page) = explain_with(&config, "who", "image=a", &upstream);
    assert_eq!((status, &page["machine_types"][0]["selected"]), (200, &json!(image)), "{page}");
    // A digest has no other name.
    let index = Digest::of(&demo().index.unwrap().body);
    let (status, error): (u16, Value) = explain_with(&config, "who", &format!("image=a@{index}"), &upstream);
    assert_eq!((status, &error["errors"][0]["code"]), (404, &json!("MANIFEST_UNKNOWN")));
}
