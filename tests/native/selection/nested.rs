//! Entries of a nested index, as the entry that leads there makes them: rows with the entry that leads there.

use metahub::machine_type::MachineType;
use metahub::oci::index::Index;
use metahub::select::{OnNoMatch, Turn, Walk};

use super::{NONE, PASS, digest, index, machine};

/// Why, the machine, the entry that leads to the index, the index's entries, the position of the one selected.
type NestedRow = (&'static str, &'static str, &'static str, &'static [&'static str], i32);

const ROWS: &[NestedRow] = &[
    ("issue 14: a manifest without platform", "-/amd64", "linux/amd64 nested", &["-", "unknown/unknown"], 0),
    ("one with a platform of its own", "-/amd64", "linux/amd64 nested", &["linux/arm64", "linux/amd64"], 1),
    ("which is not overridden", "-/amd64", "linux/amd64 nested", &["linux/arm64"], NONE),
    ("nor completed: no architecture", "-/amd64", "linux/amd64 nested", &["linux"], NONE),
    ("nor completed: no os", "-/amd64", "linux/amd64 nested", &["/amd64"], NONE),
    ("nor completed: only features", "-/amd64 a", "linux/amd64 nested", &["- a"], NONE),
    ("nor is the variant", "-/amd64/v3", "linux/amd64/v3 nested", &["linux/amd64/v2", "linux/amd64"], 0),
    ("the variant comes along", "-/amd64/v3", "linux/amd64/v3 nested", &["linux/amd64/v2", "-"], 1),
    ("so do features", "-/amd64 a b", "linux/amd64 nested a", &["linux/amd64 b", "- note:b"], 1),
    ("and count once", "-/amd64 a b", "linux/amd64 nested a", &["- note:a", "linux/amd64 a b"], 1),
    ("its own features must be met", "-/amd64", "linux/amd64 nested", &["- note:a", "-"], 1),
    ("and add to the others", "-/amd64 a b", "linux/amd64 nested b", &["linux/amd64 a", "- note:a"], 1),
    ("the os version comes along", "windows/amd64@10.0.1", "windows/amd64@10.0.1 nested", &["windows/amd64", "-"], 1),
    ("an attestation stays one", "-/amd64", "linux/amd64 nested", &["- attestation", "linux/arm64"], NONE),
    ("an artifact stays one", "-/amd64", "linux/amd64 nested", &["- artifact=text/spdx", "linux/arm64"], NONE),
    ("what is no manifest stays so", "-/amd64", "linux/amd64 nested", &["- type=text/plain", "linux/arm64"], NONE),
    ("equal to one that says the same", "-/amd64", "linux/amd64 nested", &["linux/amd64", "-"], 0),
    ("in list order", "-/amd64", "linux/amd64 nested", &["-", "linux/amd64"], 0),
    ("nothing to inherit", "-/amd64", "- nested", &["-", "linux/arm64"], NONE),
    ("nothing to inherit, no image index", "-/amd64", "- nested", &["-"], PASS),
    ("32-bit comes along", "-/amd64", "linux/386 nested", &["-"], 0),
    ("and does not hide what is native", "-/amd64", "linux/386 nested", &["-", "linux/amd64"], 1),
    ("an inherited architecture is the machine's own", "-/amd64", "linux/amd64 nested", &["linux/386", "-"], 1),
];

/// The position of the entry that the machine gets of `inner`.
fn outcome(outer: &Index, inner: &Index, machine: &MachineType) -> i32 {
    let Turn::Nested(_, walk) = Walk::begin().enter(outer, machine, OnNoMatch::Refuse) else {
        panic!("the entry that leads there does not fit")
    };
    match walk.enter(inner, machine, OnNoMatch::Refuse) {
        Turn::Image { descriptor, .. } => {
            let position = (0..100).find(|position| digest(*position) == descriptor.digest.as_str()).unwrap();
            i32::try_from(position).unwrap()
        }
        Turn::DeadEnd(dead_end) if dead_end.to_string().contains("not an image index") => PASS,
        Turn::DeadEnd(_) => NONE,
        other => panic!("{other:?}"),
    }
}

#[test]
fn entries_without_a_platform_inherit_it() {
    let mut failures = Vec::new();
    for (why, written, leads_there, entries, expected) in ROWS {
        let (outer, inner, machine) = (index(&[leads_there]), index(entries), machine(written));
        let before = inner.clone();
        let found = outcome(&outer, &inner, &machine);
        if found != *expected {
            failures.push(format!("{why}: {written} from {entries:?}: expected {expected}, found {found}"));
        }
        assert_eq!(inner, before, "the index itself stays as it is");
    }
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), ROWS.len(), failures.join("\n"));
}
