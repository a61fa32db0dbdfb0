//! Entries that are not images, and indexes that are not indexes of images.

use metahub::oci::index::{Index, is_artifact_tag};

use super::{NONE, PASS, Row, check, machine, outcome};

const NEVER: &[Row] = &[
    ("unknown/unknown", "-/amd64", &["unknown/unknown", "linux/amd64"], 1),
    ("nothing else", "-/amd64", &["unknown/unknown", "linux/arm64"], NONE),
    ("annotated as an attestation", "-/amd64", &["linux/amd64 attestation", "linux/amd64"], 1),
    ("an attestation only", "-/amd64", &["linux/amd64 attestation"], NONE),
    ("half unknown", "-/amd64", &["linux/unknown", "unknown/amd64"], NONE),
    ("no platform beside one", "-/amd64", &["-", "linux/amd64"], 1),
    ("no platform, and the other does not fit", "-/amd64", &["-", "linux/arm64"], NONE),
    ("no platform but features", "- cpu:skylake", &["- note:cpu:skylake", "linux/arm64"], NONE),
    ("no architecture", "-/amd64", &["linux", "linux/arm64"], NONE),
    ("features but no os", "- cpu:skylake", &["- cpu:skylake"], NONE),
    ("not a manifest", "-/amd64", &["linux/amd64 type=application/vnd.oci.image.config.v1+json"], NONE),
    ("a type nobody knows", "-/amd64", &["linux/amd64 type=text/plain", "linux/amd64"], 1),
];

const ARTIFACTS: &[Row] = &[
    (
        "issue 14: a Helm chart",
        "-/amd64",
        &["linux/amd64 artifact=application/vnd.cncf.helm.config.v1+json", "linux/amd64"],
        1,
    ),
    ("however much it asks for", "-/amd64 a b", &["linux/amd64 a", "linux/amd64 a b artifact=text/spdx"], 0),
    ("nothing else", "-/amd64", &["linux/amd64 artifact=application/spdx+json"], NONE),
    ("an empty type is none", "-/amd64", &["linux/amd64 artifact="], 0),
    ("an OCI image's type", "-/amd64", &["linux/amd64 artifact=application/vnd.oci.image.config.v1+json"], 0),
    ("a Docker image's type", "-/amd64", &["linux/amd64 artifact=application/vnd.docker.container.image.v1+json"], 0),
    ("in capitals", "-/amd64", &["linux/amd64 artifact=application/vnd.OCI.image.config.v1+JSON"], 0),
    (
        "a manifest's type is no image's",
        "-/amd64",
        &["linux/amd64 artifact=application/vnd.oci.image.manifest.v1+json"],
        NONE,
    ),
    ("the empty configuration's type", "-/amd64", &["linux/amd64 artifact=application/vnd.oci.empty.v1+json"], NONE),
    (
        "a nested index of artifacts",
        "-/amd64",
        &["linux/amd64 nested artifact=application/spdx+json", "linux/amd64"],
        1,
    ),
    ("artifacts without platform", "-/amd64", &["- artifact=application/spdx+json"], PASS),
    ("a nested index of them", "-/amd64", &["- nested artifact=application/spdx+json"], PASS),
    ("beside an image", "-/amd64", &["- nested artifact=application/spdx+json", "linux/arm64"], NONE),
];

const NESTED: &[Row] = &[
    ("a nested index is followed", "-/amd64", &["linux/amd64 nested"], 0),
    ("by its own platform", "-/amd64", &["linux/arm64 nested", "linux/amd64 nested"], 1),
    ("by its own features", "- cpu:skylake", &["linux/amd64", "linux/amd64 nested cpu:haswell"], 1),
    ("which must be met", "- cpu:haswell", &["linux/amd64", "linux/amd64 nested cpu:skylake"], 0),
    ("equal to an image: list order", "-/amd64", &["linux/amd64 nested", "linux/amd64"], 0),
    ("without platform after every image", "-/amd64", &["- nested", "linux/amd64"], 1),
    ("with features as an image", "- cpu:skylake", &["linux/amd64", "- nested note:cpu:skylake"], 1),
    ("with features before one that says nothing", "-/amd64 a", &["- nested", "- nested note:a"], 1),
    ("without platform if nothing else fits", "-/amd64", &["linux/arm64", "- nested"], 1),
    ("without platform, features unmet", "-/amd64", &["linux/arm64", "- nested note:cpu:skylake"], NONE),
    ("only nested ones, without platform", "-/amd64", &["- nested", "- nested"], 0),
    (
        "a Docker list within",
        "-/amd64",
        &["linux/amd64 type=application/vnd.docker.distribution.manifest.list.v2+json"],
        0,
    ),
    ("an attestation's index", "-/amd64", &["unknown/unknown nested", "linux/amd64"], 1),
];

const PASSES: &[Row] = &[
    ("no entry has a platform", "-/amd64", &["-", "-"], PASS),
    ("one without platform", "- cpu:skylake", &["- note:cpu:skylake"], PASS),
];

#[test]
fn some_entries_are_never_selected() {
    check(NEVER);
}

#[test]
fn artifacts_are_never_selected() {
    check(ARTIFACTS);
}

#[test]
fn nested_indexes() {
    check(NESTED);
}

#[test]
fn indexes_of_other_things_pass_through() {
    check(PASSES);
    let amd64 = machine("-/amd64");
    let with = |field: &str| {
        let entry = super::entry(0, "linux/amd64");
        let document = format!(r#"{{"schemaVersion":2{field},"manifests":[{entry}]}}"#);
        outcome(&Index::parse(document.as_bytes()).unwrap(), &amd64)
    };
    assert_eq!(with(r#","artifactType":"application/spdx+json""#), PASS);
    assert_eq!(with(r#","artifactType":"""#), 0);
    assert_eq!(with(r#","artifactType":null"#), 0);
    let empty_platform = format!(
        r#"{{"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"{}",
        "platform":{{"os":"","architecture":""}}}}]}}"#,
        super::digest(0)
    );
    assert_eq!(outcome(&Index::parse(empty_platform.as_bytes()).unwrap(), &amd64), PASS);
}

#[test]
fn tags_of_signatures_and_the_like() {
    let hex = "0123456789abcdef".repeat(4);
    for tag in [
        format!("sha256-{hex}"),
        format!("sha256-{hex}.sig"),
        format!("sha256-{hex}.att"),
        format!("sha256-{hex}.sbom"),
        format!("sha256-{hex}.0123.sig"),
        "v1.sig".to_owned(),
        "v1.sbom".to_owned(),
    ] {
        assert!(is_artifact_tag(&tag), "{tag}");
    }
    for tag in ["latest", "sha256-", "sha256-abc", "sig", "v1.sigma", "1.att.2", &format!("sha256-{hex}0")] {
        assert!(!is_artifact_tag(tag), "{tag}");
    }
}
