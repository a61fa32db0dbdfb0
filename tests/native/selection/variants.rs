//! Platforms: operating system, architecture, variant, operating system version.

use super::{NONE, Row, check};

const PLATFORMS: &[Row] = &[
    ("linux unless said", "-/amd64", &["windows/amd64", "linux/amd64"], 1),
    ("another system", "freebsd/amd64", &["linux/amd64"], NONE),
    ("another architecture", "-/amd64", &["linux/arm64"], NONE),
    ("the architecture follows from the cpu", "- cpu:skylake", &["linux/arm64", "linux/amd64"], 1),
    ("and for arm64", "- cpu:m1", &["linux/amd64", "linux/arm64"], 1),
    ("x86_64 is amd64", "-/x86_64", &["linux/amd64"], 0),
    ("x86_64 in an entry", "-/amd64", &["linux/x86_64"], 0),
    ("aarch64 is arm64", "-/aarch64", &["linux/arm64/v8"], 0),
    ("aarch64 in an entry", "-/arm64", &["linux/aarch64"], 0),
    ("macos is darwin", "macos/arm64", &["darwin/arm64"], 0),
    ("letter case", "Linux/AMD64", &["LINUX/Amd64"], 0),
    ("i386 is 386", "-/i386", &["linux/386"], 0),
    ("amd64 gets a 386 image if there is no other", "-/amd64", &["linux/386"], 0),
    ("arm64 gets an arm image if there is no other", "-/arm64", &["linux/arm/v7"], 0),
    ("s390x", "-/s390x", &["linux/amd64", "linux/s390x"], 1),
    ("an architecture without a table", "-/loong64", &["linux/loong64"], 0),
    ("mips", "-/mips64le", &["linux/mips64le"], 0),
];

const AMD64: &[Row] = &[
    ("v3 runs v3", "-/amd64/v3", &["linux/amd64/v3"], 0),
    ("v3 runs v2", "-/amd64/v3", &["linux/amd64/v2"], 0),
    ("v2 does not run v3", "-/amd64/v2", &["linux/amd64/v3"], NONE),
    ("no variant is v1", "-/amd64", &["linux/amd64/v2"], NONE),
    ("v1 is no variant", "-/amd64", &["linux/amd64/v1"], 0),
    ("without variant beside v2 and v3, on v3", "-/amd64/v3", &["linux/amd64", "linux/amd64/v2", "linux/amd64/v3"], 2),
    ("on v2", "-/amd64/v2", &["linux/amd64", "linux/amd64/v2", "linux/amd64/v3"], 1),
    ("on v1", "-/amd64", &["linux/amd64/v3", "linux/amd64/v2", "linux/amd64"], 2),
    ("on v4", "-/amd64/v4", &["linux/amd64/v2", "linux/amd64/v3", "linux/amd64"], 1),
    ("v1 and none are equal: list order", "-/amd64/v3", &["linux/amd64/v1", "linux/amd64"], 0),
    ("and the other way", "-/amd64/v3", &["linux/amd64", "linux/amd64/v1"], 0),
    ("the variant follows from the cpu", "- cpu:skylake", &["linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4"], 1),
    ("a machine with a variant runs that cpu level", "-/amd64/v3", &["linux/amd64 cpu:x86_64_v3"], 0),
    ("and no concrete cpu of it", "-/amd64/v3", &["linux/amd64 cpu:haswell"], NONE),
    ("variant alone", "-//v3", &["linux/amd64/v3"], 0),
    ("without v", "-/amd64/3", &["linux/amd64/2"], 0),
    ("no such variant", "- cpu:zen5", &["linux/amd64/v5"], NONE),
    ("variant and cpu are one key", "- cpu:skylake x", &["linux/amd64/v3 cpu:haswell", "linux/amd64 cpu:haswell x"], 1),
    ("a cpu beats its level", "- cpu:skylake", &["linux/amd64/v3", "linux/amd64 cpu:broadwell"], 1),
];

const ARM: &[Row] = &[
    ("no variant is v7", "-/arm", &["linux/arm/v7"], 0),
    ("and the other way", "-/arm/v7", &["linux/arm"], 0),
    ("v6 does not run what says nothing", "-/arm/v6", &["linux/arm"], NONE),
    ("v6 runs v5", "-/arm/v6", &["linux/arm/v7", "linux/arm/v5"], 1),
    ("v7 prefers v7 to v6", "-/arm/v7", &["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], 2),
    ("v7 prefers no variant to v6", "-/arm/v7", &["linux/arm/v6", "linux/arm"], 1),
    ("v8 runs v7", "-/arm/v8", &["linux/arm/v7"], 0),
    ("armhf is v7", "-/armhf", &["linux/arm/v7"], 0),
    ("armel is v6", "-/armel", &["linux/arm/v7", "linux/arm/v6"], 1),
    ("armhf in an entry", "-/arm/v6", &["linux/armhf"], NONE),
    ("7 is v7", "-/arm/7", &["linux/arm/v7"], 0),
    ("arm64 without variant is v8", "-/arm64", &["linux/arm64/v8"], 0),
    ("v8 is nothing more", "-/arm64/v8", &["linux/arm64"], 0),
    ("8 is v8", "-/arm64", &["linux/arm64/8"], 0),
    ("v8.0 is v8", "-/arm64", &["linux/arm64/v8.0"], 0),
    ("v8.2 runs v8.1", "-/arm64/v8.2", &["linux/arm64/v8", "linux/arm64/v8.1"], 1),
    ("v8 does not run v8.1", "-/arm64/v8", &["linux/arm64/v8.1"], NONE),
    ("v9 runs v8.5", "-/arm64/v9", &["linux/arm64/v8.5"], 0),
    ("v9 does not contain v8.6", "-/arm64/v9", &["linux/arm64/v8.6"], NONE),
    ("v9.1 contains v8.6", "-/arm64/v9.1", &["linux/arm64/v8.6"], 0),
    ("v9.2 contains v8.7", "-/arm64/v9.2", &["linux/arm64/v8.6", "linux/arm64/v8.7"], 1),
    ("v8.9 does not run v9", "-/arm64/v8.9", &["linux/arm64/v9"], NONE),
    ("v9.0 is v9", "-/arm64/v9.0", &["linux/arm64/v9"], 0),
    ("neoverse_n1 is v8.2", "- cpu:neoverse_n1", &["linux/arm64/v8.3", "linux/arm64/v8.2"], 1),
    ("graviton4 is v9", "- cpu:graviton4", &["linux/arm64/v8.2", "linux/arm64/v9"], 1),
    ("v8 beside a cpu says nothing", "-/arm64/v8 cpu:neoverse_v1", &["linux/arm64/v8.4"], 0),
    ("v10 does not exist", "-/arm64/v9.5", &["linux/arm64/v10"], NONE),
];

const OTHERS: &[Row] = &[
    ("equal", "-/riscv64/rva23u64", &["linux/riscv64/rva23u64"], 0),
    ("a profile contains the ones before", "-/riscv64/rva23u64", &["linux/riscv64/rva20u64"], 0),
    ("rva22u64 too", "-/riscv64/rva23u64", &["linux/riscv64/rva22u64"], 0),
    ("not the ones after", "-/riscv64/rva20u64", &["linux/riscv64/rva22u64"], NONE),
    ("the nearest profile", "-/riscv64/rva23u64", &["linux/riscv64/rva20u64", "linux/riscv64/rva22u64"], 1),
    ("a profile beats no variant", "-/riscv64/rva23u64", &["linux/riscv64", "linux/riscv64/rva23u64"], 1),
    ("no variant needs none", "-/riscv64", &["linux/riscv64/rva23u64", "linux/riscv64"], 1),
    ("a profile by cpu", "-/riscv64/rva22u64", &["linux/riscv64 cpu:rva20u64"], 0),
    ("a profile alone says the architecture", "-//rva22u64", &["linux/riscv64/rva20u64"], 0),
    ("a core that archspec gives no profile", "- cpu:u74mc", &["linux/riscv64/rva20u64", "linux/riscv64"], 1),
    ("unless its variant is said", "-/riscv64/rva20u64 cpu:u74mc", &["linux/riscv64/rva20u64"], 0),
    ("a profile nobody knows", "-/riscv64/rva23u64", &["linux/riscv64/rva99u64"], NONE),
    ("power10 runs power8", "-/ppc64le/power10", &["linux/ppc64le/power8"], 0),
    ("power8 does not run power9", "-/ppc64le/power8", &["linux/ppc64le/power9"], NONE),
    ("power11 gets the nearest", "-/ppc64le/power11", &["linux/ppc64le/power9", "linux/ppc64le/power10"], 1),
    ("numbers, not text", "-/ppc64le/power9", &["linux/ppc64le/power10"], NONE),
    ("the level follows from the cpu", "- cpu:power9le", &["linux/ppc64le/power10", "linux/ppc64le/power9"], 1),
    ("a level by cpu", "-/ppc64le/power9", &["linux/ppc64le cpu:power8le"], 0),
    ("no level needs none", "-/ppc64le", &["linux/ppc64le/power8", "linux/ppc64le"], 1),
    ("a level alone says the architecture", "-//power9", &["linux/ppc64le/power8"], 0),
    ("other variants are compared as text", "-/mips64le/hardfloat", &["linux/mips64le/hardfloat"], 0),
    ("another text", "-/mips64le/hardfloat", &["linux/mips64le/softfloat"], NONE),
];

const OS_VERSIONS: &[Row] = &[
    (
        "the build decides",
        "windows/amd64@10.0.20348",
        &["windows/amd64@10.0.17763.4499", "windows/amd64@10.0.20348.1787"],
        1,
    ),
    ("the revision does not", "windows/amd64@10.0.20348.9", &["windows/amd64@10.0.20348.1787"], 0),
    ("a newer build is another", "windows/amd64@10.0.26100", &["windows/amd64@10.0.20348.1787"], NONE),
    ("an older one too", "windows/amd64@10.0.17763", &["windows/amd64@10.0.20348.1787"], NONE),
    ("a machine that does not say", "windows/amd64", &["windows/amd64@10.0.20348.1787"], NONE),
    ("an entry that does not say", "windows/amd64@10.0.20348", &["windows/amd64"], 0),
    (
        "made for it before made for any",
        "windows/amd64@10.0.20348",
        &["windows/amd64", "windows/amd64@10.0.20348.1"],
        1,
    ),
    (
        "two revisions: list order",
        "windows/amd64@10.0.20348",
        &["windows/amd64@10.0.20348.1", "windows/amd64@10.0.20348.2"],
        0,
    ),
    ("a version without build", "windows/amd64@10.0.20348", &["windows/amd64@10.0"], NONE),
    ("not a number", "windows/amd64@10.0.20348", &["windows/amd64@10.0.20348x"], NONE),
    ("os.features", "windows/amd64@10.0.20348", &["windows/amd64@10.0.20348.1 os:win32k"], NONE),
    ("os.features offered", "windows/amd64@10.0.20348 win32k", &["windows/amd64@10.0.20348.1 os:win32k"], 0),
    ("elsewhere the text is compared", "freebsd/amd64@14.1", &["freebsd/amd64@14.1"], 0),
    ("and only the text", "freebsd/amd64@14.1", &["freebsd/amd64@14.1.0"], NONE),
    ("linux without", "-/amd64", &["linux/amd64@6.1"], NONE),
];

#[test]
fn operating_systems_and_architectures() {
    check(PLATFORMS);
}

#[test]
fn amd64_levels() {
    check(AMD64);
}

#[test]
fn arm_levels() {
    check(ARM);
}

#[test]
fn levels_of_other_architectures() {
    check(OTHERS);
}

#[test]
fn operating_system_versions() {
    check(OS_VERSIONS);
}
