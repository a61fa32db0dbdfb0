//! Images whose variants are tags: which tag a machine gets, and what is asked of the registry for it.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};
use serde_json::{Value, json};

use super::driver::{exchange, parse};
use super::flow_cache::requests;
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, list};

/// One name with a tag for AMD, as ollama/ollama has them.
pub(super) fn document() -> Value {
    json!({
        "machine_types": {
            "cpu": { "architecture": "amd64" },
            "rocm": { "architecture": "amd64", "features": ["gfx:gfx942"] },
            "old": { "architecture": "amd64", "features": ["gfx:gfx803"] },
            "nv": { "architecture": "amd64", "features": ["nvcap:8.6"] },
            "arm": { "architecture": "arm64" },
        },
        "registries": { "registry": { "host": "registry.example", "authentication": "none" } },
        "images": { "ollama/ollama": [
            { "tag": "nightly" },
            { "tag": "*", "variants": [
                { "tag": "{tag}", "features": ["nvcap:8.0"] },
                { "tag": "{tag}-rocm", "architecture": "amd64", "features": ["gfx:gfx942"] },
                { "tag": "{tag}" },
            ] },
        ] },
    })
}

/// An image that says what it is, for an architecture, and its entry in an index.
fn image(says: &str, architecture: &str) -> (Value, Vec<u8>) {
    let manifest = json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "says": says, "for": architecture });
    let bytes = manifest.to_string().into_bytes();
    let entry = json!({
        "mediaType": DOCKER_MANIFEST, "digest": Digest::of(&bytes).as_str(), "size": bytes.len(),
        "platform": { "os": "linux", "architecture": architecture },
    });
    (entry, bytes)
}

/// Pushes an index of images for these architectures.
pub(super) fn push(upstream: &mut ScriptedRegistry, tag: &str, architectures: &[&str]) {
    let children: Vec<_> = architectures.iter().map(|architecture| image(tag, architecture)).collect();
    for (_, bytes) in &children {
        let response = Response::new(200, DOCKER_MANIFEST, bytes.clone());
        upstream.by_digest.insert(Digest::of(bytes).to_string(), Some(response));
    }
    let bytes = list(&children.into_iter().map(|(entry, _)| entry).collect::<Vec<_>>());
    let digest = Digest::of(&bytes).to_string();
    let index = Response::new(200, DOCKER_LIST, bytes).with("docker-content-digest", &digest);
    upstream.by_digest.insert(tag.to_owned(), Some(index.clone()));
    upstream.by_digest.insert(digest, Some(index));
}

/// A registry with `0.5` for two architectures, and its variant for AMD.
pub(super) fn ollama() -> ScriptedRegistry {
    let mut upstream = ScriptedRegistry::default();
    upstream.memory.now.set(1_000);
    push(&mut upstream, "0.5", &["amd64", "arm64"]);
    push(&mut upstream, "0.5-rocm", &["amd64"]);
    upstream
}

pub(super) fn pull(config: &Config, machine_type: &str, tag: &str, upstream: &ScriptedRegistry) -> Outcome {
    exchange(config, "GET", &format!("ollama/ollama:{tag}"), &format!("x-{machine_type}"), upstream)
}

/// What an image says of itself.
pub(super) fn says(outcome: &Outcome) -> String {
    let body: Value = serde_json::from_slice(&outcome.body).unwrap();
    match body["says"].as_str() {
        Some(tag) => format!("{tag} {}", body["for"].as_str().unwrap()),
        None => format!("{} {}", outcome.status, outcome.message()),
    }
}

fn absent() -> Response {
    Response::new(404, "application/json", "{}")
}

#[test]
fn each_machine_gets_its_tag() {
    let (config, upstream) = (parse(&document()), ollama());
    let rows = [
        ("cpu", "0.5", "0.5 amd64"),
        ("old", "0.5", "0.5 amd64"),
        ("nv", "0.5", "0.5 amd64"),
        ("arm", "0.5", "0.5 arm64"),
        ("rocm", "0.5", "0.5-rocm amd64"),
        ("cpu", "0.5-rocm", "0.5-rocm amd64"),
    ];
    for (machine_type, tag, expected) in rows.into_iter().chain(rows) {
        assert_eq!(says(&pull(&config, machine_type, tag, &upstream)), expected, "{machine_type} {tag}");
    }
    let rocm = pull(&config, "rocm", "0.5", &upstream);
    let reason = "tag 0.5-rocm; linux/amd64; the only one that fits; 1 of 1 fit";
    assert_eq!(rocm.header("x-metahub-selected"), format!("{}: {reason}", rocm.header("docker-content-digest")));
    let named = pull(&config, "rocm", "0.5-rocm", &upstream);
    assert!(!named.header("x-metahub-selected").contains("tag "), "{}", named.header("x-metahub-selected"));
}

/// The whole index goes to those who see whole indexes, and a signature's tag is nobody's variant.
#[test]
fn some_requests_are_never_for_variants() {
    let mut document = document();
    document["default_machine_type"] = json!("unfiltered");
    let (config, mut upstream) = (parse(&document), ollama());
    let whole = exchange(&config, "GET", "ollama/ollama:0.5", "x", &upstream);
    assert_eq!((whole.status, requests(&whole)), (200, vec!["GET own".to_owned()]));
    assert!(!whole.changes.iter().any(|change| change.name() == ":path"), "{:?}", whole.changes);
    for tag in [format!("sha256-{}", "0".repeat(64)), "0.5.sig".to_owned(), "nightly".to_owned()] {
        push(&mut upstream, &tag, &["amd64"]);
        let outcome = pull(&config, "rocm", &tag, &upstream);
        let asked: Vec<_> = requests(&outcome).into_iter().filter(|request| request.contains("rocm")).collect();
        assert_eq!((outcome.status, asked), (200, Vec::new()), "{tag}");
    }
}

#[test]
fn no_failure_but_absence_demotes() {
    let rows = [(503, 503), (500, 503), (429, 429), (403, 403), (401, 403), (418, 418)];
    for (answered, expected) in rows {
        for known in [false, true] {
            let (config, mut upstream) = (parse(&document()), ollama());
            if known {
                assert_eq!(pull(&config, "rocm", "0.5", &upstream).status, 200);
            }
            let down = Response::new(answered, "application/json", "{}");
            upstream.by_digest.insert("0.5-rocm".to_owned(), Some(down));
            let outcome = pull(&config, "rocm", "0.5", &upstream);
            assert_eq!(outcome.status, expected, "{answered} {known}");
            let asked = requests(&outcome);
            assert!(!asked.iter().any(|request| request.ends_with("0.5")), "{answered} {known}: {asked:?}");
            // Nothing of it is remembered.
            push(&mut upstream, "0.5-rocm", &["amd64"]);
            assert_eq!(says(&pull(&config, "rocm", "0.5", &upstream)), "0.5-rocm amd64", "{answered} {known}");
        }
    }
    let (config, mut upstream) = (parse(&document()), ollama());
    upstream.by_digest.insert("0.5-rocm".to_owned(), None);
    let broken = pull(&config, "rocm", "0.5", &upstream);
    assert_eq!(broken.status, 503, "the connection breaks");
    assert!(broken.message().starts_with("ollama/ollama:0.5 for machine type rocm: tag 0.5-rocm: the registry "));
}

/// An index that lacks the manifest that it names is broken, and no reason to take another.
#[test]
fn a_broken_variant_does_not_demote() {
    let (config, mut upstream) = (parse(&document()), ollama());
    let (entry, bytes) = image("0.5-rocm", "amd64");
    assert_eq!(entry["digest"], Digest::of(&bytes).as_str());
    upstream.by_digest.insert(Digest::of(&bytes).to_string(), Some(absent()));
    let outcome = pull(&config, "rocm", "0.5", &upstream);
    assert_eq!((outcome.status, outcome.code().as_str()), (404, "MANIFEST_UNKNOWN"));
    assert!(outcome.message().contains("does not have the manifest sha256:"), "{}", outcome.message());
}

#[test]
fn a_machine_that_no_line_fits_gets_nothing() {
    let mut document = document();
    document["images"]["ollama/ollama"] = json!([
        { "tag": "*", "variants": [
            { "tag": "{tag}", "features": ["nvcap:8.0"] }, { "tag": "{tag}-x", "os": "windows" },
        ] },
    ]);
    let upstream = ollama();
    let none = pull(&parse(&document), "cpu", "0.5", &upstream);
    assert_eq!((none.status, none.code().as_str(), requests(&none).len()), (404, "MANIFEST_UNKNOWN", 0));
    assert_eq!(
        none.message(),
        "ollama/ollama:0.5 for machine type cpu: nothing fits; the variants are for linux/amd64 nvcap:8.0, \
         windows/amd64"
    );
    assert_eq!(
        (none.counters.as_slice(), none.header("x-metahub-machine-type")),
        (["metahub_no_match"].as_slice(), "cpu")
    );
    document["on_no_match"] = json!("unfiltered");
    let whole = pull(&parse(&document), "cpu", "0.5", &upstream);
    assert_eq!((whole.status, says(&whole)), (200, "0.5 amd64".to_owned()), "the tag itself, as if there were no rule");
}

/// Where the registry owns the passwords, its word comes before one about lines.
#[test]
fn a_login_is_checked_before_it_learns_of_lines() {
    let mut document = document();
    document["registries"]["registry"]["authentication"] = json!("upstream");
    document["images"]["ollama/ollama"] = json!([{ "tag": "*", "variants": [{ "tag": "{tag}", "features": ["no"] }] }]);
    let (config, mut upstream) = (parse(&document), ollama());
    upstream.by_digest.insert(String::new(), Some(Response::new(200, "application/json", "{}")));
    assert_eq!(pull(&config, "cpu", "0.5", &upstream).status, 404);
    upstream.by_digest.insert(String::new(), Some(Response::new(401, "application/json", "{}")));
    assert_eq!(pull(&config, "cpu", "0.5", &upstream).status, 401);
}

#[test]
fn a_search_without_a_result_says_what_is_missing() {
    let config = parse(&document());
    let mut upstream = ollama();
    let none = pull(&config, "rocm", "0.6", &upstream);
    assert_eq!((none.status, none.code().as_str()), (404, "MANIFEST_UNKNOWN"));
    assert_eq!(none.message(), "ollama/ollama:0.6 for machine type rocm: the registry has no tag 0.6-rocm, 0.6");
    assert!(none.lines.is_empty() && none.counters.is_empty(), "a tag that nobody has is nobody's fault");
    // The last tag is asked for each time: it may have been pushed.
    assert_eq!(requests(&pull(&config, "rocm", "0.6", &upstream)), ["GET 0.6"]);
    push(&mut upstream, "0.6", &["arm64"]);
    let unfit = pull(&config, "rocm", "0.6", &upstream);
    assert_eq!(
        unfit.message(),
        "ollama/ollama:0.6 for machine type rocm: tag 0.6: nothing fits; the index offers linux/arm64; \
         the registry has no tag 0.6-rocm"
    );
    assert_eq!(unfit.counters, ["metahub_no_match"]);
    let mut unfiltered = document();
    unfiltered["on_no_match"] = json!("unfiltered");
    let whole = pull(&parse(&unfiltered), "rocm", "0.6", &upstream);
    assert_eq!(whole.header("docker-content-digest"), upstream.by_digest["0.6"].as_ref().unwrap().headers[2].1);
    push(&mut upstream, "0.7-rocm", &["amd64"]);
    assert_eq!(says(&pull(&config, "rocm", "0.7", &upstream)), "0.7-rocm amd64", "the tag itself need not exist");
    assert_eq!(pull(&config, "cpu", "0.7", &upstream).status, 404);
}

#[test]
fn a_single_manifest_is_a_variant_too() {
    let (config, mut upstream) = (parse(&document()), ollama());
    let (_, bytes) = image("0.5-rocm", "amd64");
    let digest = Digest::of(&bytes).to_string();
    let single = Response::new(200, DOCKER_MANIFEST, bytes).with("docker-content-digest", &digest);
    upstream.by_digest.insert("0.5-rocm".to_owned(), Some(single));
    for _ in 0..2 {
        let outcome = pull(&config, "rocm", "0.5", &upstream);
        assert_eq!(says(&outcome), "0.5-rocm amd64");
        assert_eq!(outcome.header("x-metahub-selected"), "tag 0.5-rocm; passed through: not an index");
    }
}

#[test]
fn a_search_ends_after_half_a_minute() {
    let config = parse(&document());
    let mut upstream = ollama();
    upstream.by_digest.remove("0.5-rocm");
    upstream.seconds = 29;
    assert_eq!(
        says(&pull(&config, "rocm", "0.5", &upstream)),
        "503 ollama/ollama:0.5 for machine type rocm: \
        the registry registry.example takes more than 30 s to show its tags; try again later"
    );
    upstream.memory.now.set(10_000);
    upstream.seconds = 14;
    let mut document = document();
    document["images"]["ollama/ollama"][1]["variants"] = json!([{ "tag": "{tag}" }]);
    assert_eq!(says(&pull(&parse(&document), "cpu", "0.5", &upstream)), "0.5 amd64");
}

/// Entries that say nothing of their level are believed to need the one that the operator says.
#[test]
fn levels_are_assumed() {
    let mut document = document();
    document["machine_types"] = json!({
        "v1": { "architecture": "amd64" }, "v3": { "architecture": "amd64", "variant": "v3" },
        "arm": { "architecture": "arm64" },
    });
    document["images"] = json!({ "ollama/ollama": [{ "tag": "0*", "assume": { "amd64": "v3" } }] });
    let mut upstream = ollama();
    push(&mut upstream, "1", &["amd64"]);
    // The same cache with and without the rule: one must not answer for the other.
    let mut without = document.clone();
    without["images"] = json!({});
    for _ in 0..2 {
        assert_eq!(says(&pull(&parse(&without), "v1", "0.5", &upstream)), "0.5 amd64");
        let config = parse(&document);
        let refused = pull(&config, "v1", "0.5", &upstream);
        assert!(refused.message().ends_with("nothing fits; the index offers linux/amd64/v3, linux/arm64"));
        let v3 = pull(&config, "v3", "0.5", &upstream);
        assert_eq!(says(&v3), "0.5 amd64");
        assert!(v3.header("x-metahub-selected").contains("linux/amd64/v3"), "{}", v3.header("x-metahub-selected"));
        assert_eq!(says(&pull(&config, "arm", "0.5", &upstream)), "0.5 arm64");
        assert_eq!(says(&pull(&config, "v1", "1", &upstream)), "1 amd64", "another tag");
    }
}

/// A large manifest passes from the registry, and a client whose own request has gone is sent round by the tag that it
/// asked for.
#[test]
fn a_large_variant_passes_from_the_registry() {
    let (config, mut upstream) = (parse(&document()), ollama());
    let bytes = json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "says": "large", "x": "x".repeat(70_000) });
    let bytes = bytes.to_string().into_bytes();
    let digest = Digest::of(&bytes).to_string();
    let large = Response::new(200, DOCKER_MANIFEST, bytes).with("docker-content-digest", &digest);
    let small = upstream.by_digest.insert("0.5-rocm".to_owned(), Some(large.clone())).unwrap();
    upstream.by_digest.insert(digest.clone(), Some(large.clone()));
    for _ in 0..2 {
        let outcome = pull(&config, "rocm", "0.5", &upstream);
        assert_eq!((outcome.status, outcome.header("docker-content-digest")), (200, digest.as_str()));
        assert!(outcome.header("x-metahub-selected").starts_with("tag 0.5-rocm; "), "{:?}", outcome.headers);
    }
    upstream.by_digest.insert("0.5-rocm".to_owned(), small);
    assert_eq!(says(&pull(&config, "rocm", "0.5", &upstream)), "0.5-rocm amd64");
    upstream.by_digest.insert("0.5-rocm".to_owned(), Some(large));
    let round = pull(&config, "rocm", "0.5", &upstream);
    assert_eq!((round.status, round.header("location")), (307, "/v2/ollama/ollama/manifests/0.5?metahub-retry=1"));
}
