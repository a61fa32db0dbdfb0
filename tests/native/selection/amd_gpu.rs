//! AMD GPU targets.

use super::{NONE, Row, check};

const TARGETS: &[Row] = &[
    ("equal", "-/amd64 gfx:gfx942", &["linux/amd64 gfx:gfx942"], 0),
    ("another", "-/amd64 gfx:gfx942", &["linux/amd64 gfx:gfx90a"], NONE),
    ("no order among targets", "-/amd64 gfx:gfx1101", &["linux/amd64 gfx:gfx1100"], NONE),
    ("a list of targets", "-/amd64 gfx:gfx1151", &["linux/amd64 gfx:gfx908|gfx942|gfx1151"], 0),
    ("a list without it", "-/amd64 gfx:gfx1151", &["linux/amd64 gfx:gfx908|gfx942"], NONE),
    ("a generic target", "-/amd64 gfx:gfx1151", &["linux/amd64 gfx:gfx11-generic"], 0),
    ("the wrong generic target", "-/amd64 gfx:gfx1201", &["linux/amd64 gfx:gfx11-generic"], NONE),
    ("gfx90a is not in gfx9-generic", "-/amd64 gfx:gfx90a", &["linux/amd64 gfx:gfx9-generic"], NONE),
    ("gfx90c is", "-/amd64 gfx:gfx90c", &["linux/amd64 gfx:gfx9-generic"], 0),
    ("SPIR-V runs on any", "-/amd64 gfx:gfx942", &["linux/amd64 gfx:amdgcnspirv"], 0),
    ("a target of the future", "-/amd64 gfx:gfx1310", &["linux/amd64 gfx:gfx1310"], 0),
    ("not a target", "-/amd64 gfx:gfx942", &["linux/amd64 gfx:mi300"], NONE),
    ("without a GPU", "-/amd64", &["linux/amd64 gfx:amdgcnspirv"], NONE),
];

const SETTINGS: &[Row] = &[
    ("code that says nothing runs with xnack on", "-/amd64 gfx:gfx90a:xnack+", &["linux/amd64 gfx:gfx90a"], 0),
    ("and off", "-/amd64 gfx:gfx90a:xnack-", &["linux/amd64 gfx:gfx90a"], 0),
    ("xnack on needs it on", "-/amd64 gfx:gfx90a:xnack+", &["linux/amd64 gfx:gfx90a:xnack+"], 0),
    ("off does not do", "-/amd64 gfx:gfx90a:xnack-", &["linux/amd64 gfx:gfx90a:xnack+"], NONE),
    ("a machine that says nothing has it off", "-/amd64 gfx:gfx90a", &["linux/amd64 gfx:gfx90a:xnack-"], 0),
    ("and not on", "-/amd64 gfx:gfx90a", &["linux/amd64 gfx:gfx90a:xnack+"], NONE),
    ("sramecc must be said", "-/amd64 gfx:gfx90a", &["linux/amd64 gfx:gfx90a:sramecc+"], NONE),
    ("either way", "-/amd64 gfx:gfx90a", &["linux/amd64 gfx:gfx90a:sramecc-"], NONE),
    ("sramecc said", "-/amd64 gfx:gfx90a:sramecc+", &["linux/amd64 gfx:gfx90a:sramecc+"], 0),
    ("sramecc the other way", "-/amd64 gfx:gfx90a:sramecc+", &["linux/amd64 gfx:gfx90a:sramecc-"], NONE),
    ("sramecc unsaid by the code", "-/amd64 gfx:gfx90a:sramecc+", &["linux/amd64 gfx:gfx90a"], 0),
    ("in any order", "-/amd64 gfx:gfx90a:sramecc+:xnack-", &["linux/amd64 gfx:gfx90a:xnack-:sramecc+"], 0),
    ("a setting twice", "-/amd64 gfx:gfx90a", &["linux/amd64 gfx:gfx90a:xnack-:xnack-"], NONE),
    ("a setting nobody knows", "-/amd64 gfx:gfx90a", &["linux/amd64 gfx:gfx90a:wave32+"], NONE),
    ("settings in a list", "-/amd64 gfx:gfx90a:xnack+", &["linux/amd64 gfx:gfx90a:xnack-|gfx90a:xnack+"], 0),
    ("of a generic target", "-/amd64 gfx:gfx906", &["linux/amd64 gfx:gfx9-generic:xnack+"], NONE),
];

const NEAREST: &[Row] = &[
    ("exact before generic", "-/amd64 gfx:gfx1100", &["linux/amd64 gfx:gfx11-generic", "linux/amd64 gfx:gfx1100"], 1),
    (
        "generic before SPIR-V",
        "-/amd64 gfx:gfx1100",
        &["linux/amd64 gfx:amdgcnspirv", "linux/amd64 gfx:gfx11-generic"],
        1,
    ),
    (
        "said settings before none",
        "-/amd64 gfx:gfx90a",
        &["linux/amd64 gfx:gfx90a", "linux/amd64 gfx:gfx90a:xnack-"],
        1,
    ),
    (
        "exact without settings before generic with",
        "-/amd64 gfx:gfx906",
        &["linux/amd64 gfx:gfx9-generic:xnack-", "linux/amd64 gfx:gfx906"],
        1,
    ),
    (
        "of a list the best",
        "-/amd64 gfx:gfx1100",
        &["linux/amd64 gfx:gfx11-generic", "linux/amd64 gfx:amdgcnspirv|gfx1100"],
        1,
    ),
    (
        "both vendors: the first listed key",
        "-/amd64 gfx:gfx942 nvcap:9.0",
        &["linux/amd64 nvcap:9.0", "linux/amd64 gfx:gfx942"],
        1,
    ),
];

#[test]
fn targets() {
    check(TARGETS);
}

#[test]
fn settings() {
    check(SETTINGS);
}

#[test]
fn nearest_target() {
    check(NEAREST);
}
