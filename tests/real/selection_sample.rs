//! A sample of each kind of selection rule through the real chain: rows of the native table (`tests/native/selection`),
//! with one configuration, one Envoy and one registry that the entries really are in.

use serde_json::{Value, json};

use crate::native::selection::{NONE, PASS, Row, description, entry};
use metahub_testkit::elf::Architecture;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::image::{Document, Format, Image, index};
use metahub_testkit::stage::stage;

const ROWS: &[Row] = &[
    ("equal microarchitecture", "- cpu:skylake", &["linux/amd64 cpu:broadwell", "linux/amd64 cpu:skylake"], 1),
    ("an ancestor's code runs", "- cpu:icelake", &["linux/amd64 cpu:zen4", "linux/amd64 cpu:haswell"], 1),
    ("a descendant's does not", "- cpu:broadwell", &["linux/amd64 cpu:skylake"], NONE),
    ("a compiler's name", "- cpu:znver4", &["linux/amd64 cpu:zen3"], 0),
    ("nearness", "- cpu:icelake", &["linux/amd64 cpu:skylake", "linux/amd64 cpu:haswell"], 0),
    (
        "nearness by the longest path",
        "- cpu:icelake",
        &["linux/amd64 cpu:skylake", "linux/amd64 cpu:skylake_avx512"],
        1,
    ),
    ("nearness by ISA features", "- cpu:haswell", &["linux/amd64 cpu:ivybridge", "linux/amd64 cpu:x86_64_v3"], 1),
    ("amd64 variants", "-/amd64/v3", &["linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4"], 2),
    ("the variant follows from the cpu", "- cpu:skylake", &["linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4"], 1),
    ("arm: no variant is v7", "-/arm/v6", &["linux/arm", "linux/arm/v5"], 1),
    ("arm64: v9 does not contain v8.6", "-/arm64/v9", &["linux/arm64/v8.6", "linux/arm64/v8.5"], 1),
    ("arm64: by cpu", "- cpu:graviton4", &["linux/arm64/v8.2", "linux/arm64/v9"], 1),
    ("nvcap: the highest that runs", "-/amd64 nvcap:8.9", &["linux/amd64 nvcap:8.0", "linux/amd64 nvcap:8.6"], 1),
    ("nvcap: another major number", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:8.6"], NONE),
    ("nvcap: a before plain", "-/amd64 nvcap:9.0", &["linux/amd64 nvcap:9.0", "linux/amd64 nvcap:9.0a"], 1),
    ("at_least by feature_rules", "-/amd64 driver:550.54", &["linux/amd64 driver:550.90", "linux/amd64 driver:535"], 1),
    ("compute_capability by feature_rules", "-/amd64 sm:8.6", &["linux/amd64 sm:9.0", "linux/amd64 sm:8.0"], 1),
    ("alternatives, and PTX", "-/amd64 nvcap:12.0", &["linux/amd64", "linux/amd64 nvcap:7.0|8.0|9.0+ptx"], 1),
    ("a bare key", "-/amd64 nvcap:8.6", &["linux/amd64 nvcap", "linux/amd64 nvcap:8.0"], 1),
    ("two GPUs: every one", "-/amd64 nvcap:7.5 nvcap:8.6", &["linux/amd64 nvcap:8.0", "linux/amd64 nvcap:7.0|8.0"], 1),
    ("an AMD GPU", "-/amd64 gfx:gfx90a:xnack+", &["linux/amd64 gfx:gfx90a:xnack-", "linux/amd64 gfx:gfx90a"], 1),
    ("the toolkit of a driver", "-/amd64 driver:570.26", &["linux/amd64 cuda:13.0", "linux/amd64 cuda:12.4"], 1),
    ("same_major", "linux/arm64 l4t:36.4", &["linux/arm64 l4t:35", "linux/arm64 l4t:36"], 1),
    ("isa", "- cpu:haswell", &["linux/amd64 isa:avx512f", "linux/amd64 isa:avx2"], 1),
    ("riscv64 profiles", "-/riscv64/rva23u64", &["linux/riscv64/rva20u64", "linux/riscv64/rva22u64"], 1),
    ("exact", "-/amd64 mpi:openmpi", &["linux/amd64 mpi:mpich", "linux/amd64 mpi:openmpi"], 1),
    ("a flag", "-/amd64", &["linux/amd64 infiniband", "linux/amd64"], 1),
    ("number of keys", "- cpu:skylake a b", &["linux/amd64 cpu:skylake", "linux/amd64 a b"], 1),
    ("keys in the machine's order", "- a cpu:skylake", &["linux/amd64 cpu:skylake", "linux/amd64 a"], 1),
    ("prefer", "- cpu:skylake nvcap:8.6 >nvcap", &["linux/amd64 cpu:skylake", "linux/amd64 nvcap:8.0"], 1),
    ("prefer beats the number of keys", "-/amd64 a b c >c", &["linux/amd64 a b", "linux/amd64 c"], 1),
    (
        "os.version: the build decides",
        "windows/amd64@10.0.20348",
        &["windows/amd64@10.0.17763.4499", "windows/amd64@10.0.20348.1787"],
        1,
    ),
    (
        "os.features",
        "windows/amd64@10.0.20348",
        &["windows/amd64@10.0.20348.1 os:win32k", "windows/amd64@10.0.20348.2"],
        1,
    ),
    ("the annotation's features", "- cpu:skylake", &["linux/amd64 note:cpu:zen", "linux/amd64 note:cpu:haswell"], 1),
    ("attestations are skipped", "-/amd64", &["unknown/unknown attestation", "linux/amd64"], 1),
    ("list order", "-/amd64", &["linux/arm64", "linux/amd64", "linux/amd64"], 1),
    ("no platforms: passes through", "-/amd64", &["-", "-"], PASS),
];

/// The manifest at this position; each its own, so that digests tell them apart.
fn image(row: usize, position: usize) -> Image {
    Image::printing(Format::Oci, Architecture::Amd64, &format!("{row}.{position}"))
}

/// The row's list, its entries pointing to real manifests.
fn list(row: usize, entries: &[&str]) -> Document {
    let entry = |(position, text): (usize, &&str)| {
        let mut entry = entry(position, text);
        let target = image(row, position).manifest;
        entry["digest"] = json!(target.digest());
        entry["size"] = json!(target.bytes.len());
        entry
    };
    index(Format::Oci, &entries.iter().enumerate().map(entry).collect::<Vec<Value>>())
}

/// One machine type for each row, in `none` mode: the login `x-row7` is enough.
fn configuration() -> Value {
    let mut machine_types = json!({});
    for (row, (_, machine, ..)) in ROWS.iter().enumerate() {
        let description = description(machine);
        let mut fields = json!({ "features": description.features, "prefer": description.prefer });
        let given = [
            ("os", description.os),
            ("os_version", description.os_version),
            ("architecture", description.architecture),
            ("variant", description.variant),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                fields[name] = json!(value);
            }
        }
        machine_types[format!("row{row}")] = fields;
    }
    json!({
        "feature_rules": { "driver": "at_least", "sm": "compute_capability" },
        "machine_types": machine_types,
        "registries": { "registry": { "authentication": "none" } },
    })
}

#[test]
fn each_kind_of_rule_through_envoy() {
    let stage = stage().configuration(configuration()).start().unwrap();
    let registry = stage.registry();
    let mut lists = Vec::new();
    for (row, (_, _, entries, _)) in ROWS.iter().enumerate() {
        for position in 0..entries.len() {
            registry.push_image("sample", &image(row, position)).unwrap();
        }
        lists.push(list(row, entries));
        registry.push_manifest("sample", &format!("row{row}"), &lists[row]).unwrap();
    }

    let mut failures = Vec::new();
    for (row, (why, machine, entries, expected)) in ROWS.iter().enumerate() {
        let path = format!("/v2/sample/manifests/row{row}");
        let answer = stage.send(&Request::get(&path).login(&format!("x-row{row}"), "x"));
        let found = outcome(&answer, row, entries.len(), &lists[row]);
        if found != Some(*expected) {
            failures.push(format!(
                "{why}: {machine} from {entries:?}: expected {expected}, found {found:?}: {} {}",
                answer.status,
                answer.text()
            ));
        }
    }
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), ROWS.len(), failures.join("\n"));
}

/// The position of the entry that the answer's bytes are, as rows write it.
fn outcome(answer: &Response, row: usize, entries: usize, list: &Document) -> Option<i32> {
    match answer.status {
        404 if answer.text().contains("nothing fits; the index offers") => Some(NONE),
        200 if answer.body == list.bytes => Some(PASS),
        200 => {
            let position = (0..entries).position(|position| image(row, position).manifest.bytes == answer.body)?;
            i32::try_from(position).ok()
        }
        _ => None,
    }
}
