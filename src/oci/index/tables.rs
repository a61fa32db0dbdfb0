//! An index as it is kept: what its entries repeat, once; and of each entry no more than numbers.
//!
//! Lists of many entries repeat a few words thousands of times. A cache finds most repetitions while parsing; it is no
//! map, so that no choice of words can make it slow. What it misses stands there twice until the features are sorted,
//! and then once.

use super::exclusion::Exclusion;
use super::requirement::{CpuRequirement, Level, Origin, Requirement};
use crate::hardware::feature::{CPU, Feature};
use crate::hardware::microarchitecture::{self, Microarchitecture};
use crate::oci::digest::Algorithm;
use crate::oci::media_type::Kind;
use crate::oci::platform::Platform;

/// What an index says of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tables {
    pub(super) records: Vec<Record>,
    /// The digests of all entries, one behind the other.
    pub(super) digests: String,
    /// Sorted by key, without repetitions.
    pub(super) features: Vec<Known>,
    /// The numbers of each entry's features, one entry after the other.
    pub(super) of_entries: Vec<u32>,
    pub(super) platforms: Vec<KnownPlatform>,
    pub(super) media_types: Vec<MediaType>,
}

/// A part of a list of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) length: u32,
}

impl Span {
    pub(super) fn of<'n>(&self, numbers: &'n [u32]) -> &'n [u32] {
        let start = self.start as usize;
        numbers.get(start..start + self.length as usize).unwrap_or_default()
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
pub(crate) struct KnownPlatform {
    pub(super) platform: Platform,
    cpu: Option<CpuRequirement>,
    pub(super) names_cpu: bool,
}

impl KnownPlatform {
    pub(super) fn new(platform: Platform) -> Self {
        let variant = platform.variant.as_deref();
        let level = level_of(&platform.architecture, variant);
        let names_cpu = match &level {
            // A variant at or below the baseline asks for no more than an entry without one.
            Some(Level::Known(level)) => {
                let baseline = Microarchitecture::baseline(&platform.architecture);
                baseline.is_none_or(|baseline| baseline.generations_to(*level).is_none())
            }
            Some(Level::Named(_) | Level::Variant(_)) => true,
            None => false,
        };
        let origin = if variant.is_some() { Origin::Variant } else { Origin::Baseline };
        Self { cpu: level.map(|level| CpuRequirement { level, origin }), names_cpu, platform }
    }

    /// What it asks of a machine.
    pub(crate) fn requirements(&self) -> impl Iterator<Item = Requirement<'_>> {
        let Platform { os, architecture, os_version, .. } = &self.platform;
        let version = os_version.as_deref().map(Requirement::OsVersion);
        let cpu = self.cpu.as_ref().map(Requirement::Cpu);
        [Some(Requirement::Os(os)), Some(Requirement::Architecture(architecture)), version, cpu].into_iter().flatten()
    }
}

/// A feature of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) feature: Feature,
    /// What it asks for if its key is `cpu`.
    pub(crate) cpu: Option<CpuRequirement>,
}

impl Known {
    fn new(feature: Feature) -> Self {
        let cpu = (feature.key() == CPU).then(|| {
            // A bare `cpu` asks for a name that no machine can have.
            let value = feature.value().unwrap_or_default();
            let level = Microarchitecture::find(value)
                .map_or_else(|| Level::Named(microarchitecture::canonical(value)), Level::Known);
            CpuRequirement { level, origin: Origin::Feature }
        });
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

/// Features sorted and without repetitions, and for each number of before the number of now.
pub(super) fn sorted(features: Vec<Feature>) -> (Vec<Known>, Vec<u32>) {
    let mut order: Vec<(Feature, u32)> = features.into_iter().zip(0..).collect();
    order.sort_unstable();
    let mut now = vec![0; order.len()];
    let mut known: Vec<Known> = Vec::with_capacity(order.len());
    for (feature, before) in order {
        if known.last().is_none_or(|last| last.feature != feature) {
            known.push(Known::new(feature));
        }
        if let Some(now) = now.get_mut(before as usize) {
            *now = number(known.len() - 1);
        }
    }
    (known, now)
}

/// Where a text was met last; two texts that share a place push each other out.
pub(super) struct Cache {
    places: [u32; PLACES],
    /// Never needed: the place of a text is always among these.
    other: u32,
}

const PLACES: usize = 1024;

impl Cache {
    pub(super) const fn new() -> Self {
        Self { places: [u32::MAX; PLACES], other: u32::MAX }
    }

    /// The place for a text of these parts. What is there may be the number of another text, or of none.
    pub(super) fn place<'t>(&mut self, parts: impl IntoIterator<Item = &'t str>) -> &mut u32 {
        let place = parts.into_iter().fold(0, |place: u64, part| {
            let bytes = part.as_bytes();
            let (first, last) = match (bytes.first_chunk(), bytes.last_chunk()) {
                (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
                _ => (bytes.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)), 0),
            };
            let mixed = place ^ first ^ last.rotate_left(29) ^ bytes.len() as u64;
            mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
        });
        self.places.get_mut((place % PLACES as u64) as usize).unwrap_or(&mut self.other)
    }
}

/// A list's length as the number of what is added next; a document has fewer bytes than there are numbers.
pub(super) fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
