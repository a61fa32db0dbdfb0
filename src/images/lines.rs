//! Lines of a rule: the requirements of each, and the order in which a machine goes to them.
//!
//! A line asks as an entry of an index does, so the lines of a rule are made an index, and that is ranked. Fields
//! that a line leaves open are filled with the machine's own, because an entry of an index has a whole platform.

use crate::machine_type::MachineType;
use crate::oci::index::Index;
use crate::oci::media_type::OCI_MANIFEST;
use crate::select::{IndexSummary, rank};
use crate::text::json::{Json, json};

/// The requirements of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub(crate) os: Option<String>,
    pub(crate) architecture: Option<String>,
    pub(crate) variant: Option<String>,
    pub(crate) features: Vec<String>,
}

/// The order in which a machine goes to the lines of a rule.
#[derive(Debug)]
pub(super) struct Ranked {
    /// The positions of the lines that fit, the best one first.
    pub(super) fit: Vec<usize>,
    /// All lines, in words for a user whose machine none of them fits.
    pub(super) summary: IndexSummary,
}

/// The digest in the place of those that entries have: nothing reads it.
const NO_DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

impl Line {
    /// The requirements, in words.
    pub(super) fn words(&self) -> Vec<String> {
        let platform = [("os", &self.os), ("architecture", &self.architecture), ("variant", &self.variant)];
        let platform = platform.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
        platform.chain(self.features.iter().cloned()).collect()
    }

    /// The line as an entry of an index for this machine.
    fn entry(&self, machine: &MachineType) -> Json {
        let architecture = self.architecture.as_deref().unwrap_or(machine.architecture());
        // An entry for arm without a variant is for v7; a line without an architecture is for any machine.
        let lowest = || (self.architecture.is_none() && architecture == "arm").then_some("v5");
        json!({
            "mediaType": OCI_MANIFEST,
            "digest": NO_DIGEST,
            "size": 0_u64,
            "platform": json!({
                "os": self.os.as_deref().unwrap_or(machine.os()),
                "architecture": architecture,
                "variant": self.variant.as_deref().or_else(lowest),
                "features": self.features.iter().map(|feature| Json::from(feature.as_str())).collect::<Json>(),
            }),
        })
    }
}

/// Ranks lines for a machine by the rules of selection (docs/selection.md).
pub(super) fn ranked<'l>(lines: impl Iterator<Item = &'l Line>, machine: &MachineType) -> Ranked {
    let entries: Json = lines.map(|line| line.entry(machine)).collect();
    let index = Index::parse(json!({ "schemaVersion": 2_u64, "manifests": entries }).to_string().as_bytes());
    debug_assert!(index.is_ok(), "lines are checked by the configuration: {index:?}");
    match index {
        Ok(index) => Ranked {
            fit: rank(&index, machine).iter().map(|entry| entry.position()).collect(),
            summary: IndexSummary::of(&index),
        },
        Err(_) => Ranked {
            fit: Vec::new(),
            summary: IndexSummary { entries: 0, offered: Vec::new(), more: 0, unreadable: (0, None) },
        },
    }
}
