//! Selection of an entry for a machine type: rows of data, one reason each.
//!
//! A machine is written `os/architecture/variant@os_version feature… >preferred… any=key…`, the platform `-` when it is
//! not given; `-/arm64` leaves the operating system out; `any=nvcap` is `devices: { nvcap: any }`; `!32` switches
//! 32-bit images off. An entry is written in the same way, with these words beside features: `os:F` an `os.features`
//! item, `note:F` an item of the annotation, `nested` for an index, `attestation` for `BuildKit`'s annotation, `type=T`
//! another media type, `artifact=T` its `artifactType` (`artifact=` an empty one), `zstd-layers` for the annotation of
//! zstd layers, `-` for no platform.

use metahub::hardware::feature::FeatureRules;
use metahub::machine_type::{Description, Devices, MachineType};
use metahub::oci::index::Index;
use metahub::oci::media_type;
use metahub::select::{Selection, rank, select, unmet};
use serde_json::{Value, json};

mod alternatives;
mod amd_gpu;
mod bounds;
mod cpu;
mod cuda;
mod devices;
mod fixtures;
mod hostile;
mod isa;
mod lists;
mod machines;
mod nested;
mod properties;
mod ranking;
mod reasons;
mod shared;
mod thirty_two_bit;
mod values;
mod variants;

/// Why, the machine, the entries, the position of the one selected.
pub(crate) type Row = (&'static str, &'static str, &'static [&'static str], i32);

/// Nothing fits.
pub(crate) const NONE: i32 = -1;
/// Not an index of images.
pub(crate) const PASS: i32 = -2;

/// `feature_rules` of every row.
pub(super) fn rules() -> FeatureRules {
    let rules = [("driver", "at_least"), ("glibc", "at_least"), ("amdgpu", "exact"), ("sm", "compute_capability")];
    FeatureRules::new(&rules.map(|(key, rule)| (key.to_owned(), rule.to_owned())).into()).unwrap()
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty() && text != "-").then(|| text.to_owned())
}

pub(crate) fn description(text: &str) -> Description {
    let mut words = text.split_whitespace();
    let (platform, os_version) = match words.next().unwrap_or_default().split_once('@') {
        Some((platform, version)) => (platform.to_owned(), given(version)),
        None => (text.split_whitespace().next().unwrap_or_default().to_owned(), None),
    };
    let mut parts = platform.split('/');
    let mut part = || given(parts.next().unwrap_or_default());
    let mut description =
        Description { os: part(), architecture: part(), variant: part(), os_version, ..Description::default() };
    for word in words {
        match (word.strip_prefix('>'), word.strip_prefix("any=")) {
            _ if word == "!32" => description.run_32_bit = Some(false),
            (Some(key), _) => description.prefer.push(key.to_owned()),
            (None, Some(key)) => _ = description.devices.insert(key.to_owned(), Devices::Any),
            (None, None) => description.features.push(word.to_owned()),
        }
    }
    description
}

pub(crate) fn machine(text: &str) -> MachineType {
    MachineType::new("machine", &description(text), &rules()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A digest that tells entries apart.
pub(super) fn digest(position: usize) -> String {
    format!("sha256:{position:064x}")
}

pub(crate) fn entry(position: usize, text: &str) -> Value {
    let mut words = text.split_whitespace();
    let platform = words.next().unwrap_or("-");
    let (mut features, mut os_features, mut note) = (Vec::new(), Vec::new(), Vec::new());
    let mut result =
        json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest(position), "size": 1000 + position});
    for word in words {
        match word.split_once(':') {
            Some(("os", feature)) => os_features.push(feature),
            Some(("note", feature)) => note.push(feature),
            _ if word == "nested" => result["mediaType"] = json!(media_type::OCI_INDEX),
            _ if word == "attestation" => {
                result["annotations"]["vnd.docker.reference.type"] = json!("attestation-manifest");
            }
            _ if word == "zstd-layers" => {
                result["annotations"]["io.github.containers.compression.zstd"] = json!("true")
            }
            _ if word.starts_with("artifact=") => {
                result["artifactType"] = json!(word.trim_start_matches("artifact="));
            }
            _ if word.starts_with("type=") => result["mediaType"] = json!(word.trim_start_matches("type=")),
            _ => features.push(word),
        }
    }
    if !note.is_empty() {
        result["annotations"]["org.metahub.features"] = json!(note.join(" , "));
    }
    let (platform, version) = platform.split_once('@').unwrap_or((platform, ""));
    let mut parts = platform.split('/');
    for name in ["os", "architecture", "variant"] {
        if let Some(part) = parts.next().and_then(given) {
            result["platform"][name] = json!(part);
        }
    }
    if !version.is_empty() {
        result["platform"]["os.version"] = json!(version);
    }
    if !features.is_empty() {
        result["platform"]["features"] = json!(features);
    }
    if !os_features.is_empty() {
        result["platform"]["os.features"] = json!(os_features);
    }
    result
}

pub(super) fn index(entries: &[&str]) -> Index {
    let entries: Vec<Value> = entries.iter().enumerate().map(|(position, text)| entry(position, text)).collect();
    let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries});
    Index::parse(document.to_string().as_bytes()).unwrap()
}

/// The entry that `machine` gets, as rows write it.
pub(super) fn outcome(index: &Index, machine: &MachineType) -> i32 {
    match select(index, machine) {
        Selection::Selected { entry, .. } => i32::try_from(entry.position()).unwrap(),
        Selection::NoMatch(_) => NONE,
        Selection::NotAnImageIndex => PASS,
    }
}

/// Runs rows; all failures are listed before the test fails.
pub(super) fn check(rows: &[Row]) {
    let mut failures = Vec::new();
    for (why, machine_text, entries, expected) in rows {
        let (index, machine) = (index(entries), machine(machine_text));
        let found = outcome(&index, &machine);
        if found != *expected {
            failures.push(format!("{why}: {machine_text} from {entries:?}: expected {expected}, found {found}"));
        }
        consistent(&index, &machine);
    }
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), rows.len(), failures.join("\n"));
}

/// Selection, ranking and explanation must say the same.
pub(super) fn consistent(index: &Index, machine: &MachineType) {
    let ranked = rank(index, machine);
    let fits = |entry: &metahub::oci::index::Entry<'_>| entry.exclusion().is_none() && unmet(entry, machine).is_empty();
    let explained = if index.is_image_index() { index.entries().filter(fits).count() } else { 0 };
    assert_eq!(ranked.len(), explained, "ranking and explanation differ on what fits");
    if let Selection::Selected { entry, reason } = select(index, machine) {
        assert_eq!(ranked.first().map(|entry| entry.position()), Some(entry.position()));
        assert_eq!(reason.eligible, ranked.len());
        let words = reason.to_string();
        assert!(words.len() < 200 && words.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{words}");
    }
}
