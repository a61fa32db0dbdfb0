//! The walk that `explain` describes is the one that a pull goes: for all indexes both come to the same.

use metahub::config::Config;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::driver::{exchange, parse};
use super::explain::{everybody, explain_with};
use super::scripted_registry::{Response, ScriptedRegistry};

/// A document that an index names.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Image,
    /// Named as larger than any manifest that is read.
    Vast,
    Index {
        entries: Vec<(Requirements, Node)>,
        kind: Kind,
    },
}

/// The fault of an index.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Sound,
    Artifacts,
    Malformed,
    Missing,
    BreaksOff,
    AnotherSize,
    AnotherType,
    Vast,
}

/// Architecture (none: an entry without a platform) and features of an entry.
pub(super) type Requirements = (Option<&'static str>, Vec<&'static str>);

fn requirements() -> impl Strategy<Value = Requirements> {
    let architecture = prop_oneof![
        6 => Just(Some("amd64")),
        2 => Just(Some("arm64")),
        1 => Just(Some("386")),
        1 => Just(Some("unknown")),
        2 => Just(None),
    ];
    let features = vec!["cpu:skylake", "cpu:broadwell", "cpu:icelake", "rack:1"];
    (architecture, proptest::sample::subsequence(features, 0..=2))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        20 => Just(Kind::Sound),
        1 => Just(Kind::Artifacts),
        1 => Just(Kind::Malformed),
        1 => Just(Kind::Missing),
        1 => Just(Kind::BreaksOff),
        1 => Just(Kind::AnotherSize),
        1 => Just(Kind::AnotherType),
        1 => Just(Kind::Vast),
    ]
}

fn index(node: impl Strategy<Value = Node>) -> impl Strategy<Value = Node> {
    let entries = prop::collection::vec((requirements(), node), 0..4);
    (entries, kind()).prop_map(|(entries, kind)| Node::Index { entries, kind })
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![8 => Just(Node::Image), 1 => Just(Node::Vast)];
    leaf.prop_recursive(5, 40, 4, |node| prop_oneof![1 => Just(Node::Image), 3 => index(node)])
}

/// Puts a document that an index names into the registry, and returns its descriptor. `place` makes the bytes of each
/// image different.
fn publish(node: &Node, place: &str, upstream: &mut ScriptedRegistry) -> Value {
    match node {
        Node::Image | Node::Vast => {
            let bytes = json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "at": place }).to_string();
            let digest = Digest::of(bytes.as_bytes()).to_string();
            let size = if matches!(node, Node::Vast) { 5 << 20 } else { bytes.len() };
            upstream.by_digest.insert(digest.clone(), Some(Response::new(200, DOCKER_MANIFEST, bytes)));
            json!({ "mediaType": DOCKER_MANIFEST, "digest": digest, "size": size })
        }
        Node::Index { entries, kind } => {
            let bytes = document(entries, *kind, place, upstream);
            let digest = Digest::of(&bytes).to_string();
            let size = match kind {
                Kind::Vast => 5 << 20,
                Kind::AnotherSize => bytes.len() + 1,
                _ => bytes.len(),
            };
            let media_type = if matches!(kind, Kind::AnotherType) { OCI_INDEX } else { DOCKER_LIST };
            let response = Some(Response::new(200, media_type, bytes)).filter(|_| !matches!(kind, Kind::BreaksOff));
            if !matches!(kind, Kind::Missing) {
                upstream.by_digest.insert(digest.clone(), response);
            }
            json!({ "mediaType": DOCKER_LIST, "digest": digest, "size": size })
        }
    }
}

fn document(entries: &[(Requirements, Node)], kind: Kind, place: &str, upstream: &mut ScriptedRegistry) -> Vec<u8> {
    let entry = |(position, ((architecture, features), node)): (usize, &(Requirements, Node))| {
        let mut entry = publish(node, &format!("{place}.{position}"), upstream);
        if let Some(architecture) = architecture {
            entry["platform"] = json!({ "os": "linux", "architecture": architecture, "features": features });
        }
        entry
    };
    let entries: Vec<Value> = entries.iter().enumerate().map(entry).collect();
    let mut document = json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries });
    if matches!(kind, Kind::Artifacts) {
        document["artifactType"] = json!("application/vnd.example");
    }
    let mut bytes = document.to_string().into_bytes();
    if matches!(kind, Kind::Malformed) {
        bytes.pop();
    }
    bytes
}

pub(super) fn registry(entries: &[(Requirements, Node)], kind: Kind) -> ScriptedRegistry {
    let mut upstream = ScriptedRegistry::default();
    let bytes = document(entries, kind, "root", &mut upstream);
    upstream.index = Some(Response::new(200, DOCKER_LIST, bytes));
    upstream
}

/// The result of every machine type's pull: the digest, or the message to the client. With the reason, or an empty
/// text.
fn pulled(config: &Config, names: &[String], upstream: &ScriptedRegistry) -> Vec<(Option<String>, String)> {
    let pull = |name: &String| {
        let outcome = exchange(config, "GET", "a:latest", &format!("x-{name}"), upstream);
        if outcome.status == 200 {
            let digest = outcome.header("docker-content-digest").to_owned();
            let why = outcome.header("x-metahub-selected");
            let why = why.strip_prefix(&format!("{digest}: ")).unwrap_or(why).to_owned();
            return (Some(digest), why);
        }
        let message = outcome.message();
        let said = message.strip_prefix(&format!("a:latest for machine type {name}: ")).unwrap();
        (None, said.to_owned())
    };
    names.iter().map(pull).collect()
}

/// The answer of all pages of the explanation for every machine type; for an image that cannot be explained, its error.
fn explained(config: &Config, names: &[String], upstream: &ScriptedRegistry) -> Vec<(Option<String>, String)> {
    let mut verdicts = std::collections::BTreeMap::new();
    let mut query = "image=a".to_owned();
    loop {
        let (status, page) = explain_with(config, "who", &query, upstream);
        if status != 200 {
            let message = page["errors"][0]["message"].as_str().unwrap();
            return vec![(None, message.strip_prefix("a:latest: ").unwrap().to_owned()); names.len()];
        }
        for group in page["machine_types"].as_array().unwrap() {
            for name in group["names"].as_array().unwrap() {
                let verdict =
                    (group["selected"].as_str().map(str::to_owned), group["reason"].as_str().unwrap().to_owned());
                let twice = verdicts.insert(name.as_str().unwrap().to_owned(), verdict);
                assert_eq!(twice, None, "{name}");
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        query = next.split_once('?').unwrap().1.to_owned();
    }
    assert!(verdicts.keys().eq(names), "each machine type once");
    verdicts.into_values().collect()
}

fn names(document: &Value) -> Vec<String> {
    let mut names: Vec<String> = document["machine_types"].as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

pub(super) fn machines(on_no_match: &str) -> Value {
    let mut document = everybody();
    document["on_no_match"] = json!(on_no_match);
    document["machine_types"]["f-rack"] = json!({ "features": ["cpu:icelake", "rack:1"] });
    document["machine_types"]["g-64-bit"] = json!({ "architecture": "amd64", "run_32_bit": false });
    document
}

#[track_caller]
pub(super) fn alike(document: &Value, upstream: &ScriptedRegistry) -> Vec<(Option<String>, String)> {
    let (config, names) = (parse(document), names(document));
    let explained = explained(&config, &names, upstream);
    assert_eq!(explained, pulled(&config, &names, upstream));
    explained
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_explanation_says_what_pulls_come_to(
        entries in prop::collection::vec((requirements(), node()), 0..6),
        kind in prop_oneof![10 => Just(Kind::Sound), 1 => Just(Kind::Artifacts), 1 => Just(Kind::Malformed)],
        on_no_match in prop_oneof![Just("refuse"), Just("unfiltered")],
    ) {
        alike(&machines(on_no_match), &registry(&entries, kind));
    }
}

fn around(node: Node) -> Node {
    Node::Index { entries: vec![((Some("amd64"), Vec::new()), node)], kind: Kind::Sound }
}

/// Issue 11: an explanation said something else than a pull.
#[test]
fn four_levels_of_nesting_are_too_deep_in_the_words_of_a_pull() {
    let three = around(around(around(Node::Image)));
    let said = alike(&machines("refuse"), &registry(&[((Some("amd64"), Vec::new()), three)], Kind::Sound));
    assert_eq!(said[0], (None, "indexes are nested deeper than 3 levels".to_owned()));
}

/// Issue 11: selection never leads to the first of these, and yet it ended all explanations.
#[test]
fn a_nested_index_that_is_too_large_concerns_only_those_whom_it_fits() {
    let vast = Node::Index { entries: Vec::new(), kind: Kind::Vast };
    let entries = [((Some("arm64"), Vec::new()), vast), ((Some("amd64"), Vec::new()), around(Node::Image))];
    let said = alike(&machines("refuse"), &registry(&entries, Kind::Sound));
    assert!(said[0].0.is_some(), "{said:?}");
    assert_eq!(said[4], (None, "the manifest is larger than 4 MiB".to_owned()));
}

/// There are more nested indexes than one answer looks into, one for each machine type; all pages together explain all
/// of them.
#[test]
fn pages_end_before_what_is_too_much() {
    let features: Vec<&'static str> = (0..40).map(|n| &*format!("rack:{n:02}").leak()).collect();
    let mut document = machines("refuse");
    for (n, feature) in features.iter().enumerate() {
        document["machine_types"][format!("rack-{n:02}")] = json!({ "architecture": "amd64", "features": [feature] });
    }
    let image = |feature: &&'static str| ((Some("amd64"), vec![*feature]), around(Node::Image));
    let entries: Vec<_> = features.iter().map(image).collect();
    let said = alike(&document, &registry(&entries, Kind::Sound));
    assert_eq!(said.iter().filter(|(selected, _)| selected.is_some()).count(), 40, "{said:?}");
}

/// Three indexes below each other that have as many entries as an index may have.
#[test]
fn the_largest_indexes_are_explained_too() {
    let many = |node: Node| {
        let mut entries = vec![((Some("arm64"), Vec::new()), Node::Image); 9_999];
        entries.push(((Some("amd64"), Vec::new()), node));
        entries
    };
    let index = |entries| Node::Index { entries, kind: Kind::Sound };
    let entries = many(index(many(index(many(Node::Image)))));
    let mut document = machines("refuse");
    document["machine_types"].as_object_mut().unwrap().retain(|name, _| name == "a-skylake" || name == "e-arm");
    let said = alike(&document, &registry(&entries, Kind::Sound));
    assert!(said.iter().all(|(selected, _)| selected.is_some()), "{said:?}");
}

/// A nested index from the cache is checked against its descriptor, as one from upstream is.
#[test]
fn a_wrong_descriptor_is_refused_with_a_warm_cache_too() {
    let config = parse(&machines("refuse"));
    let one = |kind| {
        let inner = [((Some("amd64"), Vec::new()), Node::Image)];
        [((Some("amd64"), Vec::new()), Node::Index { entries: inner.to_vec(), kind })]
    };
    let mut upstream = registry(&one(Kind::Sound), Kind::Sound);
    let warm = exchange(&config, "GET", "a:sound", "x-a-skylake", &upstream);
    assert_eq!((warm.status, warm.callouts.len()), (200, 3));
    upstream.index = registry(&one(Kind::AnotherSize), Kind::Sound).index;
    let refused = exchange(&config, "GET", "a:wrong", "x-a-skylake", &upstream);
    assert_eq!(refused.status, 502);
    assert!(refused.message().contains("bytes, not"), "{}", refused.message());
}
