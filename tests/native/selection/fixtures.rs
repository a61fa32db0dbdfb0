//! Shapes of public images, written by us from their published structure (`tests/fixtures/indexes`).

use metahub::oci::index::Index;

use super::{NONE, PASS, consistent, machine, outcome};

fn check(name: &str, rows: &[(&str, i32)]) {
    let path = format!("{}/tests/fixtures/indexes/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let index = Index::parse(&std::fs::read(&path).unwrap()).unwrap();
    assert!(index.unreadable().is_empty(), "{name}: {:?}", index.unreadable());
    for (written, expected) in rows {
        let machine = machine(written);
        assert_eq!(outcome(&index, &machine), *expected, "{name}: {written}");
        consistent(&index, &machine);
    }
}

#[test]
fn official_image_with_attestations() {
    check(
        "official-image-with-attestations",
        &[
            ("- cpu:skylake nvcap:8.6", 0),
            ("-/arm/v6", 2),
            ("-/arm", 4),
            ("- cpu:neoverse_n1", 6),
            ("-/386", 8),
            ("-/mips64le", 10),
            ("- cpu:power9le", 12),
            ("- cpu:u74mc", 14),
            ("-/s390x", 16),
            ("-/loong64", NONE),
            ("windows/amd64@10.0.20348", NONE),
        ],
    );
}

#[test]
fn toolchain_with_windows() {
    check(
        "toolchain-with-windows",
        &[
            ("- cpu:zen2", 0),
            ("-/arm64", 1),
            ("windows/amd64@10.0.26100", 2),
            ("windows/amd64@10.0.20348.1", 3),
            ("windows/amd64@10.0.17763", NONE),
            ("windows/amd64@10.0.17763 win32k", 4),
            ("windows/amd64@10.0.14393", NONE),
            ("windows/amd64", NONE),
        ],
    );
}

#[test]
fn distribution_with_amd64_levels() {
    check(
        "distribution-with-amd64-levels",
        &[
            ("-/amd64", 0),
            ("-/amd64/v2", 1),
            ("- cpu:bulldozer", 1),
            ("- cpu:haswell", 2),
            ("- cpu:zen5", 2),
            ("- cpu:m2", 3),
            ("-/ppc64le", 4),
            ("-/arm", NONE),
        ],
    );
}

#[test]
fn cuda_docker_list() {
    check(
        "cuda-docker-list",
        &[
            ("-/amd64", 0),
            ("-/arm64", 1),
            ("-/amd64 nvcap:7.5", 2),
            ("-/amd64 nvcap:8.0", 3),
            ("- cpu:haswell nvcap:8.9", 4),
            ("-/amd64 nvcap:9.0", 5),
            ("-/amd64 nvcap:10.3", 6),
            ("-/amd64 nvcap:12.0", 0),
            ("- cpu:icelake nvcap:8.0", 7),
            ("- cpu:graviton4 nvcap:9.0", 8),
            ("- cpu:graviton3 nvcap:9.0", 1),
        ],
    );
}

#[test]
fn cuda_oci_annotated() {
    check(
        "cuda-oci-annotated",
        &[
            ("- cpu:skylake", 0),
            ("- cpu:skylake nvcap:8.6", 1),
            ("- cpu:sapphirerapids nvcap:9.0", 2),
            ("- cpu:zen3 nvcap:9.0", 0),
            ("linux/arm64/v8 nvcap:8.7", 3),
            ("-/arm64", NONE),
        ],
    );
}

#[test]
fn fat_binaries() {
    check(
        "fat-binaries",
        &[
            ("-/amd64", 0),
            ("- cpu:skylake", 4),
            ("-/amd64 nvcap:8.9 driver:570.26", 1),
            ("-/amd64 nvcap:12.0 driver:570.26", 1),
            ("-/amd64 nvcap:8.9 driver:535.54.03", 0),
            ("-/amd64 nvcap:6.1 driver:570.26", 0),
            ("-/amd64 nvcap:7.5 nvcap:12.0 cuda:12.8", 1),
            ("-/amd64 gfx:gfx942 kernel:6.8", 2),
            ("-/amd64 gfx:gfx942 kernel:5.4", 3),
            ("-/amd64 gfx:gfx1151 kernel:6.8", 3),
            ("-/amd64 gfx:gfx1101 kernel:6.8", 2),
            ("-/arm64", 5),
            ("-/arm64 nvcap:8.7 l4t:36.4", 6),
            ("-/arm64 nvcap:8.7 l4t:35.6", 5),
            ("- cpu:neoverse_v2 nvcap:9.0 driver:570.26", 7),
            ("- cpu:neoverse_v2 nvcap:12.1 driver:580.65.06", 7),
            ("-/ppc64le/power10", 8),
            ("-/ppc64le/power8", NONE),
            ("-/riscv64/rva23u64", 9),
            ("-/riscv64", NONE),
        ],
    );
}

#[test]
fn nested_indexes() {
    check("nested-by-platform", &[("- cpu:skylake", 0), ("-/arm64", 1), ("-/s390x", NONE)]);
    check("nested-without-platform", &[("- cpu:skylake", 0), ("-/s390x", 0)]);
}

#[test]
fn what_is_not_for_machines_passes_through() {
    for name in ["bundle-artifact", "referrers-tag", "buildkit-cache"] {
        check(name, &[("- cpu:skylake", PASS), ("-/arm64", PASS)]);
    }
}
