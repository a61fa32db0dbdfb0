//! Microarchitectures.

use super::{NONE, Row, check};

const SAME_OR_ANCESTOR: &[Row] = &[
    ("equal", "- cpu:skylake", &["linux/amd64 cpu:skylake"], 0),
    ("a parent's code runs", "- cpu:skylake", &["linux/amd64 cpu:broadwell"], 0),
    ("a descendant's code does not", "- cpu:broadwell", &["linux/amd64 cpu:skylake"], NONE),
    ("a far ancestor's code runs", "- cpu:sapphirerapids", &["linux/amd64 cpu:nocona"], 0),
    ("the family's root runs", "- cpu:zen5", &["linux/amd64 cpu:x86_64"], 0),
    ("a level is an ancestor", "- cpu:haswell", &["linux/amd64 cpu:x86_64_v3"], 0),
    ("a level above is not", "- cpu:skylake", &["linux/amd64 cpu:x86_64_v4"], NONE),
    ("cannonlake has no v4 in archspec", "- cpu:cannonlake", &["linux/amd64 cpu:x86_64_v4"], NONE),
    ("vendors do not mix", "- cpu:zen4", &["linux/amd64 cpu:haswell"], NONE),
    ("nor the other way", "- cpu:icelake", &["linux/amd64 cpu:zen"], NONE),
    ("vendors share levels", "- cpu:zen4", &["linux/amd64 cpu:x86_64_v4"], 0),
    ("zen is v3", "- cpu:zen", &["linux/amd64 cpu:x86_64_v3"], 0),
    ("zen3 is not v4", "- cpu:zen3", &["linux/amd64 cpu:x86_64_v4"], NONE),
    ("bulldozer is v2", "- cpu:bulldozer", &["linux/amd64 cpu:x86_64_v2"], 0),
    ("bulldozer is not v3", "- cpu:bulldozer", &["linux/amd64 cpu:x86_64_v3"], NONE),
    ("excavator is v3", "- cpu:excavator", &["linux/amd64 cpu:x86_64_v3"], 0),
    ("knights landing descends from broadwell", "- cpu:mic_knl", &["linux/amd64 cpu:broadwell"], 0),
    ("skylake is not its ancestor", "- cpu:mic_knl", &["linux/amd64 cpu:skylake"], NONE),
    ("both of icelake's parents run", "- cpu:icelake", &["linux/amd64 cpu:cannonlake"], 0),
    ("and the other", "- cpu:icelake", &["linux/amd64 cpu:cascadelake"], 0),
    ("32-bit x86", "- cpu:pentium4", &["linux/386 cpu:pentium2"], 0),
    ("32 bits are another architecture", "- cpu:skylake", &["linux/386 cpu:pentium4"], NONE),
    ("neoverse", "- cpu:neoverse_v1", &["linux/arm64 cpu:neoverse_n1"], 0),
    ("neoverse_v2 does not descend from v1", "- cpu:neoverse_v2", &["linux/arm64 cpu:neoverse_v1"], NONE),
    ("apple", "- cpu:m3", &["linux/arm64 cpu:m1"], 0),
    ("power, little endian", "- cpu:power9le", &["linux/ppc64le cpu:power8le"], 0),
    ("power, big endian", "- cpu:power9le", &["linux/ppc64 cpu:power8"], NONE),
    ("risc-v", "- cpu:u74mc", &["linux/riscv64"], 0),
    ("cpu contradicts the entry's platform", "- cpu:neoverse_n1", &["linux/amd64 cpu:neoverse_n1"], NONE),
    ("of two cpu requirements both count", "- cpu:skylake", &["linux/amd64 cpu:skylake cpu:zen"], NONE),
    ("two that both hold", "- cpu:skylake", &["linux/amd64 cpu:skylake cpu:haswell"], 0),
];

const NAMES: &[Row] = &[
    ("- reads as _ in an entry", "- cpu:skylake_avx512", &["linux/amd64 cpu:skylake-avx512"], 0),
    ("- reads as _ in a machine", "- cpu:x86-64-v3", &["linux/amd64 cpu:x86_64_v3"], 0),
    ("letter case does not count", "- cpu:Skylake", &["linux/amd64 cpu:SKYLAKE"], 0),
    ("a compiler's name", "- cpu:znver4", &["linux/amd64 cpu:zen3"], 0),
    ("a compiler's name in an entry", "- cpu:zen4", &["linux/amd64 cpu:znver2"], 0),
    ("psABI's lowest level", "- cpu:nocona", &["linux/amd64 cpu:x86-64-v1"], 0),
    ("icelake's two names", "- cpu:icelake-server", &["linux/amd64 cpu:icelake_client"], 0),
    ("march of arm", "- cpu:neoverse-n1", &["linux/arm64 cpu:armv8.2-a"], 0),
    ("uname of arm", "- cpu:armv7l", &["linux/arm/v6"], 0),
    ("a cloud's name", "- cpu:graviton3", &["linux/arm64 cpu:graviton2"], 0),
    ("unknown, equal", "-/amd64 cpu:granite", &["linux/amd64 cpu:granite"], 0),
    ("unknown, spelled otherwise", "-/amd64 cpu:Granite-Rapids", &["linux/amd64 cpu:granite_rapids"], 0),
    ("unknown, another", "-/amd64 cpu:granite", &["linux/amd64 cpu:diamond"], NONE),
    ("unknown names have no ancestors", "-/amd64 cpu:granite", &["linux/amd64 cpu:skylake"], NONE),
    ("an unknown machine runs what is generic", "-/amd64 cpu:granite", &["linux/amd64"], 0),
    ("and what its variant says", "-/amd64/v4 cpu:granite", &["linux/amd64 cpu:x86_64_v3"], 0),
    ("an unknown entry needs its name", "- cpu:sapphirerapids", &["linux/amd64 cpu:granite"], NONE),
    ("cpu without a value is any", "- cpu:skylake", &["linux/amd64 cpu"], 0),
    ("cpu with an empty value", "- cpu:skylake", &["linux/amd64 cpu:"], NONE),
    ("Cpu is not cpu", "- cpu:skylake", &["linux/amd64 Cpu:skylake"], NONE),
];

const NEAREST: &[Row] = &[
    ("equal before ancestor", "- cpu:skylake", &["linux/amd64 cpu:broadwell", "linux/amd64 cpu:skylake"], 1),
    ("nearer ancestor", "- cpu:icelake", &["linux/amd64 cpu:haswell", "linux/amd64 cpu:skylake"], 1),
    ("in any list order", "- cpu:icelake", &["linux/amd64 cpu:skylake", "linux/amd64 cpu:haswell"], 0),
    ("anything before generic", "- cpu:zen4", &["linux/amd64", "linux/amd64 cpu:x86_64_v2"], 1),
    (
        "one generation each: more ISA features",
        "- cpu:haswell",
        &["linux/amd64 cpu:ivybridge", "linux/amd64 cpu:x86_64_v3"],
        1,
    ),
    (
        "the longest path counts: icelake to skylake is three over cascadelake",
        "- cpu:icelake",
        &["linux/amd64 cpu:skylake", "linux/amd64 cpu:skylake_avx512"],
        1,
    ),
    (
        "one generation each: cannonlake has more ISA features than cascadelake",
        "- cpu:icelake",
        &["linux/amd64 cpu:cascadelake", "linux/amd64 cpu:cannonlake"],
        1,
    ),
    (
        "two generations each: v4 and skylake_avx512 differ in depth",
        "- cpu:cascadelake",
        &["linux/amd64 cpu:x86_64_v4", "linux/amd64 cpu:skylake_avx512"],
        1,
    ),
    (
        "zen4 between zen3 and v4: more features",
        "- cpu:zen4",
        &["linux/amd64 cpu:x86_64_v4", "linux/amd64 cpu:zen3"],
        1,
    ),
    ("an unknown name before a level", "-/amd64/v3 cpu:granite", &["linux/amd64/v3", "linux/amd64 cpu:granite"], 1),
    (
        "several requirements: the nearest counts",
        "- cpu:skylake",
        &["linux/amd64 cpu:broadwell", "linux/amd64/v3 cpu:skylake"],
        1,
    ),
    ("two microarchitectures on one type: either", "- cpu:zen2 cpu:skylake", &["linux/amd64 cpu:broadwell"], 0),
    ("or the other", "- cpu:zen2 cpu:skylake", &["linux/amd64 cpu:zen"], 0),
    (
        "a listed ancestor does not draw generic images near",
        "- cpu:skylake cpu:x86_64",
        &["linux/amd64 cpu:x86_64", "linux/amd64 cpu:broadwell"],
        1,
    ),
    (
        "two of them: an ancestor is never nearer than its descendant",
        "- cpu:icelake cpu:zen",
        &["linux/amd64 cpu:x86_64_v3", "linux/amd64 cpu:haswell"],
        1,
    ),
];

#[test]
fn runs_its_own_and_its_ancestors_code() {
    check(SAME_OR_ANCESTOR);
}

#[test]
fn names_are_read_as_people_write_them() {
    check(NAMES);
}

#[test]
fn nearest_in_the_tree() {
    check(NEAREST);
}
