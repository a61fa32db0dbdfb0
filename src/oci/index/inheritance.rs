//! Entries of a nested index that have no platform: they have that of the entry that leads to the index, all of it.
//! One that has a part of a platform is not given the rest.

use super::entries::count_keys;
use super::exclusion::Exclusion;
use super::feature_lists::{renumber, sorted};
use super::interner::number;
use super::tables::{FeatureRow, PlatformRow, Record, Span, Tables};
use super::{Entry, Index, IndexError, MAX_TOTAL_FEATURES};
use crate::hardware::feature::Feature;
use crate::oci::platform::Platform;

/// The platform of an entry that leads to a nested index, with its features.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inherited {
    platform: Platform,
    features: Vec<Feature>,
}

impl Entry<'_> {
    /// The platform that this entry gives to those without one in the index behind it; `None` if it has none itself.
    pub(crate) fn inheritance(&self) -> Option<Inherited> {
        let platform = self.platform()?.clone();
        Some(Inherited { platform, features: self.features().cloned().collect() })
    }
}

/// Whether a record takes the platform of the entry that leads to its index.
const fn inherits(record: &Record) -> bool {
    record.platform.is_none() && matches!(record.exclusion, None | Some(Exclusion::NoPlatform))
}

impl Index {
    /// The index as it is behind an entry with this platform; `None` if that makes no difference. It is for one
    /// selection and never kept, because other entries may lead to the same index.
    ///
    /// # Errors
    /// [`IndexError::TooManyFeatures`] if the entries together ask for more than an index may with what they inherit.
    pub(crate) fn inheriting(&self, inherited: &Inherited) -> Result<Option<Self>, IndexError> {
        if !self.tables.records.iter().any(inherits) {
            return Ok(None);
        }
        let mut index = self.clone();
        let Tables { records, features, of_entries, platforms, .. } = &mut index.tables;
        let added = add_features(features, of_entries, &inherited.features);
        let row = PlatformRow::new(inherited.platform.clone());
        for record in records.iter_mut().filter(|record| inherits(record)) {
            let mut numbers = record.features.of(of_entries).to_vec();
            numbers.extend(&added);
            numbers.sort_unstable();
            numbers.dedup();
            record.platform = Some(number(platforms.len()));
            record.exclusion = None;
            record.features = Span { start: number(of_entries.len()), length: number(numbers.len()) };
            of_entries.extend(numbers);
            if of_entries.len() > MAX_TOTAL_FEATURES {
                return Err(IndexError::TooManyFeatures);
            }
            (record.names_cpu, record.distinct_keys) = (row.names_cpu, 0);
            count_keys(record, of_entries, features);
        }
        platforms.push(row);
        index.tables.note_offered();
        Ok(Some(index))
    }
}

/// Adds features to a sorted table, and changes the numbers in `of_entries` to those of now. Returns the numbers of
/// the added ones.
fn add_features(table: &mut Vec<FeatureRow>, of_entries: &mut [u32], added: &[Feature]) -> Vec<u32> {
    let before = table.len();
    let features = std::mem::take(table).into_iter().map(|row| row.feature).chain(added.iter().cloned()).collect();
    let (rows, mut now) = sorted(features);
    *table = rows;
    renumber(of_entries, &now);
    now.split_off(before)
}
