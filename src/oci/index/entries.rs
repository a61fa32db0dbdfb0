//! The entries of an index, one after the other into its tables.

use super::entry_reader::{self, WrittenEntry, WrittenPlatform};
use super::exclusion::Exclusion;
use super::feature_lists::FeatureLists;
use super::interner::{Interner, number};
use super::tables::{FeatureRow, MediaType, PlatformRow, Record, Span, Tables};
use super::{MAX_ENTRIES, MAX_TOTAL_FEATURES, Unreadable};
use crate::oci::media_type::Kind;
use crate::oci::platform::Platform;
use crate::text::json::{Reader, Stop};
use crate::text::printable::printable;

/// The entries that have been read.
pub(super) struct Entries<'a> {
    /// The number of entries, those beyond a limit included.
    pub(super) count: usize,
    pub(super) too_many_features: bool,
    records: Vec<Record>,
    unreadable: Vec<Unreadable>,
    digests: String,
    features: FeatureLists,
    /// The platforms, each with the words in which it is written.
    platforms: Interner<(WrittenPlatform<'a>, PlatformRow)>,
    media_types: Interner<MediaType>,
}

impl<'a> Entries<'a> {
    pub(super) const fn new() -> Self {
        Self {
            count: 0,
            too_many_features: false,
            records: Vec::new(),
            unreadable: Vec::new(),
            digests: String::new(),
            features: FeatureLists::new(),
            platforms: Interner::new(),
            media_types: Interner::new(),
        }
    }

    /// Reads the entry at which `json` is.
    pub(super) fn read(&mut self, json: &mut Reader<'a>) -> Result<(), Stop> {
        let position = self.count;
        self.count += 1;
        if position >= MAX_ENTRIES || self.too_many_features {
            // The entry is skipped, so that an error after it is still reported as what it is.
            return json.skip();
        }
        let mark = self.features.mark();
        match entry_reader::read(json, &mut self.features)? {
            Ok(written) => {
                self.too_many_features = self.features.total() > MAX_TOTAL_FEATURES;
                let features = self.features.since(&mark);
                let record = self.record(position, written, features);
                self.records.push(record);
            }
            Err(problem) => {
                self.features.back_to(&mark);
                self.unreadable.push(Unreadable { position, problem: printable(&problem, 160) });
            }
        }
        Ok(())
    }

    fn record(&mut self, position: usize, written: WrittenEntry<'a>, features: Span) -> Record {
        let media_type = self.media_type(&written.media_type);
        let known = self.media_types.get(media_type);
        debug_assert!(known.is_some(), "the media type {media_type} was kept");
        let kind = known.map_or(Kind::Unknown, |known| known.kind);
        let digest = number(self.digests.len());
        self.digests.push_str(&written.digest);
        let platform = self.platform(written.platform);
        let known = platform.and_then(|platform| self.platforms.get(platform)).map(|(_, known)| known);
        debug_assert_eq!(known.is_some(), platform.is_some(), "the platform {platform:?} was kept");
        Record {
            position: number(position),
            media_type,
            algorithm: written.algorithm,
            digest,
            size: written.size,
            platform,
            features,
            // This follows once the features are sorted.
            distinct_keys: 0,
            names_cpu: known.is_some_and(|known| known.names_cpu),
            zstd: written.annotations.zstd,
            exclusion: Exclusion::of(
                written.annotations.attestation,
                written.artifact,
                known.map(|known| &known.platform),
                kind,
            ),
        }
    }

    fn media_type(&mut self, text: &str) -> u32 {
        let known = self.media_types.find([text], |known| *known.text == *text);
        known.unwrap_or_else(|vacant| vacant.insert(MediaType { text: text.into(), kind: Kind::of(text) }))
    }

    fn platform(&mut self, written: WrittenPlatform<'a>) -> Option<u32> {
        if written.is_empty() {
            return None;
        }
        let words = written.words();
        match self.platforms.find(words.map(Option::unwrap_or_default), |(known, _)| known.words() == words) {
            Ok(number) => Some(number),
            Err(vacant) => {
                let platform = PlatformRow::new(Platform::read(words));
                Some(vacant.insert((written, platform)))
            }
        }
    }

    /// The tables, and the entries that could not be read.
    pub(super) fn finish(self) -> (Tables, Vec<Unreadable>) {
        let (features, mut of_entries) = self.features.finish();
        let mut records = self.records;
        for record in &mut records {
            let numbers = record.features.of_mut(&mut of_entries);
            numbers.sort_unstable();
            record.features.length = number(without_repetitions(numbers));
            count_keys(record, &of_entries, &features);
        }
        let platforms = self.platforms.into_values().into_iter().map(|(_, known)| known).collect();
        let media_types = self.media_types.into_values();
        let (digests, complete) = (self.digests, self.unreadable.is_empty());
        let mut tables = Tables { records, digests, features, of_entries, platforms, media_types, complete };
        tables.note_offered();
        (tables, self.unreadable)
    }
}

/// Moves the different ones of sorted numbers to the front; returns how many they are.
fn without_repetitions(numbers: &mut [u32]) -> usize {
    let (mut length, mut last) = (0, None);
    for at in 0..numbers.len() {
        let number = numbers.get(at).copied();
        if number != last {
            numbers.swap(length, at);
            length += 1;
            last = number;
        }
    }
    length
}

/// Counts the different keys that an entry asks for; `cpu`, `isa` and variant are one.
pub(super) fn count_keys(record: &mut Record, of_entries: &[u32], features: &[FeatureRow]) {
    let mut key = None;
    for number in record.features.of(of_entries) {
        let known = features.get(*number as usize);
        debug_assert!(known.is_some(), "there is no feature {number}");
        let Some(known) = known else { continue };
        if known.cpu.is_some() {
            record.names_cpu = true;
        } else if key != Some(known.feature.key()) {
            key = Some(known.feature.key());
            record.distinct_keys += 1;
        }
    }
    record.distinct_keys += u32::from(record.names_cpu);
}
