//! Machines with several devices.

use super::{NONE, Row, check};

const EVERY: &[Row] = &[
    ("code for one of two", "-/amd64 nvcap:7.5 nvcap:8.6", &["linux/amd64 nvcap:8.0"], NONE),
    ("code for the other", "-/amd64 nvcap:7.5 nvcap:8.6", &["linux/amd64 nvcap:7.5"], NONE),
    ("a fat binary for both", "-/amd64 nvcap:7.5 nvcap:8.6", &["linux/amd64 nvcap:7.0|8.0"], 0),
    ("one by PTX", "-/amd64 nvcap:7.5 nvcap:8.6", &["linux/amd64 nvcap:7.0+ptx"], 0),
    ("the lower one has nothing", "-/amd64 nvcap:7.5 nvcap:8.6", &["linux/amd64 nvcap:8.0+ptx"], NONE),
    ("each requirement must suit all", "-/amd64 nvcap:7.5 nvcap:8.6", &["linux/amd64 nvcap:7.5 nvcap:8.0"], NONE),
    ("both do", "-/amd64 nvcap:7.5 nvcap:8.6", &["linux/amd64 nvcap:7.0ptx nvcap:7.0|8.0"], 0),
    ("two alike are one", "-/amd64 nvcap:8.6 nvcap:8.6", &["linux/amd64 nvcap:8.0"], 0),
    ("the same twice, spelled otherwise", "-/amd64 nvcap:8.6 nvcap:sm_86", &["linux/amd64 nvcap:8.0"], 0),
    ("an image without the key", "-/amd64 nvcap:7.5 nvcap:8.6", &["linux/amd64 nvcap:8.6", "linux/amd64"], 1),
    ("AMD: one of two", "-/amd64 gfx:gfx942 gfx:gfx1100", &["linux/amd64 gfx:gfx942"], NONE),
    ("AMD: both", "-/amd64 gfx:gfx942 gfx:gfx1100", &["linux/amd64 gfx:gfx942|gfx1100"], 0),
    ("AMD: one by a generic target", "-/amd64 gfx:gfx942 gfx:gfx1100", &["linux/amd64 gfx:gfx942|gfx11-generic"], 0),
    ("both vendors are two keys", "-/amd64 gfx:gfx942 nvcap:9.0", &["linux/amd64 nvcap:9.0"], 0),
    ("a key by a rule of the configuration", "-/amd64 sm:7.5 sm:8.6", &["linux/amd64 sm:8.0"], NONE),
    ("other keys: any value", "-/amd64 glibc:2.31 glibc:2.36", &["linux/amd64 glibc:2.35"], 0),
];

const ANY: &[Row] = &[
    ("one is enough", "-/amd64 nvcap:7.5 nvcap:8.6 any=nvcap", &["linux/amd64 nvcap:8.0"], 0),
    ("none is not", "-/amd64 nvcap:7.5 nvcap:8.6 any=nvcap", &["linux/amd64 nvcap:9.0"], NONE),
    ("of AMD too", "-/amd64 gfx:gfx942 gfx:gfx1100 any=gfx", &["linux/amd64 gfx:gfx1100"], 0),
    (
        "only the key that says so",
        "-/amd64 nvcap:7.5 nvcap:8.6 gfx:gfx942 gfx:gfx90a any=gfx",
        &["linux/amd64 gfx:gfx90a nvcap:8.0"],
        NONE,
    ),
    (
        "the best of any counts",
        "-/amd64 nvcap:7.5 nvcap:8.6 any=nvcap",
        &["linux/amd64 nvcap:7.5|8.0", "linux/amd64 nvcap:8.6"],
        1,
    ),
];

const NEAREST: &[Row] = &[
    (
        "fewer devices on PTX",
        "-/amd64 nvcap:7.5 nvcap:8.6",
        &["linux/amd64 nvcap:7.5+ptx", "linux/amd64 nvcap:7.0|8.0"],
        1,
    ),
    (
        "then the first device",
        "-/amd64 nvcap:7.5 nvcap:8.6",
        &["linux/amd64 nvcap:7.0|8.6", "linux/amd64 nvcap:7.5|8.0"],
        1,
    ),
    (
        "in the machine's order",
        "-/amd64 nvcap:8.6 nvcap:7.5",
        &["linux/amd64 nvcap:7.0|8.6", "linux/amd64 nvcap:7.5|8.0"],
        0,
    ),
    ("then the second", "-/amd64 nvcap:7.5 nvcap:8.6", &["linux/amd64 nvcap:7.5|8.0", "linux/amd64 nvcap:7.5|8.6"], 1),
    (
        "one device on PTX before two",
        "-/amd64 nvcap:8.6 nvcap:12.0",
        &["linux/amd64 nvcap:7.0+ptx", "linux/amd64 nvcap:8.0+ptx"],
        1,
    ),
    (
        "fewer devices on SPIR-V",
        "-/amd64 gfx:gfx942 gfx:gfx1100",
        &["linux/amd64 gfx:gfx942|amdgcnspirv", "linux/amd64 gfx:gfx9-4-generic|gfx11-generic"],
        1,
    ),
    (
        "in what is preferred",
        "-/amd64 a nvcap:7.5 nvcap:8.6 >nvcap",
        &["linux/amd64 a nvcap:7.0+ptx", "linux/amd64 nvcap:7.5|8.6"],
        1,
    ),
];

#[test]
fn an_image_suits_every_device() {
    check(EVERY);
}

#[test]
fn or_any_where_the_machine_type_says_so() {
    check(ANY);
}

#[test]
fn nearness_device_by_device() {
    check(NEAREST);
}
