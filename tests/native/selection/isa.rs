//! Flags of microarchitectures.

use super::{NONE, Row, check};

const FLAGS: &[Row] = &[
    ("the microarchitecture has it", "- cpu:haswell", &["linux/amd64 isa:avx2"], 0),
    ("an older one does not", "- cpu:ivybridge", &["linux/amd64 isa:avx2"], NONE),
    ("a level has it", "-/amd64/v3", &["linux/amd64 isa:avx2"], 0),
    ("the lowest level does not", "-/amd64", &["linux/amd64 isa:avx2"], NONE),
    ("unless the machine lists it", "-/amd64 isa:avx", &["linux/amd64 isa:avx"], 0),
    ("an alias of archspec", "- cpu:skylake_avx512", &["linux/amd64 isa:avx512"], 0),
    ("inherited", "- cpu:icelake", &["linux/amd64 isa:sse3"], 0),
    ("another spelling", "- cpu:haswell", &["linux/amd64 isa:SSE4.2"], 0),
    ("on arm64", "- cpu:neoverse_v1", &["linux/arm64 isa:sve"], 0),
    ("not on an older one", "- cpu:neoverse_n1", &["linux/arm64 isa:sve"], NONE),
    ("one that archspec does not know", "- cpu:haswell", &["linux/amd64 isa:avx10"], NONE),
    ("unless the machine lists that", "- cpu:haswell isa:avx10", &["linux/amd64 isa:avx10"], 0),
    ("either of two", "- cpu:haswell", &["linux/amd64 isa:avx512f|avx2"], 0),
    ("both of two", "- cpu:haswell", &["linux/amd64 isa:avx512f isa:avx2"], NONE),
    ("any of two microarchitectures", "- cpu:zen4 cpu:haswell", &["linux/amd64 isa:avx512f"], 0),
    ("any flag", "- cpu:haswell", &["linux/amd64 isa"], 0),
];

const RANK: &[Row] = &[
    ("a flag before nothing", "- cpu:haswell", &["linux/amd64", "linux/amd64 isa:avx2"], 1),
    ("less near than a level", "- cpu:haswell", &["linux/amd64 isa:avx2", "linux/amd64/v2"], 1),
    ("less near than a microarchitecture", "- cpu:haswell", &["linux/amd64 isa:avx2", "linux/amd64 cpu:nehalem"], 1),
    ("one key with the level", "- cpu:haswell a", &["linux/amd64/v3 isa:avx2", "linux/amd64/v2 a"], 1),
    ("no nearer beside a level", "- cpu:haswell", &["linux/amd64/v2", "linux/amd64/v2 isa:avx2"], 0),
    ("two flags are one key", "- cpu:haswell a", &["linux/amd64 isa:avx isa:avx2", "linux/amd64 isa:avx a"], 1),
    ("preferred as cpu", "- cpu:haswell a >cpu", &["linux/amd64 a", "linux/amd64 isa:avx2"], 1),
];

#[test]
fn flags_of_the_microarchitecture() {
    check(FLAGS);
}

#[test]
fn flags_in_ranking() {
    check(RANK);
}
