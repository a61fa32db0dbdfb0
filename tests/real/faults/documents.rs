//! Wrong bodies: encoded, too large, other bytes, and indexes that attack their reader.

use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};
use serde_json::{Value, json};

use super::{FINE, Fault, OTHER_BYTES, answer, check};
use metahub_testkit::bench::Bench;
use metahub_testkit::tar::gzip;

/// It is not an index.
const UNUSABLE: [&str; 2] = ["502", "502"];
/// It is one, without anything for our machine.
const NOTHING_FITS: [&str; 2] = ["404", "none"];

/// Only where a document is met under a name that is not a digest: the results of a pull and of explain.
fn document(name: &'static str, verdicts: [&str; 2], body: impl Into<Vec<u8>>) -> Fault {
    let (row, body) = (format!("{} - - - - - - - {}", verdicts[0], verdicts[1]), body.into());
    answer(name, &row, move |sound| sound.document(body.clone()))
}

/// The demo's list with changed entries.
fn list(name: &'static str, verdicts: [&str; 2], change: impl Fn(&mut Value)) -> Fault {
    let mut list: Value = serde_json::from_slice(&Bench::build().list.bytes).unwrap();
    list["manifests"].as_array_mut().unwrap().iter_mut().for_each(change);
    document(name, verdicts, list.to_string())
}

/// The demo's list with changed text.
fn text(name: &'static str, verdicts: [&str; 2], change: impl Fn(String) -> Vec<u8>) -> Fault {
    document(name, verdicts, change(String::from_utf8(Bench::build().list.bytes).unwrap()))
}

fn encoded() -> Vec<Fault> {
    vec![
        answer("gzip", OTHER_BYTES, |sound| {
            let body = gzip(&sound.body);
            sound.body(body).header("content-encoding", "gzip")
        }),
        answer("gzip that is not declared", OTHER_BYTES, |sound| {
            let body = gzip(&sound.body);
            sound.body(body)
        }),
        answer("gzip, declared in bytes", OTHER_BYTES, |sound| {
            let body = gzip(&sound.body);
            sound.body(body).header("content-encoding", b"gzip\xff")
        }),
        answer("identity", FINE, |sound| sound.header("content-encoding", "Identity")),
    ]
}

fn other_bytes() -> Vec<Fault> {
    vec![
        answer("an empty body", OTHER_BYTES, |sound| sound.body("")),
        answer("as many zeros", OTHER_BYTES, |sound| {
            let zeros = vec![0; sound.body.len()];
            sound.body(zeros)
        }),
        answer("half of it", OTHER_BYTES, |sound| {
            let half = sound.body[..sound.body.len() / 2].to_vec();
            sound.body(half)
        }),
        answer("a manifest of nothing", "404/502 200 502 502 502 503 200 =200 404/502", |sound| {
            sound.body(r#"{"schemaVersion":2}"#)
        }),
    ]
}

/// A document that is too large is reported as such, at any size.
fn too_large() -> Vec<Fault> {
    vec![
        answer("a byte above 4 MiB", OTHER_BYTES, |sound| sound.body([b"{", vec![b' '; 4 << 20].as_slice()].concat())),
        answer("20 MB", "502 200 502 502 502 503 200/503 =200 502", |sound| sound.body(vec![b'['; 20_000_000])),
        // Envoy cuts a callout off above 32 MiB and does not say why: the message names both reasons (`bad_input`).
        answer("40 MB", "503 - 503 - - - - - 503", |sound| sound.body(vec![b'['; 40_000_000])),
    ]
}

fn not_json() -> Vec<Fault> {
    let deep = |count: usize| "[".repeat(count);
    vec![
        document("deep", UNUSABLE, format!("{{\"manifests\":{}", deep(100_000))),
        document(
            "deep and closed",
            ["404/502", "404/502/none"],
            format!("{{\"manifests\":[{}{}]}}", deep(5000), "]".repeat(5000)),
        ),
        document(
            "deep beside",
            ["404/502", "404/502/none"],
            format!("{{\"x\":{}{},\"manifests\":[]}}", deep(100), "]".repeat(100)),
        ),
        text("not UTF-8", UNUSABLE, |text| {
            let mut bytes = text.into_bytes();
            bytes[20] = 0xff;
            bytes
        }),
        text("a byte order mark", UNUSABLE, |text| format!("\u{feff}{text}").into_bytes()),
        text("half a surrogate", NOTHING_FITS, |text| text.replace("\"linux\"", "\"\\ud800\"").into_bytes()),
    ]
}

fn hostile_indexes() -> Vec<Fault> {
    let entry = json!({ "mediaType": DOCKER_MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 7 });
    let many = |entries: Vec<Value>| json!({ "mediaType": DOCKER_LIST, "manifests": entries }).to_string();
    let features: Vec<String> = (0..70_000).map(|number| format!("k{number}:v")).collect();
    let mut loaded = entry.clone();
    loaded["platform"] = json!({ "os": "linux", "architecture": "amd64", "features": features });
    vec![
        document("10,001 entries", UNUSABLE, many(vec![entry; 10_001])),
        document("10,000 entries that are none", NOTHING_FITS, many(vec![json!(1); 10_000])),
        document("70,000 features", NOTHING_FITS, many(vec![loaded])),
        document("no entries", ["404", "404/none"], many(Vec::new())),
        document(
            "null for entries",
            ["404/502", "404/502/none"],
            json!({ "mediaType": DOCKER_LIST, "manifests": null }).to_string(),
        ),
        list("sizes beyond all", ["502", "=200/502"], |entry| entry["size"] = json!(u64::MAX)),
        list("negative sizes", NOTHING_FITS, |entry| entry["size"] = json!(-1)),
        list("features of other alphabets", NOTHING_FITS, |entry| {
            entry["platform"]["features"] = json!(["\u{202e}\u{1f600}".repeat(20)]);
        }),
        text("sizes that are no numbers", NOTHING_FITS, |text| {
            text.replace("\"size\":", "\"size\":1e999").into_bytes()
        }),
        text("an image as well", UNUSABLE, |text| text.replacen('{', "{\"layers\":[],", 1).into_bytes()),
        text("entries twice", ["404/502", "404/502/none"], |text| {
            text.replacen('{', "{\"manifests\":[],", 1).into_bytes()
        }),
    ]
}

#[test]
fn bodies() {
    check([encoded(), other_bytes(), not_json(), hostile_indexes()].into_iter().flatten().collect());
}

#[test]
fn large_bodies() {
    check([too_large()].into_iter().flatten().collect());
}
