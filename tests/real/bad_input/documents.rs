//! Documents that upstream should not have sent: indexes and child manifests.

use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use serde_json::json;

use super::rows::{FEATURES, Row, Stage, index_with, sound_index};
use metahub_testkit::bench::Bench;
use metahub_testkit::server::Answer;

/// An index that cannot be used, although all else is in order.
fn index(name: &'static str, answer: Answer, says: &'static [&'static str]) -> Row {
    Row {
        name,
        index: answer.acts(),
        child: None,
        status: 502,
        code: "MANIFEST_INVALID",
        says,
        counter: "invalid_manifest",
    }
}

/// A sound index whose selected image does not match its entry.
fn child(name: &'static str, child: Answer, says: &'static [&'static str]) -> Row {
    Row { index: sound_index(), child: Some(child.acts()), ..index(name, Answer::new(200), says) }
}

fn list(body: impl Into<Vec<u8>>) -> Answer {
    Answer::document(DOCKER_LIST, body)
}

/// An index that is sound, except for five megabytes of blanks.
fn vast() -> Vec<u8> {
    let mut bytes = Bench::build().list.bytes;
    bytes.resize(5 * 1024 * 1024, b' ');
    bytes
}

#[test]
fn unusable_indexes() {
    let both = index_with(|index| index["layers"] = json!([]));
    let image = index_with(|index| index["mediaType"] = json!(OCI_MANIFEST));
    let without_manifests = index_with(|index| {
        index.as_object_mut().unwrap().remove("manifests");
    });
    let nested_deep = "[".repeat(100_000);
    let rows = [
        index("not-json", list("<html>not JSON</html>"), &["malformed"]),
        index("truncated", list(&Bench::build().list.bytes[..500]), &["malformed"]),
        index("not-utf-8", list(b"{\"manifests\": [\"\xff\xfe\"]}"), &["malformed"]),
        index("deep", list(format!("{{\"manifests\":{nested_deep}")), &["malformed"]),
        Row {
            status: 404,
            code: "MANIFEST_UNKNOWN",
            counter: "no_match",
            ..index("no-entries", list(index_with(|index| index["manifests"] = json!([]))), &["no entries"])
        },
        index("no-manifests", list(without_manifests), &["no entries"]),
        index("null", list(index_with(|index| index["manifests"] = json!(null))), &["no entries"]),
        index("both", list(both.clone()), &["ambiguous", "layers"]),
        index("both-untyped", Answer::document("application/json", both), &["ambiguous", "layers"]),
        index("says-image", list(image), &["mediaType", OCI_MANIFEST]),
        index("empty", list(""), &["without a body"]),
        index("empty-chunked", list("").chunked(), &["answered without a body"]),
        index("vast", list(vast()), &["larger than 4 MiB"]),
        index("vast-chunked", list(vast()).chunked(), &["larger than 4 MiB"]),
        index("vast-untyped", Answer::document("text/plain", vast()).chunked(), &["larger than 4 MiB"]),
        Row {
            status: 503,
            code: "UNAVAILABLE",
            counter: "upstream_failed",
            ..index(
                "beyond-envoys-limit",
                list(vec![b' '; 40_000_000]),
                &["or sent more than 32 MiB", "try again later"],
            )
        },
        index("compressed", list("\u{1f}").header("content-encoding", "gzip"), &["compressed"]),
        index("partial", Answer::new(206).header("content-type", OCI_INDEX).body("{}"), &["206"]),
    ];
    Stage::set(&rows).check(&rows);
}

#[test]
fn unusable_children() {
    let bench = Bench::build();
    let bytes = bench.image(FEATURES).manifest.bytes.clone();
    let other = String::from_utf8(bytes.clone()).unwrap().replace("schemaVersion\":2", "schemaVersion\":3");
    assert_eq!(other.len(), bytes.len());
    let manifest = |body: Vec<u8>| Answer::document(DOCKER_MANIFEST, body);
    let mut longer = bytes.clone();
    longer.push(b' ');
    let missing = Row {
        status: 404,
        code: "MANIFEST_UNKNOWN",
        ..child("missing", Answer::new(404).body("{}"), &["does not have the manifest", "push the image again"])
    };
    let rows = [
        missing,
        child("shorter", manifest(bytes[1..].to_vec()), &["bytes, not", "as the index says"]),
        child("longer", manifest(longer), &["bytes, not", "as the index says"]),
        child("longer-chunked", manifest(vast()).chunked(), &["bytes, not", "as the index says"]),
        child("nothing", manifest(Vec::new()), &["has 0 bytes"]),
        child("other-bytes", manifest(other.into_bytes()), &["hashes to sha256:"]),
        child("another-image", manifest(bench.image(&[]).manifest.bytes.clone()), &["sha256:"]),
        child(
            "other-type",
            Answer::document(OCI_MANIFEST, bytes.clone()),
            &["does not have the media type", DOCKER_MANIFEST],
        ),
        child("compressed", manifest(bytes).header("content-encoding", "gzip"), &["compressed"]),
    ];
    let stage = Stage::set(&rows);
    stage.check(&rows);
}

/// Upstream's own digest of the image does not count; the digest that the client asked for is never wrong.
#[test]
fn upstreams_word_on_digests_does_not_count() {
    let bench = Bench::build();
    let lie = format!("sha256:{}", "0".repeat(64));
    let lying = |document: Answer| document.header("docker-content-digest", &lie).header("etag", "\"lie\"").acts();
    let image = &bench.image(FEATURES).manifest;
    let row = Row {
        index: lying(list(bench.list.bytes.clone())),
        child: Some(lying(Answer::document(DOCKER_MANIFEST, image.bytes.clone()))),
        ..index("lying", Answer::new(200), &[])
    };
    let stage = Stage::set(&[row]);
    let answer = stage.envoy.send(&super::rows::manifest("fault/lying").login("qnib-type1", "qnib-type1")).unwrap();
    assert_eq!(answer.body, image.bytes);
    assert_eq!(answer.header("docker-content-digest"), Some(image.digest().as_str()));
    assert_eq!(answer.header("etag"), Some(format!("\"{}\"", image.digest()).as_str()));
}
