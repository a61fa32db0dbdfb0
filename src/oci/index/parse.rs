//! The document: the index and its entries, read in one pass.

use std::borrow::Cow;
use std::ops::Range;

use super::exclusion::Exclusion;
use super::raw::{Features, RawEntry, RawPlatform};
use super::tables::{self, Cache, Known, KnownPlatform, MediaType, Record, Span, Tables, number};
use super::{Index, IndexError, MAX_BYTES, MAX_ENTRIES, MAX_TOTAL_FEATURES, Nature, Unreadable};
use crate::oci::digest::Algorithm;
use crate::oci::media_type::Kind;
use crate::oci::platform::Platform;
use crate::text::json::{NOT_THE_END, Reader, Stop, TOO_DEEP};
use crate::text::words::printable;

/// Fields of an image manifest.
const BESIDE: [&str; 4] = ["layers", "config", "fsLayers", "blobs"];

impl Index {
    /// Parses an index. Memory is linear in `bytes`.
    ///
    /// # Errors
    /// [`IndexError`] when the document as a whole is no index; a single bad entry is no error (see
    /// [`Index::unreadable`]).
    pub fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        if bytes.len() > MAX_BYTES {
            return Err(IndexError::TooLarge);
        }
        parse(bytes)
    }

    /// What a document is that may not be a usable index.
    #[must_use]
    pub fn nature_of(bytes: &[u8]) -> Nature {
        nature(bytes)
    }
}

fn parse(bytes: &[u8]) -> Result<Index, IndexError> {
    let malformed = |problem: &dyn ToString| IndexError::Malformed(printable(&problem.to_string(), 160));
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(&error))?;
    let mut document = Document::default();
    let mut entries = Entries::new();
    let mut reader = Reader::new(text);
    document.read(&mut reader, &mut entries).map_err(|Stop| malformed(&reader.malformed()))?;
    if !document.has_manifests {
        return Err(IndexError::NoManifests);
    }
    if entries.count > MAX_ENTRIES {
        return Err(IndexError::TooManyEntries);
    }
    if let Some(field) = document.beside {
        return Err(IndexError::Ambiguous(field));
    }
    if let Some(media_type) = document.media_type.as_ref().filter(|media_type| Kind::of(media_type) == Kind::Manifest) {
        return Err(IndexError::NotAnIndex(printable(media_type, 100)));
    }
    if entries.too_many_features {
        return Err(IndexError::TooManyFeatures);
    }
    let artifact_type = document.artifact_type.is_some_and(|artifact_type| !artifact_type.is_empty());
    let own_media_type = document.own_media_type.filter(|own| !own.is_empty()).map(Cow::into_owned);
    Ok(entries.finish(own_media_type, artifact_type))
}

/// What a JSON object says that it is, usable or not.
fn nature(bytes: &[u8]) -> Nature {
    let text = std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
    let mut reader = Reader::new(&text);
    let mut found = Nature::default();
    let read = reader.object(|reader, name| {
        if let Some(media_type) = own_media_type(reader, name)? {
            found.is_index |= media_type.as_deref().is_some_and(|own| Kind::of(own) == Kind::Index);
            found.media_type = media_type.map(Cow::into_owned);
            return Ok(());
        }
        found.is_index |= is_named(name, "manifests");
        reader.skip()
    });
    let whole = read.is_ok();
    let is_index = match read.and_then(|()| reader.end()) {
        Ok(()) => found.is_index,
        // Others may well read this further than we do, and find there what they take for an index.
        Err(Stop) => match reader.malformed().problem {
            TOO_DEEP => true,
            NOT_THE_END => found.is_index,
            _ => false,
        },
    };
    let media_type = found.media_type.filter(|own| whole && !own.is_empty());
    Nature { is_index, media_type }
}

/// The value of a member that is a `mediaType`; `None` for any other member, which is not read.
fn own_media_type<'a>(reader: &mut Reader<'a>, name: &str) -> Result<Option<Option<Cow<'a, str>>>, Stop> {
    if is_named(name, "mediaType") && reader.peek() == Some(b'"') { reader.string().map(Some) } else { Ok(None) }
}

/// Whether Go's JSON decoder, and with it every container runtime, takes a member for the field of this name: it ignores
/// letter case, and knows the long s.
fn is_named(member: &str, field: &str) -> bool {
    let long_s = '\u{17f}';
    member.eq_ignore_ascii_case(field)
        || member.contains(long_s) && member.replace(long_s, "s").eq_ignore_ascii_case(field)
}

/// The index without its entries.
#[derive(Default)]
struct Document<'a> {
    media_type: Option<Cow<'a, str>>,
    /// The same as runtimes read it.
    own_media_type: Option<Cow<'a, str>>,
    artifact_type: Option<Cow<'a, str>>,
    has_manifests: bool,
    /// The first field that has no business in an index.
    beside: Option<&'static str>,
    seen: Vec<&'static str>,
}

impl<'a> Document<'a> {
    fn read(&mut self, reader: &mut Reader<'a>, entries: &mut Entries<'a>) -> Result<(), Stop> {
        reader.object(|reader, name| {
            let names = ["mediaType", "artifactType", "manifests"].into_iter().chain(BESIDE);
            let Some(name) = names.into_iter().find(|known| *known == name) else {
                let Some(own) = own_media_type(reader, name)? else { return reader.skip() };
                self.own_media_type = own;
                return Ok(());
            };
            if self.seen.contains(&name) {
                return Err(reader.stop("duplicate field"));
            }
            self.seen.push(name);
            if reader.null()? {
                return Ok(());
            }
            match name {
                "mediaType" => {
                    self.media_type = Some(string(reader)?);
                    self.own_media_type.clone_from(&self.media_type);
                }
                "artifactType" => self.artifact_type = Some(string(reader)?),
                "manifests" => {
                    self.has_manifests = true;
                    reader.list(|reader| entries.read(reader))?;
                }
                _ => {
                    self.beside.get_or_insert(name);
                    reader.skip()?;
                }
            }
            Ok(())
        })?;
        reader.end()
    }
}

fn string<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, Stop> {
    match reader.string()? {
        Some(text) => Ok(text),
        None => Err(reader.stop("half of a surrogate pair before")),
    }
}

/// What has been read of the entries.
struct Entries<'a> {
    count: usize,
    records: Vec<Record>,
    unreadable: Vec<Unreadable>,
    digests: String,
    features: Features,
    too_many_features: bool,
    platforms: Vec<KnownPlatform>,
    /// The same platforms as they are written.
    written: Vec<RawPlatform<'a>>,
    media_types: Vec<MediaType>,
    platform_cache: Cache,
    media_type_cache: Cache,
}

impl<'a> Entries<'a> {
    const fn new() -> Self {
        Self {
            count: 0,
            records: Vec::new(),
            unreadable: Vec::new(),
            digests: String::new(),
            features: Features::new(),
            too_many_features: false,
            platforms: Vec::new(),
            written: Vec::new(),
            media_types: Vec::new(),
            platform_cache: Cache::new(),
            media_type_cache: Cache::new(),
        }
    }

    fn read(&mut self, reader: &mut Reader<'a>) -> Result<(), Stop> {
        let position = self.count;
        self.count += 1;
        if position >= MAX_ENTRIES || self.too_many_features {
            // Read over, so that an error after it is still reported as what it is.
            return reader.skip();
        }
        let mark = self.features.mark();
        let mut raw = RawEntry::default();
        raw.read(reader, &mut self.features)?;
        let features = mark.of_entries..self.features.mark().of_entries;
        let end = features.end;
        let record = raw.problem.0.take().map_or_else(|| self.record(position, &mut raw, features), Err);
        match record {
            Ok(record) => {
                self.too_many_features = end > MAX_TOTAL_FEATURES;
                self.records.push(record);
            }
            Err(problem) => {
                self.features.back_to(mark);
                self.unreadable.push(Unreadable { position, problem: printable(&problem, 160) });
            }
        }
        Ok(())
    }

    /// The error says in words what is wrong.
    fn record(&mut self, position: usize, raw: &mut RawEntry<'a>, features: Range<usize>) -> Result<Record, String> {
        let media_type = raw.media_type()?;
        let digest = raw.digest()?;
        let algorithm = Algorithm::of(digest).map_err(|error| format!("digest: {error}"))?;
        let size = raw.size()?;
        let media_type = self.media_type(media_type);
        let kind = self.media_types.get(media_type as usize).map_or(Kind::Unknown, |known| known.kind);
        let start = number(self.digests.len());
        self.digests.push_str(digest);
        let attestation = raw.attestation;
        let platform = self.platform(&mut raw.words);
        let known = platform.and_then(|platform| self.platforms.get(platform as usize));
        Ok(Record {
            position: number(position),
            media_type,
            algorithm,
            digest: start,
            size,
            platform,
            features: Span { start: number(features.start), length: number(features.len()) },
            // These follow once the features are sorted.
            distinct_keys: 0,
            names_cpu: known.is_some_and(|known| known.names_cpu),
            exclusion: Exclusion::of(attestation, known.map(|known| &known.platform), kind),
        })
    }

    fn media_type(&mut self, text: &str) -> u32 {
        let place = self.media_type_cache.place([text]);
        if self.media_types.get(*place as usize).is_none_or(|known| *known.text != *text) {
            *place = number(self.media_types.len());
            self.media_types.push(MediaType { text: text.into(), kind: Kind::of(text) });
        }
        *place
    }

    fn platform(&mut self, raw: &mut RawPlatform<'a>) -> Option<u32> {
        let words = raw.words();
        // An object that says nothing at all is no platform.
        if words.iter().all(Option::is_none) && !raw.lists_features {
            return None;
        }
        let place = self.platform_cache.place(words.map(Option::unwrap_or_default));
        if self.written.get(*place as usize).is_none_or(|known| known.words() != words) {
            *place = number(self.platforms.len());
            self.platforms.push(KnownPlatform::new(Platform::read(words)));
            self.written.push(std::mem::take(raw));
        }
        Some(*place)
    }

    fn finish(mut self, own_media_type: Option<String>, artifact_type: bool) -> Index {
        let (features, mut of_entries) = self.features.into_parts();
        let (features, now) = tables::sorted(features);
        for record in &mut self.records {
            let start = record.features.start as usize;
            let numbers = of_entries.get_mut(start..start + record.features.length as usize).unwrap_or_default();
            for number in &mut *numbers {
                *number = now.get(*number as usize).copied().unwrap_or(u32::MAX);
            }
            numbers.sort_unstable();
            record.features.length = number(without_repetitions(numbers));
            count_keys(record, &of_entries, &features);
        }
        let Self { records, unreadable, digests, platforms, media_types, .. } = self;
        Index {
            tables: Tables { records, digests, features, of_entries, platforms, media_types },
            unreadable,
            own_media_type,
            artifact_type,
        }
    }
}

/// Moves the different ones of sorted numbers to the front; how many they are.
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

/// How many different keys it asks for, `cpu` and variant being one.
fn count_keys(record: &mut Record, of_entries: &[u32], features: &[Known]) {
    let mut key = None;
    for number in record.features.of(of_entries) {
        let Some(known) = features.get(*number as usize) else { continue };
        if known.cpu.is_some() {
            record.names_cpu = true;
        } else if key != Some(known.feature.key()) {
            key = Some(known.feature.key());
            record.distinct_keys += 1;
        }
    }
    record.distinct_keys += u32::from(record.names_cpu);
}
