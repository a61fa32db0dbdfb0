//! One entry of an index: what it points to and what it requires of a machine.

use std::borrow::Cow;
use std::fmt;

use super::descriptor::Descriptor;
use super::exclusion::Exclusion;
use super::requirement::Requirement;
use super::tables::{FeatureRow, MediaType, PlatformRow, Record, Tables};
use crate::hardware::feature::Feature;
use crate::oci::digest::Digest;
use crate::oci::media_type::Kind;
use crate::oci::platform::Platform;
use crate::text::printable::printable;

/// A readable entry of an index.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub(super) tables: &'a Tables,
    pub(super) record: &'a Record,
}

impl<'a> Entry<'a> {
    /// The position in the list, from 0.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.record.position as usize
    }

    /// The descriptor of the manifest that the entry points to.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        let digest = Digest::known(self.record.algorithm, self.digest());
        Descriptor { media_type: self.media_type().to_owned(), digest, size: self.record.size }
    }

    /// The digest of what it points to.
    #[must_use]
    pub fn digest(&self) -> &'a str {
        let start = self.record.digest as usize;
        let digest = self.tables.digests.get(start..start + self.record.algorithm.length());
        debug_assert!(digest.is_some(), "{:?}", self.record);
        digest.unwrap_or_default()
    }

    /// The media type of what it points to, as the index spells it.
    #[must_use]
    pub fn media_type(&self) -> &'a str {
        self.known_media_type().map_or("", |known| &known.text)
    }

    /// The size of what it points to, in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.record.size
    }

    /// Whether it points to another index, in which selection goes on.
    #[must_use]
    pub fn is_nested_index(&self) -> bool {
        self.known_media_type().is_some_and(|known| known.kind == Kind::Index)
    }

    /// The platform it asks for; only a nested index may be selected without one.
    #[must_use]
    pub fn platform(&self) -> Option<&'a Platform> {
        self.known_platform().map(|known| &known.platform)
    }

    /// The features it asks for, as written; sorted by key, without repetitions.
    pub fn features(&self) -> impl Iterator<Item = &'a Feature> + use<'a> {
        self.known_features().map(|known| &known.feature)
    }

    /// Why it is never selected; `None` for an entry that some machine could get.
    #[must_use]
    pub const fn exclusion(&self) -> Option<Exclusion> {
        self.record.exclusion
    }

    /// Everything that it asks of a machine; all of it must be met.
    pub fn requirements(&self) -> impl Iterator<Item = Requirement<'a>> + use<'a> {
        let platform = self.known_platform().into_iter().flat_map(PlatformRow::requirements);
        let cpus = self.known_features().filter_map(|known| known.cpu.as_ref()).map(Requirement::Cpu);
        let others = self.known_features().filter(|known| known.cpu.is_none());
        platform.chain(cpus).chain(others.map(|known| Requirement::Feature(&known.feature)))
    }

    /// Whether it asks for a microarchitecture or a flag, or a variant beyond what an entry without variant may count
    /// on.
    #[must_use]
    pub const fn names_cpu(&self) -> bool {
        self.record.names_cpu
    }

    /// How many different keys it asks for; `cpu`, `isa` and variant are one.
    #[must_use]
    pub const fn distinct_keys(&self) -> usize {
        self.record.distinct_keys as usize
    }

    /// Whether its layers are compressed with zstd, as containers/image annotates it.
    #[must_use]
    pub const fn is_zstd(&self) -> bool {
        self.record.zstd
    }

    /// The same as [`Index::may_offer`](super::Index::may_offer), of the index that it is in.
    pub(crate) fn index_may_offer(&self, architecture: &str) -> bool {
        self.tables.may_offer(architecture)
    }

    /// The number of its platform among those of the index.
    pub(crate) const fn platform_number(&self) -> Option<u32> {
        self.record.platform
    }

    /// The numbers of its features among those of the index, rising.
    pub(crate) fn feature_numbers(&self) -> &'a [u32] {
        self.record.features.of(&self.tables.of_entries)
    }

    /// Platform and features in one line, printable; `word` says how a feature reads.
    pub(crate) fn describe<'w>(&self, word: impl Fn(&'a FeatureRow) -> Cow<'w, str>) -> String
    where
        'a: 'w,
    {
        let mut words = self.platform().map_or_else(
            || if self.is_nested_index() { "nested index" } else { "no platform" }.to_owned(),
            ToString::to_string,
        );
        for feature in self.known_features() {
            // Enough for any message; the rest would only be cut off later.
            if words.len() > 1024 {
                break;
            }
            words.push(' ');
            words.push_str(&word(feature));
        }
        printable(&words, 120)
    }

    fn known_media_type(&self) -> Option<&'a MediaType> {
        let known = self.tables.media_types.get(self.record.media_type as usize);
        debug_assert!(known.is_some(), "{:?}", self.record);
        known
    }

    fn known_platform(&self) -> Option<&'a PlatformRow> {
        let known = self.tables.platforms.get(self.record.platform? as usize);
        debug_assert!(known.is_some(), "{:?}", self.record);
        known
    }

    pub(crate) fn known_features(&self) -> impl Iterator<Item = &'a FeatureRow> + use<'a> {
        let tables = self.tables;
        self.feature_numbers().iter().filter_map(move |number| {
            let known = tables.features.get(*number as usize);
            debug_assert!(known.is_some(), "there is no feature {number}");
            known
        })
    }
}

impl fmt::Display for Entry<'_> {
    /// Platform and features, printable: `linux/amd64 cpu:broadwell nvcap:5.2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(|known| known.feature.as_str().into()))
    }
}
