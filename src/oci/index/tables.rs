//! An index as it is kept: values that its entries repeat stand there once, and an entry is no more than numbers.
//!
//! A platform or media type that the interner misses stands there twice; features are sorted, and stand there once.

use std::ops::Range;

use super::exclusion::Exclusion;
use super::requirement::{CpuRequirement, Level, Origin, Requirement};
use crate::hardware::feature::Feature;
use crate::hardware::microarchitecture::Microarchitecture;
use crate::oci::digest::Algorithm;
use crate::oci::media_type::Kind;
use crate::oci::platform::Platform;

/// The tables of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tables {
    pub(super) records: Vec<Record>,
    /// The digests of all entries, one behind the other.
    pub(super) digests: String,
    /// Sorted by key, without repetitions.
    pub(super) features: Vec<FeatureRow>,
    /// The numbers of each entry's features, one entry after the other.
    pub(super) of_entries: Vec<u32>,
    pub(super) platforms: Vec<PlatformRow>,
    pub(super) media_types: Vec<MediaType>,
    /// Whether all entries could be read.
    pub(super) complete: bool,
}

impl Tables {
    /// Whether the index has an entry for this architecture, or may have one among those that could not be read.
    pub(super) fn may_offer(&self, architecture: &str) -> bool {
        let offers = |known: &PlatformRow| known.is_offered && known.platform.architecture == architecture;
        !self.complete || self.platforms.iter().any(offers)
    }

    /// Notes which platforms are those of entries that some machine could get.
    pub(super) fn note_offered(&mut self) {
        for record in self.records.iter().filter(|record| record.exclusion.is_none()) {
            if let Some(known) = record.platform.and_then(|number| self.platforms.get_mut(number as usize)) {
                known.is_offered = true;
            }
        }
    }
}

/// A part of a list of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) length: u32,
}

impl Span {
    pub(super) fn of<'n>(&self, numbers: &'n [u32]) -> &'n [u32] {
        let part = numbers.get(self.range());
        debug_assert!(part.is_some(), "{self:?} of {} numbers", numbers.len());
        part.unwrap_or_default()
    }

    pub(super) fn of_mut<'n>(&self, numbers: &'n mut [u32]) -> &'n mut [u32] {
        let part = numbers.get_mut(self.range());
        debug_assert!(part.is_some(), "{self:?} lies outside");
        part.unwrap_or_default()
    }

    const fn range(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) position: u32,
    pub(super) media_type: u32,
    pub(super) algorithm: Algorithm,
    /// Where its digest starts.
    pub(super) digest: u32,
    pub(super) size: u64,
    pub(super) platform: Option<u32>,
    pub(super) features: Span,
    pub(super) distinct_keys: u32,
    pub(super) names_cpu: bool,
    /// Its layers are compressed with zstd.
    pub(super) zstd: bool,
    pub(super) exclusion: Option<Exclusion>,
}

/// A media type of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MediaType {
    pub(super) text: Box<str>,
    pub(super) kind: Kind,
}

/// A platform of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlatformRow {
    pub(super) platform: Platform,
    cpu: Option<CpuRequirement>,
    /// Its variant asks for more than an entry without one.
    pub(crate) names_cpu: bool,
    /// An entry of this platform could be selected.
    pub(super) is_offered: bool,
}

impl PlatformRow {
    pub(super) fn new(platform: Platform) -> Self {
        let variant = platform.variant.as_deref();
        let level = level_of(&platform.architecture, variant);
        let names_cpu = match &level {
            // A variant at or below the baseline asks for no more than an entry without one.
            Some(Level::Known(level)) => {
                let baseline = Microarchitecture::baseline(&platform.architecture);
                baseline.is_none_or(|baseline| baseline.generations_to(*level).is_none())
            }
            Some(_) => true,
            None => false,
        };
        let origin = if variant.is_some() { Origin::Variant } else { Origin::Baseline };
        Self { cpu: level.map(|level| CpuRequirement { level, origin }), names_cpu, is_offered: false, platform }
    }

    /// The requirements of the platform.
    pub(crate) fn requirements(&self) -> impl Iterator<Item = Requirement<'_>> {
        let Platform { os, architecture, os_version, .. } = &self.platform;
        let version = os_version.as_deref().map(Requirement::OsVersion);
        let cpu = self.cpu.as_ref().map(Requirement::Cpu);
        [Some(Requirement::Os(os)), Some(Requirement::Architecture(architecture)), version, cpu].into_iter().flatten()
    }
}

/// A feature of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FeatureRow {
    pub(crate) feature: Feature,
    /// The requirement, if its key is `cpu` or `isa`.
    pub(crate) cpu: Option<CpuRequirement>,
}

impl FeatureRow {
    pub(super) fn new(feature: Feature) -> Self {
        let cpu = Level::of(&feature).map(|level| CpuRequirement { level, origin: Origin::Feature });
        Self { feature, cpu }
    }
}

/// The microarchitecture that an architecture and variant stand for.
fn level_of(architecture: &str, variant: Option<&str>) -> Option<Level> {
    match variant {
        None => Microarchitecture::baseline(architecture).map(Level::Known),
        Some(variant) => Some(
            Microarchitecture::of_variant(architecture, variant)
                .map_or_else(|| Level::Variant(variant.to_owned()), Level::Known),
        ),
    }
}
