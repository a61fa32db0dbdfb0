//! Which of several eligible entries wins.

use super::{NONE, Row, check};

const GENERIC: &str = "linux/amd64";
const SKYLAKE: &str = "linux/amd64 cpu:skylake";
const BROADWELL: &str = "linux/amd64 cpu:broadwell";
const BROADWELL_GPU: &str = "linux/amd64 cpu:broadwell nvcap:5.2";
const DEMO: &[&str] = &[GENERIC, SKYLAKE, BROADWELL, BROADWELL_GPU];
const FLEET: &[&str] = &[GENERIC, "linux/amd64/v3", BROADWELL, SKYLAKE, "linux/amd64 cpu:skylake nvcap:8.0"];

const STORIES: &[Row] = &[
    ("demo: broadwell", "- cpu:broadwell", DEMO, 2),
    ("demo: skylake", "- cpu:skylake", DEMO, 1),
    ("demo: broadwell with a GPU", "- cpu:broadwell nvcap:5.2", DEMO, 3),
    ("demo: nothing known but amd64", "-/amd64", DEMO, 0),
    ("demo: icelake gets skylake", "- cpu:icelake", DEMO, 1),
    ("demo: haswell gets generic", "- cpu:haswell", DEMO, 0),
    ("demo: skylake with a GPU gets the GPU's", "- cpu:skylake nvcap:5.2", DEMO, 3),
    ("demo: unless cpu is preferred", "- cpu:skylake nvcap:5.2 >cpu", DEMO, 1),
    ("fleet: icelake", "- cpu:icelake", FLEET, 3),
    ("fleet: zen4", "- cpu:zen4", FLEET, 1),
    ("fleet: haswell", "- cpu:haswell", FLEET, 1),
    ("fleet: v2 only", "-/amd64/v2", FLEET, 0),
    ("fleet: skylake with an A100", "- cpu:skylake nvcap:8.0", FLEET, 4),
    ("fleet: icelake with an L4", "- cpu:icelake nvcap:8.9", FLEET, 4),
    ("fleet: icelake with an H100", "- cpu:icelake nvcap:9.0", FLEET, 3),
    ("fleet: broadwell with an A100", "- cpu:broadwell nvcap:8.0", FLEET, 2),
    ("fleet: v4", "-/amd64/v4", FLEET, 1),
];

const KEYS: &[Row] = &[
    ("one key before none", "-/amd64 a", &[GENERIC, "linux/amd64 a"], 1),
    ("two before one", "-/amd64 a b", &["linux/amd64 a", "linux/amd64 a b", "linux/amd64 b"], 1),
    ("different keys, not features", "-/amd64 a:1 a:2 b", &["linux/amd64 a:1 a:2", "linux/amd64 a:1 b"], 1),
    ("number of keys before nearness", "- cpu:skylake a", &["linux/amd64 cpu:skylake", "linux/amd64 cpu:x86_64 a"], 1),
    ("variant and cpu count once", "- cpu:skylake a", &["linux/amd64/v3 cpu:skylake", "linux/amd64 cpu:nehalem a"], 1),
    ("v1 does not count", "- cpu:skylake", &["linux/amd64/v1", "linux/amd64/v2"], 1),
    ("a generic name asked for by name counts", "- cpu:skylake", &[GENERIC, "linux/amd64 cpu:x86_64"], 1),
];

const NEARNESS: &[Row] = &[
    (
        "first key first: cpu",
        "- cpu:skylake nvcap:8.6",
        &["linux/amd64 cpu:broadwell nvcap:8.6", "linux/amd64 cpu:skylake nvcap:8.0"],
        1,
    ),
    (
        "first key first: nvcap",
        "- nvcap:8.6 cpu:skylake",
        &["linux/amd64 cpu:broadwell nvcap:8.6", "linux/amd64 cpu:skylake nvcap:8.0"],
        0,
    ),
    (
        "equal in the first: the second",
        "- cpu:skylake nvcap:8.6",
        &["linux/amd64 cpu:skylake nvcap:8.0", "linux/amd64 cpu:skylake nvcap:8.6"],
        1,
    ),
    ("as many keys, others: the first listed", "-/amd64 b a", &["linux/amd64 a", "linux/amd64 b"], 1),
    ("and in the other order", "-/amd64 a b", &["linux/amd64 a", "linux/amd64 b"], 0),
    (
        "an implied cpu comes last",
        "-/amd64/v3 driver:550",
        &["linux/amd64/v3 driver:470", "linux/amd64/v2 driver:550"],
        1,
    ),
    ("cpu against flag: cpu listed first", "- cpu:skylake a", &["linux/amd64 a", "linux/amd64 cpu:nehalem"], 1),
    ("cpu against flag: flag listed first", "- a cpu:skylake", &["linux/amd64 cpu:skylake", "linux/amd64 a"], 1),
    ("versions: higher", "-/amd64 driver:550", &["linux/amd64 driver:535", "linux/amd64 driver:545"], 1),
    ("exact values are equally near", "-/amd64 mpi:a mpi:b", &["linux/amd64 mpi:b", "linux/amd64 mpi:a"], 0),
    (
        "several values of one key: the nearest",
        "-/amd64 driver:550",
        &["linux/amd64 driver:540", "linux/amd64 driver:1 driver:545"],
        1,
    ),
];

const PREFER: &[Row] = &[
    ("naming the key beats more keys", "-/amd64 a b c >c", &["linux/amd64 a b", "linux/amd64 c"], 1),
    ("then the nearer match", "- cpu:skylake a >cpu", &["linux/amd64 cpu:haswell a", "linux/amd64 cpu:skylake"], 1),
    (
        "the first preferred first",
        "- cpu:skylake nvcap:8.6 >nvcap >cpu",
        &["linux/amd64 cpu:skylake nvcap:8.0", "linux/amd64 nvcap:8.6"],
        1,
    ),
    (
        "then the second",
        "- cpu:skylake nvcap:8.6 >nvcap >cpu",
        &["linux/amd64 nvcap:8.6", "linux/amd64 cpu:nehalem nvcap:8.6"],
        1,
    ),
    (
        "cpu first",
        "- cpu:skylake nvcap:8.6 >cpu >nvcap",
        &["linux/amd64 cpu:broadwell nvcap:8.6", "linux/amd64 cpu:skylake"],
        1,
    ),
    ("a variant names cpu", "- cpu:skylake a >cpu", &["linux/amd64 a", "linux/amd64/v2"], 1),
    ("v1 does not", "- cpu:skylake a >cpu", &["linux/amd64/v1", "linux/amd64 a"], 1),
    ("equal in what is preferred: number of keys", "-/amd64 a b >a", &["linux/amd64 a", "linux/amd64 a b"], 1),
    ("preferred, but nobody names it", "- cpu:skylake nvcap:8.6 >nvcap", &[GENERIC, "linux/amd64 cpu:haswell"], 1),
    ("a key that the machine lacks", "- cpu:skylake >nvcap", DEMO, 1),
    ("never against eligibility", "- cpu:haswell nvcap:5.0 >nvcap", DEMO, 0),
    (
        "versions by prefer",
        "-/amd64 driver:550 a b >driver",
        &["linux/amd64 driver:535 a b", "linux/amd64 driver:545"],
        1,
    ),
];

const ZSTD: &[Row] = &[
    ("issue 14: the one without goes first", "-/amd64", &["linux/amd64 zstd-layers", "linux/amd64"], 1),
    ("in any order", "-/amd64", &["linux/amd64", "linux/amd64 zstd-layers"], 0),
    ("unless the machine takes zstd", "-/amd64 zstd", &["linux/amd64", "linux/amd64 zstd-layers"], 1),
    ("in any order, too", "-/amd64 zstd", &["linux/amd64 zstd-layers", "linux/amd64"], 0),
    ("alone it fits everybody", "-/amd64", &["linux/amd64 zstd-layers"], 0),
    ("more keys go first", "-/amd64 a", &["linux/amd64", "linux/amd64 a zstd-layers"], 1),
    (
        "nearness goes first",
        "- cpu:skylake zstd",
        &["linux/amd64 cpu:skylake", "linux/amd64 cpu:haswell zstd-layers"],
        0,
    ),
    (
        "the os version goes first",
        "windows/amd64@10.0.1 zstd",
        &["windows/amd64 zstd-layers", "windows/amd64@10.0.1"],
        1,
    ),
    ("list order comes after it", "-/amd64", &["linux/amd64 zstd-layers", "linux/amd64 zstd-layers"], 0),
    ("the flag as a feature is a requirement", "-/amd64", &["linux/amd64 note:zstd"], NONE),
];

const LIST_ORDER: &[Row] = &[
    ("duplicates: the first", "- cpu:skylake", &[GENERIC, SKYLAKE, SKYLAKE], 1),
    ("equal but for spelling", "- cpu:zen4", &["linux/amd64 cpu:znver3", "linux/amd64 cpu:zen3"], 0),
    ("features in another order", "-/amd64 a b", &["linux/amd64 b a", "linux/amd64 a b"], 0),
    ("no difference at all", "-/amd64", &[GENERIC, GENERIC], 0),
];

#[test]
fn the_stories_that_are_told() {
    check(STORIES);
}

#[test]
fn number_of_keys() {
    check(KEYS);
}

#[test]
fn nearness_by_listed_keys() {
    check(NEARNESS);
}

#[test]
fn preferred_keys() {
    check(PREFER);
}

#[test]
fn twins_with_and_without_zstd() {
    check(ZSTD);
    let with = |annotation: serde_json::Value| {
        let mut zstd = super::entry(0, "linux/amd64");
        zstd["annotations"]["io.github.containers.compression.zstd"] = annotation;
        let document = serde_json::json!({ "manifests": [zstd, super::entry(1, "linux/amd64")] }).to_string();
        let index = metahub::oci::index::Index::parse(document.as_bytes()).unwrap();
        super::outcome(&index, &super::machine("-/amd64"))
    };
    assert_eq!(with("true".into()), 1);
    for other in ["false".into(), "True".into(), "".into(), true.into(), serde_json::Value::Null] {
        assert_eq!(with(other), 0, "only containers/image's own value counts");
    }
}

#[test]
fn list_order_is_last() {
    check(LIST_ORDER);
}
