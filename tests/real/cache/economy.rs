//! The requests that a pull costs upstream; a change there takes effect at once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Heads, Stage, add_fleet, request};
use crate::real::observe::assert_no_vm_died;
use metahub_testkit::image::{Format, index};

const BROADWELL: &str = "cpu:broadwell";

#[test]
fn a_known_image_costs_upstream_one_head() {
    let stage = Stage::with(Value::Null);
    let digest = stage.bench.digest(&[BROADWELL]);
    stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
    assert_eq!(stage.asked(), ["GET latest".to_owned(), format!("GET {digest}")]);
    // Each request on a connection of its own: both workers are met.
    for _ in 0..8 {
        stage.assert_gets("GET", "latest", "qnib-type1", BROADWELL);
        assert_eq!(stage.asked(), ["HEAD latest"]);
        // docker's and containerd's way.
        stage.assert_gets("HEAD", "latest", "qnib-type1", BROADWELL);
        stage.assert_gets("GET", &digest, "qnib-type1", BROADWELL);
        assert_eq!(stage.asked(), ["HEAD latest".to_owned(), format!("HEAD {digest}")]);
    }
    assert_eq!((stage.metric("cache_miss"), stage.metric("cache_hit")), (1, 24));
    assert_no_vm_died(&stage.envoy);
}

#[test]
fn a_fleet_costs_one_get_per_index_and_one_per_selected_image() {
    let stage = Stage::set(Value::Null, |stage| stage.config(|config| add_fleet(config, 60)));
    for number in 0..60 {
        let request = request("GET", "latest", &format!("fleet-node{number}"), "fleet");
        assert_eq!(stage.envoy.send(&request).unwrap().status, 200, "node{number}");
    }
    let mut gets: Vec<String> = stage.asked().into_iter().filter(|asked| asked.starts_with("GET")).collect();
    gets.sort();
    let images = [&[BROADWELL][..], &["cpu:skylake"], &[BROADWELL, "nvcap:5.2"]];
    let mut expected: Vec<String> = images.map(|image| format!("GET {}", stage.bench.digest(image))).to_vec();
    expected.push("GET latest".to_owned());
    expected.sort();
    assert_eq!(gets, expected);
}

#[test]
fn a_moved_a_deleted_and_a_denied_tag_take_effect_at_once() {
    let stage = Stage::with(json!({ "bytes": "64MiB" }));
    let image = &stage.bench.image(&["cpu:skylake"]).manifest;
    for method in ["GET", "HEAD", "GET"] {
        stage.assert_gets(method, "latest", "qnib-type1", BROADWELL);
    }
    let platform = serde_json::json!({ "architecture": "amd64", "os": "linux" });
    let moved = index(Format::Docker, &[image.entry(&platform)]);
    stage.change(|state| {
        state.documents.insert(moved.digest(), moved.clone());
        state.documents.insert("latest".to_owned(), moved.clone());
    });
    let _ = stage.asked();
    stage.assert_gets("HEAD", "latest", "qnib-type1", "cpu:skylake");
    stage.assert_gets("GET", "latest", "qnib-type1", "cpu:skylake");
    let asked: BTreeSet<String> = stage.asked().into_iter().collect();
    assert!(asked.contains(&format!("GET {}", moved.digest())), "{asked:?}");

    let digest = image.digest();
    stage.change(|state| state.denies = true);
    for reference in ["latest", digest.as_str()] {
        for method in ["HEAD", "GET"] {
            let answer = stage.ask(method, reference, "qnib-type1");
            assert_eq!(answer.status, 403, "{method} {reference}: {}", answer.text());
            assert_eq!(answer.header("docker-content-digest"), None);
            assert_eq!(answer.header("www-authenticate"), None, "the registry's challenge is not for clients");
        }
    }
    stage.change(|state| {
        state.denies = false;
        state.documents.remove("latest");
        state.documents.remove(&digest);
    });
    for reference in ["latest", digest.as_str()] {
        for method in ["HEAD", "GET"] {
            assert_eq!(stage.ask(method, reference, "qnib-type1").status, 404, "{method} {reference}");
        }
    }
}

#[test]
fn a_registry_without_head_or_digests_is_asked_with_get() {
    for (heads, names_digests) in [(Heads::Refused, true), (Heads::WithoutDigest, true), (Heads::WithoutDigest, false)]
    {
        let stage = Stage::with(Value::Null);
        stage.change(|state| (state.heads, state.names_digests) = (heads, names_digests));
        for method in ["GET", "HEAD", "GET"] {
            stage.assert_gets(method, "latest", "qnib-type1", BROADWELL);
        }
        let _ = stage.asked();
        for method in ["GET", "HEAD", "GET", "HEAD"] {
            stage.assert_gets(method, "latest", "qnib-type1", BROADWELL);
            assert_eq!(stage.asked(), ["GET latest"], "it was tried with HEAD before, and the image is known");
        }
    }
}

#[test]
fn a_corrupt_manifest_never_enters() {
    let stage = Stage::with(Value::Null);
    let digest = stage.bench.digest(&[BROADWELL]);
    let good = stage.bench.image(&[BROADWELL]).manifest.clone();
    let mut corrupt = good.clone();
    // As long as the good one, and JSON still.
    corrupt.bytes = String::from_utf8(corrupt.bytes).unwrap().replacen("sha256:", "sha257:", 1).into_bytes();
    assert_eq!(corrupt.bytes.len(), good.bytes.len());
    stage.change(|state| drop(state.documents.insert(digest.clone(), corrupt)));
    for reference in ["latest", &digest, "latest", &digest] {
        let answer = stage.ask("GET", reference, "qnib-type1");
        assert_eq!(answer.status, 502, "{reference}: {}", answer.text());
        assert!(answer.text().contains("MANIFEST_INVALID"), "{}", answer.text());
        let asked = stage.asked();
        assert_eq!(asked.last(), Some(&format!("GET {digest}")), "asked for again: {asked:?}");
    }
    stage.change(|state| drop(state.documents.insert(digest.clone(), good)));
    for reference in ["latest", &digest, "latest", &digest] {
        stage.assert_gets("GET", reference, "qnib-type1", BROADWELL);
    }
}
