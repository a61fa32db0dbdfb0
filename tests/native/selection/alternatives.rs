//! Alternatives of one feature, and bare keys.

use super::{NONE, Row, check};

const ALTERNATIVES: &[Row] = &[
    ("the first is met", "-/amd64 mpi:a", &["linux/amd64 mpi:a|b"], 0),
    ("the last is met", "-/amd64 mpi:b", &["linux/amd64 mpi:a|b"], 0),
    ("none is met", "-/amd64 mpi:c", &["linux/amd64 mpi:a|b"], NONE),
    ("the key is not offered", "-/amd64", &["linux/amd64 mpi:a|b"], NONE),
    ("of numbers", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:7.0|8.0|9.0"], 0),
    ("of numbers, none", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:7.0|8.9|9.0"], NONE),
    ("of microarchitectures", "- cpu:zen3", &["linux/amd64 cpu:haswell|zen2"], 0),
    ("of microarchitectures, none", "- cpu:ivybridge", &["linux/amd64 cpu:haswell|zen2"], NONE),
    ("one that archspec does not know", "- cpu:zen3", &["linux/amd64 cpu:granite|zen2"], 0),
    ("one that only names", "-/amd64 cpu:granite", &["linux/amd64 cpu:granite|zen2"], 0),
    ("one that cannot be read spoils nothing", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:new|8.0"], 0),
    ("one that cannot be read is not met", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:new|old"], NONE),
    ("an empty one spoils nothing", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:|8.0|"], 0),
    ("only empty ones", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap:|"], NONE),
    ("each feature has its own", "-/amd64 mpi:b nvcap:8.6", &["linux/amd64 mpi:a|b nvcap:7.0|8.0"], 0),
    ("and all features are needed", "-/amd64 mpi:b nvcap:9.0", &["linux/amd64 mpi:a|b nvcap:7.0|8.0"], NONE),
    ("twice the same key: both", "-/amd64 mpi:a mpi:c", &["linux/amd64 mpi:a|b mpi:c|d"], 0),
    ("twice the same key: one is missing", "-/amd64 mpi:a", &["linux/amd64 mpi:a|b mpi:c|d"], NONE),
    ("several values of the machine", "-/amd64 mpi:x mpi:b", &["linux/amd64 mpi:a|b"], 0),
    ("in os.features", "-/amd64 nvcap:8.6", &["linux/amd64 os:nvcap:7.0|8.0"], 0),
    ("in the annotation", "-/amd64 nvcap:8.6", &["linux/amd64 note:nvcap:7.0|8.0"], 0),
    ("by a rule of the configuration", "-/amd64 sm:8.6", &["linux/amd64 sm:7.0|8.0"], 0),
    ("exact by the configuration", "-/amd64 amdgpu:b", &["linux/amd64 amdgpu:a|b"], 0),
    ("a flag has none", "-/amd64 a b", &["linux/amd64 a|b"], NONE),
];

const NEAREST: &[Row] = &[
    (
        "the best that is met counts",
        "-/amd64 nvcap:8.6",
        &["linux/amd64 nvcap:8.0", "linux/amd64 nvcap:7.0|8.6|9.0"],
        1,
    ),
    (
        "one that is not met does not count",
        "-/amd64 nvcap:8.6",
        &["linux/amd64 nvcap:8.6", "linux/amd64 nvcap:8.0|9.0"],
        0,
    ),
    (
        "as near as one value: list order",
        "-/amd64 nvcap:8.6",
        &["linux/amd64 nvcap:8.6|9.0", "linux/amd64 nvcap:8.6"],
        0,
    ),
    (
        "of microarchitectures the nearest",
        "- cpu:icelake",
        &["linux/amd64 cpu:broadwell", "linux/amd64 cpu:haswell|skylake"],
        1,
    ),
    ("a list is one key", "-/amd64 a b mpi:a", &["linux/amd64 mpi:a|b", "linux/amd64 a b"], 1),
    ("of versions the highest", "-/amd64 driver:550", &["linux/amd64 driver:545", "linux/amd64 driver:470|546|560"], 1),
    (
        "in what is preferred",
        "-/amd64 mpi:a nvcap:8.6 >nvcap",
        &["linux/amd64 mpi:a nvcap:8.0", "linux/amd64 nvcap:7.5|8.6"],
        1,
    ),
];

const BARE_KEYS: &[Row] = &[
    ("met by any value", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap"], 0),
    ("not without the key", "-/amd64", &["linux/amd64 nvcap"], NONE),
    ("of a GPU target", "-/amd64 gfx:gfx942", &["linux/amd64 gfx"], 0),
    ("of a version", "-/amd64 driver:550", &["linux/amd64 driver"], 0),
    ("of text", "-/amd64 gpu:a100", &["linux/amd64 gpu"], 0),
    ("by the flag itself", "-/amd64 gpu", &["linux/amd64 gpu"], 0),
    ("a flag does not meet a value", "-/amd64 gpu", &["linux/amd64 gpu:a100|h100"], NONE),
    ("several devices", "-/amd64 nvcap:7.5 nvcap:12.0", &["linux/amd64 nvcap"], 0),
    ("better than nothing", "-/amd64 nvcap:8.6", &["linux/amd64", "linux/amd64 nvcap"], 1),
    ("less near than a value", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap", "linux/amd64 nvcap:8.0"], 1),
    ("less near than PTX", "-/amd64 nvcap:12.0", &["linux/amd64 nvcap", "linux/amd64 nvcap:8.0ptx"], 1),
    ("less near than SPIR-V", "-/amd64 gfx:gfx1100", &["linux/amd64 gfx", "linux/amd64 gfx:amdgcnspirv"], 1),
    ("less near than an equal text", "-/amd64 gpu gpu:a100", &["linux/amd64 gpu", "linux/amd64 gpu:a100"], 1),
    (
        "two GPUs: less near than what suits both",
        "-/amd64 nvcap:7.5 nvcap:8.6",
        &["linux/amd64 nvcap", "linux/amd64 nvcap:7.0|8.0"],
        1,
    ),
    ("counts as a key", "-/amd64 a nvcap:8.6", &["linux/amd64 a", "linux/amd64 a nvcap"], 1),
    ("cpu: less near than a level", "-/amd64/v3", &["linux/amd64 cpu", "linux/amd64/v2"], 1),
    ("cpu: an architecture without a table", "-/loong64", &["linux/loong64 cpu"], NONE),
];

#[test]
fn one_of_several_is_enough() {
    check(ALTERNATIVES);
}

#[test]
fn the_nearest_alternative_counts() {
    check(NEAREST);
}

#[test]
fn bare_keys() {
    check(BARE_KEYS);
}
