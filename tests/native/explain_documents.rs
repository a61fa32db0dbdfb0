//! Which documents an explanation is made of: those that are named, by upstream or by the cache.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, OCI_INDEX};
use serde_json::{Value, json};

use super::driver::{configuration, exchange, parse, send};
use super::explain::children;
use super::flow_cache::requests;
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, child, list};

/// The requests that went upstream for an explanation, and its outcome.
fn ask(config: &Config, image: &str, upstream: &ScriptedRegistry) -> (Vec<String>, Outcome) {
    let path = format!("/metahub/v1/explain?image={image}");
    let outcome = send(config, "GET", &path, "qnib-type1", "qnib-type1", upstream);
    (requests(&outcome), outcome)
}

#[test]
fn what_is_explained_by_its_digest_has_it() {
    let (config, forged) = (parse(&configuration()), list(&[child(&["cpu:zen4"]).0]));
    let mut upstream = ScriptedRegistry::with_list(&children());
    let honest = upstream.index.clone().unwrap();
    let digest = Digest::of(&honest.body).to_string();
    upstream.by_digest.insert(digest.clone(), Some(Response::new(200, DOCKER_LIST, forged.clone())));
    let refused = |outcome: &Outcome| {
        assert_eq!((outcome.status, outcome.code().as_str()), (502, "MANIFEST_INVALID"));
        assert!(outcome.message().contains(&format!("hashes to {}", Digest::of(&forged))), "{}", outcome.message());
    };
    let (asked, outcome) = ask(&config, &format!("qnib/bench@{digest}"), &upstream);
    assert_eq!(asked, ["GET sha256"]);
    refused(&outcome);
    // The digest that a HEAD has named: the tag is known, and leads elsewhere now.
    upstream.index = Some(
        Response::new(200, DOCKER_LIST, forged.clone()).with("docker-content-digest", Digest::of(&forged).as_str()),
    );
    assert_eq!(exchange(&config, "GET", "qnib/bench:latest", "qnib-type1", &upstream).status, 404);
    upstream.index = Some(honest.clone());
    let (asked, outcome) = ask(&config, "qnib/bench:latest", &upstream);
    assert_eq!(asked, ["HEAD latest", "GET sha256"]);
    refused(&outcome);
    upstream.by_digest.insert(digest.clone(), Some(honest));
    for image in ["qnib/bench:latest", &format!("qnib/bench@{digest}")] {
        assert_eq!(ask(&config, image, &upstream).1.status, 200, "{image}");
    }
}

#[test]
fn nested_indexes_are_explained_out_of_the_cache_if_they_are_what_is_named() {
    let config = parse(&configuration());
    for (media_type, fits) in [(DOCKER_LIST, true), (OCI_INDEX, false)] {
        let mut upstream = ScriptedRegistry::with_list(&children());
        let inner = upstream.index.take().unwrap();
        let digest = Digest::of(&inner.body).to_string();
        let entry = json!({ "mediaType": media_type, "digest": digest, "size": inner.body.len(),
            "platform": { "os": "linux", "architecture": "amd64" } });
        upstream.by_digest.insert(digest.clone(), Some(inner));
        let outer = list(&[entry]);
        let named = Digest::of(&outer).to_string();
        upstream.index = Some(Response::new(200, DOCKER_LIST, outer).with("docker-content-digest", &named));
        let (asked, cold) = ask(&config, "qnib/bench", &upstream);
        assert_eq!(asked, ["GET latest", "GET sha256"]);
        let selected = child(&["cpu:broadwell"]).0["digest"].clone();
        let shown: Value = serde_json::from_slice(&cold.body).unwrap();
        assert_eq!(shown["machine_types"][0]["selected"] == selected, fits, "{shown}");
        // The cache learns the inner index by its digest, and the outer one from a pull.
        let path = format!("/v2/qnib/bench/manifests/{digest}");
        assert_eq!(send(&config, "GET", &path, "qnib-type1", "qnib-type1", &upstream).status, 200);
        exchange(&config, "GET", "qnib/bench:latest", "qnib-type1", &upstream);
        let (asked, warm) = ask(&config, "qnib/bench", &upstream);
        assert_eq!(asked, if fits { vec!["HEAD latest"] } else { vec!["HEAD latest", "GET sha256"] });
        assert_eq!(warm.body, cold.body, "{media_type}");
    }
}
