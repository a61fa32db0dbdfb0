//! Any bytes as an index, for a few machine types: nothing panics, and the selected entry fits.

use std::sync::LazyLock;

use metahub::hardware::feature::FeatureRules;
use metahub::machine_type::{Description, Devices, MachineType};
use metahub::oci::index::{Index, is_artifact_tag};
use metahub::select::{MAX_DOCUMENTS, OnNoMatch, Selection, Turn, Walk, missing_variants, rank, select, unmet};

use super::log_text::harmless;

static MACHINES: LazyLock<Vec<MachineType>> = LazyLock::new(|| {
    let rules = [("driver".to_owned(), "at_least".to_owned())];
    let rules = FeatureRules::new(&rules.into()).expect("rules");
    let machine = |os: &str, os_version: Option<&str>, features: &[&str], prefer: &[&str]| {
        // Of several GPUs all count on Linux, any elsewhere.
        let devices = features.iter().any(|feature| feature.starts_with("nvcap:") && os != "linux");
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let description = Description {
            os: Some(os.to_owned()),
            os_version: os_version.map(str::to_owned),
            features: texts(features),
            prefer: texts(prefer),
            devices: devices.then(|| ("nvcap".to_owned(), Devices::Any)).into_iter().collect(),
            ..Description::default()
        };
        MachineType::new("fuzz", &description, &rules).expect("a machine type")
    };
    vec![
        machine("linux", None, &["cpu:skylake"], &[]),
        machine("linux", None, &["cpu:icelake", "nvcap:9.0", "driver:550.54", "flag"], &["nvcap"]),
        machine("linux", None, &["cpu:neoverse_v2", "cpu:m3", "mpi:openmpi", "mpi:mpich"], &["mpi", "cpu"]),
        machine("windows", Some("10.0.20348"), &["cpu:zen4", "win32k", "nvcap:8.6", "nvcap:9.0"], &[]),
        machine("linux", None, &["cpu:icelake", "nvcap:8.6", "nvcap:12.0", "driver:570.26", "isa:flag"], &[]),
        machine("linux", None, &["cpu:zen4", "gfx:gfx90a:xnack+", "gfx:gfx1100"], &["gfx"]),
        machine("linux", None, &["cpu:neoverse_v2", "nvcap:8.7", "l4t:36.4"], &[]),
        machine("linux", None, &["cpu:neoverse_n1", "zstd"], &[]),
    ]
});

pub(crate) fn check(bytes: &[u8]) {
    if let Ok(tag) = std::str::from_utf8(bytes) {
        let _ = is_artifact_tag(tag);
    }
    let index = match Index::parse(bytes) {
        Ok(index) => index,
        Err(error) => return assert!(harmless(&error.to_string())),
    };
    for machine in MACHINES.iter() {
        let ranked = rank(&index, machine);
        for entry in &ranked {
            assert!(entry.exclusion().is_none() && unmet(entry, machine).is_empty());
        }
        for entry in index.entries() {
            assert!(unmet(&entry, machine).iter().all(|unmet| harmless(&unmet.to_string())));
        }
        match select(&index, machine) {
            Selection::Selected { entry, reason } => {
                assert_eq!(ranked.first().map(|first| first.position()), Some(entry.position()));
                assert!(harmless(&reason.to_string()) && reason.to_string().len() < 200);
            }
            Selection::NoMatch(offer) => assert!(ranked.is_empty() && harmless(&offer.to_string())),
            Selection::NotAnImageIndex => assert!(ranked.is_empty() && !index.is_image_index()),
        }
        let _ = missing_variants(&index, machine);
        walk(&index, machine);
    }
}

/// A walk on which every nested index is this one again.
fn walk(index: &Index, machine: &MachineType) {
    let mut walk = Walk::begin();
    for _ in 1..MAX_DOCUMENTS {
        match walk.enter(index, machine, OnNoMatch::Refuse) {
            Turn::Nested(_, next) => walk = next,
            Turn::Image { reason, missing, .. } => {
                assert!(harmless(&reason.to_string()) && reason.to_string().len() < 200);
                return assert!(missing.iter().all(|missing| harmless(missing)));
            }
            Turn::Whole(_) => return,
            Turn::DeadEnd(dead_end) => return assert!(harmless(&dead_end.to_string())),
        }
    }
    panic!("a walk through more documents than a pull fetches");
}
