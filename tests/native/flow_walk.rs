//! The walk through nested indexes: the next best entry where nothing fits, and what inherits a platform. Each walk is
//! explained too, in the words of the pulls.

use metahub::oci::digest::Digest;
use metahub::oci::media_type::DOCKER_MANIFEST;
use serde_json::json;

use super::driver::{exchange, parse};
use super::explain_walk::{Kind, Node, Requirements, alike, machines, registry};
use super::outcome::Outcome;

const AMD64: Requirements = (Some("amd64"), Vec::new());
const ARM64: Requirements = (Some("arm64"), Vec::new());
const X86: Requirements = (Some("386"), Vec::new());
/// No platform.
const BARE: Requirements = (None, Vec::new());

/// An index of these entries.
fn index(entries: &[(Requirements, Node)]) -> Node {
    Node::Index { entries: entries.to_vec(), kind: Kind::Sound }
}

/// The digest of the image at this place: `root.1.0` is the first entry of the index that is the second entry.
fn image(place: &str) -> String {
    let bytes = json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "at": place }).to_string();
    Digest::of(bytes.as_bytes()).to_string()
}

/// A pull of the tag by a machine type.
fn pull(entries: &[(Requirements, Node)], name: &str) -> Outcome {
    exchange(&parse(&machines("refuse")), "GET", "a:latest", &format!("x-{name}"), &registry(entries, Kind::Sound))
}

/// The digest that a plain amd64 machine gets, or the message; and how many documents the pull has fetched.
fn walk(entries: &[(Requirements, Node)]) -> (Result<String, String>, usize) {
    let upstream = registry(entries, Kind::Sound);
    alike(&machines("refuse"), &upstream);
    let outcome = pull(entries, "d-plain");
    let digest = outcome.header("docker-content-digest").to_owned();
    (if outcome.status == 200 { Ok(digest) } else { Err(outcome.message()) }, outcome.callouts.len())
}

#[test]
fn an_entry_without_platform_has_that_of_the_entry_that_leads_there() {
    let inner = index(&[(BARE, Node::Image), ((Some("unknown"), Vec::new()), Node::Image)]);
    assert_eq!(walk(&[(AMD64, inner.clone())]), (Ok(image("root.0.0")), 3), "issue 14");
    let (said, _) = walk(&[(ARM64, inner.clone())]);
    assert!(said.unwrap_err().contains("nothing fits; the index offers linux/arm64"), "not looked into");
    let (said, _) = walk(&[(BARE, inner.clone())]);
    assert!(said.unwrap_err().contains("no image for any machine"), "there is nothing to inherit");
    let handed_on = index(&[(BARE, index(&[(BARE, Node::Image)]))]);
    assert_eq!(walk(&[(AMD64, handed_on)]), (Ok(image("root.0.0.0")), 4), "by the index between, too");
    let own = index(&[(BARE, Node::Image), (ARM64, Node::Image)]);
    let names = alike(&machines("refuse"), &registry(&[(AMD64, own)], Kind::Sound));
    assert_eq!((names[3].0.as_deref(), names[4].0.as_deref()), (Some(&*image("root.0.0")), None), "an own one stays");
}

/// Two entries lead to one index, which is parsed and cached once: what it inherits is not kept with it.
#[test]
fn what_is_inherited_is_of_one_walk_only() {
    let inner = || index(&[(BARE, Node::Image)]);
    let entries = [(ARM64, inner()), (AMD64, inner())];
    let mut upstream = registry(&entries, Kind::Sound);
    // Both lead to the second one.
    let outer: serde_json::Value = serde_json::from_slice(&upstream.index.as_ref().unwrap().body).unwrap();
    let mut one = outer.clone();
    one["manifests"][0]["digest"] = outer["manifests"][1]["digest"].clone();
    upstream.index =
        Some(super::scripted_registry::Response::new(200, metahub::oci::media_type::DOCKER_LIST, one.to_string()));
    for _ in 0..2 {
        let said = alike(&machines("refuse"), &upstream);
        assert!(said.iter().all(|(selected, _)| selected.as_deref() == Some(&image("root.1.0"))), "{said:?}");
    }
}

#[test]
fn the_next_best_entry_is_tried_where_nothing_fits_inside() {
    let other = || index(&[(ARM64, Node::Image)]);
    assert_eq!(walk(&[(AMD64, other()), (AMD64, Node::Image)]), (Ok(image("root.1")), 3));
    assert_eq!(walk(&[(BARE, other()), (BARE, index(&[(AMD64, Node::Image)]))]), (Ok(image("root.1.0")), 4));
    let within = index(&[(AMD64, other()), (AMD64, Node::Image)]);
    assert_eq!(walk(&[(AMD64, within)]), (Ok(image("root.0.1")), 4), "of the inner index first");
    let dead = index(&[(AMD64, other())]);
    assert_eq!(walk(&[(AMD64, dead), (AMD64, Node::Image)]), (Ok(image("root.1")), 4), "then of the outer one");
    let empty = index(&[]);
    assert_eq!(walk(&[(AMD64, empty), (AMD64, Node::Image)]), (Ok(image("root.1")), 3));
}

#[test]
fn the_entries_are_tried_in_the_order_of_their_ranks() {
    let on = |features: &[&'static str]| (Some("amd64"), features.to_vec());
    let other = || index(&[(ARM64, Node::Image)]);
    let entries = [
        (AMD64, Node::Image),
        (on(&["cpu:skylake"]), other()),
        (on(&["cpu:broadwell"]), index(&[(AMD64, Node::Image)])),
        (on(&["cpu:icelake"]), other()),
    ];
    let said = alike(&machines("refuse"), &registry(&entries, Kind::Sound));
    for name in 0..3 {
        assert_eq!(said[name].0.as_deref(), Some(&*image("root.2.0")), "{said:?}");
    }
    assert_eq!(said[3].0.as_deref(), Some(&*image("root.0")));
    let outcome = pull(&entries, "b-icelake");
    assert_eq!(outcome.callouts.len(), 5, "the index, icelake's, skylake's, broadwell's and the image");
    let next = pull(&[(AMD64, other()), (AMD64, Node::Image)], "d-plain");
    let reason = "linux/amd64; nothing fits in what goes before; 2 of 2 fit";
    assert_eq!(next.header("x-metahub-selected"), format!("{}: {reason}", image("root.1")));
}

/// An outage, or a broken push, must not demote a machine to a lesser image.
#[test]
fn a_nested_index_that_is_broken_or_out_of_reach_is_the_answer() {
    let faults = [
        (Kind::Missing, "does not have the manifest"),
        (Kind::Malformed, "a nested index cannot be used"),
        (Kind::BreaksOff, "cannot be reached"),
        (Kind::AnotherSize, "bytes, not"),
        (Kind::AnotherType, "does not have the media type"),
        (Kind::Vast, "larger than 4 MiB"),
        (Kind::Artifacts, "not an image index"),
    ];
    for (kind, problem) in faults {
        let broken = Node::Index { entries: vec![(AMD64, Node::Image)], kind };
        let (said, documents) = walk(&[(AMD64, broken), (AMD64, Node::Image)]);
        let message = said.expect_err("an image");
        assert!(message.contains(problem), "{kind:?}: {message}");
        assert!(documents <= 2, "{kind:?}: the other entry was asked for");
    }
    let deep = index(&[(AMD64, index(&[(AMD64, index(&[(AMD64, Node::Image)]))]))]);
    let (said, _) = walk(&[(AMD64, deep), (AMD64, Node::Image)]);
    assert!(said.unwrap_err().contains("deeper than 3 levels"));
}

#[test]
fn where_nothing_fits_at_all_the_best_entry_has_the_say() {
    let offers = |feature: &'static str| index(&[((Some("amd64"), vec![feature]), Node::Image)]);
    let (said, documents) = walk(&[(AMD64, offers("rack:1")), (AMD64, offers("cpu:icelake"))]);
    let message = said.unwrap_err();
    assert!(message.ends_with("nothing fits; the index offers linux/amd64 rack:1"), "{message}");
    assert_eq!(documents, 3);
    let lax = alike(&machines("unfiltered"), &registry(&[(AMD64, offers("rack:1"))], Kind::Sound));
    assert_eq!(lax[3].0, None, "only the tag's own index is served whole");
}

/// 16 documents: the tag's index, 14 others and the image.
#[test]
fn a_pull_fetches_16_documents_at_most() {
    let dead = || (AMD64, index(&[(ARM64, Node::Image)]));
    let then = |nested: usize, last: (Requirements, Node)| {
        let mut entries: Vec<_> = std::iter::repeat_with(dead).take(nested).collect();
        entries.push(last);
        walk(&entries)
    };
    assert_eq!(then(14, (AMD64, Node::Image)), (Ok(image("root.14")), 16));
    assert_eq!(then(13, (AMD64, index(&[(AMD64, Node::Image)]))), (Ok(image("root.13.0")), 16));
    for (nested, last) in [(15, Node::Image), (14, index(&[(AMD64, Node::Image)])), (40, Node::Image)] {
        let (said, documents) = then(nested, (AMD64, last));
        let message = said.unwrap_err();
        assert!(message.ends_with("nothing fits in 15 indexes, and no more are looked into"), "{nested}: {message}");
        assert_eq!(documents, 15, "{nested}");
    }
    let (said, documents) = then(14, (ARM64, Node::Image));
    assert!(said.unwrap_err().contains("nothing fits; the index offers linux/arm64"));
    assert_eq!(documents, 15, "there was nothing more to look into");
}

#[test]
fn a_32_bit_image_is_the_last_choice_of_all_indexes_together() {
    let of = |requirements: Requirements| index(&[(requirements, Node::Image)]);
    assert_eq!(walk(&[(BARE, of(X86)), (BARE, of(AMD64))]).0, Ok(image("root.1.0")));
    assert_eq!(walk(&[(BARE, of(X86)), (BARE, of(ARM64))]).0, Ok(image("root.0.0")));
    assert_eq!(walk(&[(X86, Node::Image), (BARE, of(AMD64))]).0, Ok(image("root.1.0")));
    assert_eq!(walk(&[(X86, Node::Image), (BARE, of(ARM64))]).0, Ok(image("root.0")));
    assert_eq!(walk(&[(AMD64, of(X86))]).0, Ok(image("root.0.0")), "the outer entry says amd64");
    let outcome = pull(&[(X86, Node::Image), (BARE, of(ARM64))], "d-plain");
    assert_eq!(outcome.counters, ["metahub_selected", "metahub_missing_variant"]);
    let line = "a:latest has no variant for architecture amd64: machine type d-plain falls back to linux/386; 32-bit";
    assert!(outcome.lines.iter().any(|logged| logged.contains(line)), "{:?}", outcome.lines);
    assert_eq!(pull(&[(X86, Node::Image)], "g-64-bit").status, 404);
    assert_eq!(pull(&[(AMD64, Node::Image)], "g-64-bit").status, 200);
}

/// What the walk came to is remembered, and not walked again.
#[test]
fn a_walk_costs_one_head_when_it_is_known() {
    let entries = [(AMD64, index(&[(ARM64, Node::Image)])), (AMD64, index(&[(BARE, Node::Image)]))];
    let (config, upstream) = (parse(&machines("refuse")), registry(&entries, Kind::Sound));
    let mut upstream = upstream;
    let named = Digest::of(&upstream.index.as_ref().unwrap().body).to_string();
    upstream.index = upstream.index.map(|index| index.with("docker-content-digest", &named));
    for documents in [4, 0] {
        let outcome = exchange(&config, "GET", "a:latest", "x-d-plain", &upstream);
        assert_eq!(outcome.header("docker-content-digest"), image("root.1.0"));
        assert_eq!(outcome.callouts.len(), documents);
    }
}
