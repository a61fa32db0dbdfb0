//! 32-bit images on 64-bit machines: only if the index has nothing for the machine's own architecture.

use metahub::machine_type::MachineType;
use metahub::select::{Selection, select, unmet};

use super::{NONE, Row, check, description, index, machine, rules};

const X86: &[Row] = &[
    ("issue 14: nothing else", "-/amd64", &["linux/386"], 0),
    ("issue 14: not beside amd64", "-/amd64", &["linux/386", "linux/amd64"], 1),
    ("whatever the microarchitecture", "- cpu:skylake", &["linux/386"], 0),
    ("not where amd64 does not fit", "-/amd64", &["linux/386", "linux/amd64/v3"], NONE),
    ("not where its features do not fit", "-/amd64", &["linux/386", "linux/amd64 a"], NONE),
    ("not where amd64 is of another system", "-/amd64", &["linux/386", "windows/amd64"], NONE),
    ("not beside a nested index for amd64", "-/amd64", &["linux/386", "linux/amd64 nested"], 1),
    ("beside other architectures", "-/amd64", &["linux/arm64", "linux/386", "linux/arm/v7"], 1),
    ("beside attestations of amd64", "-/amd64", &["linux/amd64 attestation", "linux/386"], 1),
    ("beside artifacts for amd64", "-/amd64", &["linux/amd64 artifact=text/spdx", "linux/386"], 1),
    ("switched off", "-/amd64 !32", &["linux/386"], NONE),
    ("switched off, and amd64 goes on", "-/amd64 !32", &["linux/386", "linux/amd64"], 1),
    ("features count", "-/amd64 a", &["linux/386", "linux/386 a"], 1),
    ("and must be met", "-/amd64", &["linux/386 a"], NONE),
    ("the system too", "-/amd64", &["windows/386"], NONE),
    ("i686 is 386", "-/amd64", &["linux/i686"], 0),
    ("a nested index of them", "-/amd64", &["linux/386 nested"], 0),
    ("a nested index that may be native goes first", "-/amd64", &["linux/386", "- nested"], 1),
    ("386 gets no amd64", "-/386", &["linux/amd64"], NONE),
    ("386 is not 32-bit to itself", "-/386", &["linux/386"], 0),
    ("arm is not for amd64", "-/amd64", &["linux/arm/v7"], NONE),
    ("386 is not for arm64", "-/arm64", &["linux/386"], NONE),
    ("ppc64le has none", "-/ppc64le", &["linux/ppc"], NONE),
];

const ARM: &[Row] = &[
    ("v7", "-/arm64", &["linux/arm/v7"], 0),
    ("no variant is v7", "-/arm64", &["linux/arm"], 0),
    ("v8 before v7", "-/arm64", &["linux/arm/v7", "linux/arm/v8"], 1),
    ("v7 before v6", "-/arm64", &["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], 2),
    ("v6 before v5", "-/arm64", &["linux/arm/v5", "linux/arm/v6"], 1),
    ("v5", "-/arm64", &["linux/arm/v5"], 0),
    ("not beside arm64", "-/arm64", &["linux/arm/v8", "linux/arm64"], 1),
    ("not where arm64 does not fit", "-/arm64", &["linux/arm/v8", "linux/arm64/v9"], NONE),
    ("by cpu", "-/arm64", &["linux/arm/v6 cpu:armv7", "linux/arm/v6"], 0),
    ("a server that has the mode", "- cpu:neoverse_n1", &["linux/arm/v7"], 0),
    ("an Apple M1 has none", "- cpu:m1", &["linux/arm/v7"], NONE),
    ("nor have its descendants", "- cpu:m3", &["linux/arm/v7"], NONE),
    ("nor has Graviton 4", "- cpu:graviton4", &["linux/arm/v7"], NONE),
    ("nor has A64FX", "- cpu:a64fx", &["linux/arm/v7"], NONE),
    ("one of several machines has none", "- cpu:neoverse_n1 cpu:thunderx2", &["linux/arm/v7"], NONE),
    ("switched off", "-/arm64/v8.2 !32", &["linux/arm/v7"], NONE),
];

#[test]
fn amd64_runs_386() {
    check(X86);
}

#[test]
fn arm64_runs_arm() {
    check(ARM);
}

/// What could not be read may be what the machine should get.
#[test]
fn an_index_that_is_not_wholly_read_has_no_32_bit_images_for_64_bit_machines() {
    let document = format!(r#"{{"manifests":[{},{{"platform":7}}]}}"#, super::entry(0, "linux/386"));
    let index = metahub::oci::index::Index::parse(document.as_bytes()).unwrap();
    assert_eq!(super::outcome(&index, &machine("-/amd64")), NONE);
    assert_eq!(super::outcome(&index, &machine("-/386")), 0);
}

#[test]
fn the_reason_says_so() {
    for entries in [&["linux/386"][..], &["linux/386", "linux/386"], &["linux/386 a", "linux/386"]] {
        let index = index(entries);
        let Selection::Selected { reason, .. } = select(&index, &machine("-/amd64 a")) else { panic!("{entries:?}") };
        assert_eq!(reason.criterion.word(), "32-bit");
        assert!(reason.to_string().contains("; 32-bit"), "{reason}");
    }
    let index = index(&["linux/386", "- nested"]);
    let Selection::Selected { reason, .. } = select(&index, &machine("-/amd64")) else { panic!() };
    assert_eq!(reason.criterion.word(), "native");
}

#[test]
fn what_keeps_a_machine_from_a_32_bit_image_is_said_in_its_own_words() {
    let [only, beside] = [index(&["linux/386 a"]), index(&["linux/386 a", "linux/amd64"])];
    let needs = |index: &metahub::oci::index::Index| -> Vec<String> {
        let entry = index.entries().next().unwrap();
        unmet(&entry, &machine("-/amd64")).iter().map(ToString::to_string).collect()
    };
    assert_eq!(needs(&only), ["needs a, the machine has nothing of it"]);
    assert_eq!(needs(&beside)[0], "needs architecture 386, the machine has amd64");
}

/// Decisions are kept by what a machine type offers.
#[test]
fn the_switch_is_part_of_the_fingerprint_where_it_matters() {
    let fingerprint = |text: &str| machine(text).fingerprint();
    assert_ne!(fingerprint("-/amd64"), fingerprint("-/amd64 !32"));
    assert_eq!(fingerprint("- cpu:m1"), fingerprint("- cpu:m1 !32"));
    let mut on = description("- cpu:m1");
    on.run_32_bit = Some(true);
    let warnings = MachineType::new("m", &on, &rules()).unwrap().warnings().to_vec();
    assert_eq!(warnings.iter().map(|warning| &*warning.field).collect::<Vec<_>>(), ["run_32_bit"]);
}
