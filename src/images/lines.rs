//! Lines of a rule: the requirements of each, and the order in which a machine goes to them.
//!
//! A line asks as an entry of an index does, so the lines of a rule are made an index, and that is ranked. Fields
//! that a line leaves open are filled with the machine's own, because an entry of an index has a whole platform.

use std::borrow::Cow;

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

/// Lines in the order of the configuration, with the indexes that they make for machines of some platforms.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: Vec<Line>,
    /// Made beforehand: a pull of a known tag should cost no more than ranking.
    indexes: Vec<(MachinePlatform, Index)>,
}

/// Operating system and architecture of a machine type: all of it that an index of lines depends on.
pub(crate) type MachinePlatform = (String, String);

/// The digest in the place of those that entries have: nothing reads it.
const NO_DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

impl Line {
    /// The requirements, in words.
    pub(super) fn words(&self) -> Vec<String> {
        let platform = [("os", &self.os), ("architecture", &self.architecture), ("variant", &self.variant)];
        let platform = platform.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
        platform.chain(self.features.iter().cloned()).collect()
    }

    /// The line as an entry of an index for machines of this platform.
    fn entry(&self, (os, own): &MachinePlatform) -> Json {
        let architecture = self.architecture.as_deref().unwrap_or(own);
        // An entry for arm without a variant is for v7; a line without an architecture is for any machine.
        let lowest = || (self.architecture.is_none() && architecture == "arm").then_some("v5");
        json!({
            "mediaType": OCI_MANIFEST,
            "digest": NO_DIGEST,
            "size": 0_u64,
            "platform": json!({
                "os": self.os.as_deref().unwrap_or(os),
                "architecture": architecture,
                "variant": self.variant.as_deref().or_else(lowest),
                "features": self.features.iter().map(|feature| Json::from(feature.as_str())).collect::<Json>(),
            }),
        })
    }
}

impl Lines {
    /// Lines that rank fast for machines of these platforms.
    pub(crate) fn new(lines: Vec<Line>, platforms: &[MachinePlatform]) -> Self {
        let mut lines = Self { lines, indexes: Vec::new() };
        for platform in platforms {
            if let Some(index) = lines.make_index(platform) {
                lines.indexes.push((platform.clone(), index));
            }
        }
        lines
    }

    /// The lines.
    pub(super) fn as_slice(&self) -> &[Line] {
        &self.lines
    }

    /// The positions of the lines that fit a machine, the best one first by the rules of selection
    /// (docs/selection.md).
    pub(super) fn ranked(&self, machine: &MachineType) -> Vec<usize> {
        let ranked = |index: Cow<'_, Index>| rank(&index, machine).iter().map(|entry| entry.position()).collect();
        self.index(machine).map(ranked).unwrap_or_default()
    }

    /// All lines, in words for a user whose machine none of them fits.
    pub(super) fn summary(&self, machine: &MachineType) -> IndexSummary {
        let nothing = IndexSummary { entries: 0, offered: Vec::new(), more: 0, unreadable: (0, None) };
        self.index(machine).map_or(nothing, |index| IndexSummary::of(&index))
    }

    fn index(&self, machine: &MachineType) -> Option<Cow<'_, Index>> {
        let is_its =
            |(os, architecture): &MachinePlatform| (&**os, &**architecture) == (machine.os(), machine.architecture());
        let known = self.indexes.iter().find(|(platform, _)| is_its(platform));
        let make = || self.make_index(&(machine.os().to_owned(), machine.architecture().to_owned())).map(Cow::Owned);
        known.map(|(_, index)| Cow::Borrowed(index)).or_else(make)
    }

    fn make_index(&self, platform: &MachinePlatform) -> Option<Index> {
        let entries: Json = self.lines.iter().map(|line| line.entry(platform)).collect();
        let index = Index::parse(json!({ "schemaVersion": 2_u64, "manifests": entries }).to_string().as_bytes());
        debug_assert!(index.is_ok(), "lines are checked by the configuration: {index:?}");
        index.ok()
    }
}
