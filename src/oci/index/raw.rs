//! One entry as it is written. A value of the wrong type is read over and noted, so that it spoils this entry only.

use std::borrow::Cow;
use std::fmt;

use super::tables::{Cache, number};
use super::{FEATURES_ANNOTATION, MAX_FEATURES, annotated};
use crate::hardware::feature::Feature;
use crate::text::json::{Reader, Stop};

/// The annotation by which BuildKit marks attestations.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// The longest platform word of an entry, in bytes.
const MAX_WORD_LENGTH: usize = 256;

/// The features of all entries.
pub(super) struct Features {
    known: Vec<Feature>,
    cache: Cache,
    /// The numbers of each entry's features, one entry after the other.
    of_entries: Vec<u32>,
}

/// How many features there were before an entry.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    known: usize,
    pub(super) of_entries: usize,
}

impl Features {
    pub(super) const fn new() -> Self {
        Self { known: Vec::new(), cache: Cache::new(), of_entries: Vec::new() }
    }

    pub(super) const fn mark(&self) -> Mark {
        Mark { known: self.known.len(), of_entries: self.of_entries.len() }
    }

    /// Forgets what an entry added that cannot be used. The cache may still name it; nobody believes the cache.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.known.truncate(mark.known);
        self.of_entries.truncate(mark.of_entries);
    }

    /// All features, and the numbers of each entry's.
    pub(super) fn into_parts(self) -> (Vec<Feature>, Vec<u32>) {
        (self.known, self.of_entries)
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        let text = trimmed(text);
        let place = self.cache.place([text]);
        if self.known.get(*place as usize).is_none_or(|known| known.as_str() != text) {
            let feature = Feature::parse(text)?;
            *place = number(self.known.len());
            self.known.push(feature);
        }
        self.of_entries.push(*place);
        Ok(())
    }
}

/// The first thing that is wrong with an entry.
#[derive(Default)]
pub(super) struct Problem(pub(super) Option<String>);

impl Problem {
    fn note(&mut self, problem: fmt::Arguments<'_>) {
        self.0.get_or_insert_with(|| problem.to_string());
    }
}

/// A member of an object: `None` while it has not been met, `Some(None)` when it is `null` or wrong.
type Member<T> = Option<Option<T>>;

/// An entry of `manifests`.
#[derive(Default)]
pub(super) struct RawEntry<'a> {
    pub(super) problem: Problem,
    media_type: Member<Cow<'a, str>>,
    digest: Member<Cow<'a, str>>,
    size: Member<u64>,
    platform: Member<()>,
    annotations: Member<()>,
    annotated: Member<()>,
    pub(super) attestation: bool,
    pub(super) words: RawPlatform<'a>,
}

/// `platform` of an entry, without its features.
#[derive(Default)]
pub(super) struct RawPlatform<'a> {
    os: Member<Cow<'a, str>>,
    architecture: Member<Cow<'a, str>>,
    variant: Member<Cow<'a, str>>,
    os_version: Member<Cow<'a, str>>,
    features: Member<()>,
    os_features: Member<()>,
    /// Whether there are any features.
    pub(super) lists_features: bool,
}

impl RawPlatform<'_> {
    /// `os`, `architecture`, `variant` and `os.version`, those that say something.
    pub(super) fn words(&self) -> [Option<&str>; 4] {
        [&self.os, &self.architecture, &self.variant, &self.os_version].map(|word| word.as_ref()?.as_deref())
    }
}

impl<'a> RawEntry<'a> {
    /// Reads the entry at which `reader` is.
    pub(super) fn read(&mut self, reader: &mut Reader<'a>, features: &mut Features) -> Result<(), Stop> {
        if reader.peek() == Some(b'{') {
            return reader.object(|reader, name| self.member(reader, name, features));
        }
        self.problem.note(format_args!("expected an object"));
        reader.skip()
    }

    pub(super) fn media_type(&self) -> Result<&str, String> {
        Ok(self.media_type.as_ref().and_then(Option::as_deref).ok_or("no mediaType")?)
    }

    pub(super) fn digest(&self) -> Result<&str, String> {
        Ok(self.digest.as_ref().and_then(Option::as_deref).ok_or("no digest")?)
    }

    pub(super) fn size(&self) -> Result<u64, String> {
        Ok(self.size.flatten().ok_or("no size")?)
    }

    fn member(&mut self, reader: &mut Reader<'a>, name: &str, features: &mut Features) -> Result<(), Stop> {
        let Self { problem, words, annotated, attestation, .. } = self;
        match name {
            "mediaType" => once(&mut self.media_type, reader, problem, name, word),
            "digest" => once(&mut self.digest, reader, problem, name, text),
            "size" => once(&mut self.size, reader, problem, name, whole),
            "platform" => once(&mut self.platform, reader, problem, name, |reader, problem, name| {
                let member = |reader: &mut Reader<'a>, problem: &mut Problem, name: &str| {
                    words.member(reader, problem, name, features)
                };
                object(reader, problem, name, member)
            }),
            "annotations" => once(&mut self.annotations, reader, problem, name, |reader, problem, name| {
                object(reader, problem, name, |reader, problem, name| match name {
                    FEATURES_ANNOTATION => once(annotated, reader, problem, name, |reader, problem, name| {
                        annotation(reader, problem, name, features)
                    }),
                    REFERENCE_TYPE => {
                        *attestation = true;
                        reader.skip()
                    }
                    _ => reader.skip(),
                })
            }),
            _ => reader.skip(),
        }
    }
}

impl<'a> RawPlatform<'a> {
    fn member(
        &mut self,
        reader: &mut Reader<'a>,
        problem: &mut Problem,
        name: &str,
        features: &mut Features,
    ) -> Result<(), Stop> {
        let lists_features = &mut self.lists_features;
        let list = |reader: &mut Reader<'a>, problem: &mut Problem, name: &str| {
            *lists_features |= list(reader, problem, name, features)?;
            Ok(None)
        };
        match name {
            "os" => once(&mut self.os, reader, problem, name, word),
            "architecture" => once(&mut self.architecture, reader, problem, name, word),
            "variant" => once(&mut self.variant, reader, problem, name, word),
            "os.version" => once(&mut self.os_version, reader, problem, name, word),
            "features" => once(&mut self.features, reader, problem, name, list),
            "os.features" => once(&mut self.os_features, reader, problem, name, list),
            _ => reader.skip(),
        }
    }
}

/// Reads a member's value unless it is `null`. A second one makes the entry ambiguous: another reader might take that.
fn once<'a, T>(
    member: &mut Member<T>,
    reader: &mut Reader<'a>,
    problem: &mut Problem,
    name: &str,
    read: impl FnOnce(&mut Reader<'a>, &mut Problem, &str) -> Result<Option<T>, Stop>,
) -> Result<(), Stop> {
    if member.is_some() {
        problem.note(format_args!("duplicate field {name}"));
        return reader.skip();
    }
    *member = Some(if reader.null()? { None } else { read(reader, problem, name)? });
    Ok(())
}

/// Notes that a value has the wrong type, and reads over it.
fn wrong<T>(reader: &mut Reader<'_>, problem: &mut Problem, name: &str, expected: &str) -> Result<Option<T>, Stop> {
    problem.note(format_args!("{name}: expected {expected}"));
    reader.skip()?;
    Ok(None)
}

fn object<'a>(
    reader: &mut Reader<'a>,
    problem: &mut Problem,
    name: &str,
    mut member: impl FnMut(&mut Reader<'a>, &mut Problem, &str) -> Result<(), Stop>,
) -> Result<Option<()>, Stop> {
    if reader.peek() != Some(b'{') {
        return wrong(reader, problem, name, "an object");
    }
    reader.object(|reader, name| member(reader, problem, name))?;
    Ok(None)
}

fn text<'a>(reader: &mut Reader<'a>, problem: &mut Problem, name: &str) -> Result<Option<Cow<'a, str>>, Stop> {
    if reader.peek() != Some(b'"') {
        return wrong(reader, problem, name, "a string");
    }
    let text = reader.string()?;
    if text.is_none() {
        problem.note(format_args!("{name}: half of a surrogate pair"));
    }
    Ok(text)
}

/// A word of bounded length; `None` also for a blank one.
fn word<'a>(reader: &mut Reader<'a>, problem: &mut Problem, name: &str) -> Result<Option<Cow<'a, str>>, Stop> {
    let Some(text) = text(reader, problem, name)? else { return Ok(None) };
    if text.len() > MAX_WORD_LENGTH {
        problem.note(format_args!("{name} is longer than {MAX_WORD_LENGTH} bytes"));
        return Ok(None);
    }
    let word = match text {
        Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    Ok(Some(word).filter(|word| !word.is_empty()))
}

fn whole(reader: &mut Reader<'_>, problem: &mut Problem, name: &str) -> Result<Option<u64>, Stop> {
    if !matches!(reader.peek(), Some(b'-' | b'0'..=b'9')) {
        return wrong(reader, problem, name, "a whole number");
    }
    let number = reader.number()?.parse().ok();
    if number.is_none() {
        problem.note(format_args!("{name}: expected a whole number"));
    }
    Ok(number)
}

/// Features in a list; whether there are any.
fn list(reader: &mut Reader<'_>, problem: &mut Problem, name: &str, features: &mut Features) -> Result<bool, Stop> {
    if reader.peek() != Some(b'[') {
        return wrong::<()>(reader, problem, name, "a list of strings").map(|_| false);
    }
    let mut count = 0;
    reader.list(|reader| {
        count += 1;
        if count > MAX_FEATURES {
            problem.note(format_args!("more than {MAX_FEATURES} {name}"));
            return reader.skip();
        }
        if let Some(feature) = text(reader, problem, name)? {
            add(features, problem, &feature);
        }
        Ok(())
    })?;
    Ok(count > 0)
}

/// Features in an annotation.
fn annotation(
    reader: &mut Reader<'_>,
    problem: &mut Problem,
    name: &str,
    features: &mut Features,
) -> Result<Option<()>, Stop> {
    let Some(value) = text(reader, problem, name)? else { return Ok(None) };
    if annotated(&value).nth(MAX_FEATURES).is_some() {
        problem.note(format_args!("more than {MAX_FEATURES} features in {FEATURES_ANNOTATION}"));
    } else {
        annotated(&value).for_each(|feature| add(features, problem, feature));
    }
    Ok(None)
}

/// Adds a feature; an entry with one that cannot be read as such must not be selected at all.
fn add(features: &mut Features, problem: &mut Problem, text: &str) {
    if let Err(words) = features.add(text) {
        problem.note(format_args!("{words}"));
    }
}

/// [`str::trim`], which takes its time over text that has nothing to trim.
fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}
