//! One entry of `manifests` as it is written, in one pass. A value of the wrong type is skipped and noted, so that it
//! spoils this entry only.

use std::borrow::Cow;

use super::feature_lists::FeatureLists;
use super::{FEATURES_ANNOTATION, MAX_FEATURES};
use crate::oci::digest::Algorithm;
use crate::oci::media_type;
use crate::text::json::{Reader, Stop};

/// The annotation by which BuildKit marks attestations.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// The annotation by which containers/image marks images with zstd layers, and its value.
const ZSTD: (&str, &str) = ("io.github.containers.compression.zstd", "true");

/// The values of `artifactType` that an image may have: the media types of its configuration.
const IMAGE_TYPES: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// The longest platform word of an entry, in bytes.
const MAX_WORD_LENGTH: usize = 256;

/// A member of an object: `None` while it has not been met, `Some(None)` when it is `null` or wrong.
type Member<T> = Option<Option<T>>;

/// An entry with all members that a descriptor must have.
pub(super) struct WrittenEntry<'a> {
    pub(super) media_type: Cow<'a, str>,
    pub(super) digest: Cow<'a, str>,
    pub(super) algorithm: Algorithm,
    pub(super) size: u64,
    pub(super) platform: WrittenPlatform<'a>,
    pub(super) annotations: Annotations,
    /// Its `artifactType` is not an image's.
    pub(super) artifact: bool,
}

/// The annotations of an entry, as far as they count, without its features.
#[derive(Clone, Copy, Default)]
pub(super) struct Annotations {
    /// One says that the entry is about an image.
    pub(super) attestation: bool,
    /// One says that the layers are compressed with zstd.
    pub(super) zstd: bool,
}

/// `platform` of an entry, without its features.
#[derive(Default)]
pub(super) struct WrittenPlatform<'a> {
    os: Member<Cow<'a, str>>,
    architecture: Member<Cow<'a, str>>,
    variant: Member<Cow<'a, str>>,
    os_version: Member<Cow<'a, str>>,
    /// Whether the list has features.
    features: Member<bool>,
    os_features: Member<bool>,
}

impl WrittenPlatform<'_> {
    /// `os`, `architecture`, `variant` and `os.version`, those that say something.
    pub(super) fn words(&self) -> [Option<&str>; 4] {
        [&self.os, &self.architecture, &self.variant, &self.os_version].map(|word| word.as_ref()?.as_deref())
    }

    /// Whether it says nothing at all, which is no platform.
    pub(super) fn is_empty(&self) -> bool {
        let lists_features = [self.features, self.os_features].contains(&Some(Some(true)));
        !lists_features && self.words().iter().all(Option::is_none)
    }
}

/// Reads the entry at which `json` is, its features into the last of `lists`. The inner error says in words why the
/// entry cannot be used.
pub(super) fn read<'a>(
    json: &mut Reader<'a>,
    lists: &mut FeatureLists,
) -> Result<Result<WrittenEntry<'a>, String>, Stop> {
    let mut reader = EntryReader { lists, problem: None };
    let members = reader.members(json)?;
    Ok(match reader.problem {
        Some(problem) => Err(problem),
        None => members.complete(),
    })
}

/// The members of an entry.
#[derive(Default)]
struct Members<'a> {
    media_type: Member<Cow<'a, str>>,
    digest: Member<Cow<'a, str>>,
    size: Member<u64>,
    platform: Member<WrittenPlatform<'a>>,
    annotations: Member<Annotations>,
    /// Whether it is not an image's.
    artifact_type: Member<bool>,
}

impl<'a> Members<'a> {
    fn complete(self) -> Result<WrittenEntry<'a>, String> {
        let media_type = self.media_type.flatten().ok_or("no mediaType")?;
        let digest = self.digest.flatten().ok_or("no digest")?;
        Ok(WrittenEntry {
            media_type,
            algorithm: Algorithm::of(&digest).map_err(|error| format!("digest: {error}"))?,
            digest,
            size: self.size.flatten().ok_or("no size")?,
            platform: self.platform.flatten().unwrap_or_default(),
            annotations: self.annotations.flatten().unwrap_or_default(),
            artifact: self.artifact_type.flatten().unwrap_or_default(),
        })
    }
}

/// Reads the values of one entry. Each is `None` if it is wrong, which is noted.
struct EntryReader<'l> {
    lists: &'l mut FeatureLists,
    /// The first thing that is wrong.
    problem: Option<String>,
}

impl EntryReader<'_> {
    fn members<'a>(&mut self, json: &mut Reader<'a>) -> Result<Members<'a>, Stop> {
        let mut members = Members::default();
        if json.peek() != Some(b'{') {
            self.note(|| "expected an object".to_owned());
            json.skip()?;
            return Ok(members);
        }
        json.object(|json, name| match name {
            "mediaType" => self.once(&mut members.media_type, json, name, Self::word),
            "digest" => self.once(&mut members.digest, json, name, Self::text),
            "size" => self.once(&mut members.size, json, name, Self::whole_number),
            "platform" => self.once(&mut members.platform, json, name, Self::platform),
            "annotations" => self.once(&mut members.annotations, json, name, Self::annotations),
            "artifactType" => self.once(&mut members.artifact_type, json, name, Self::artifact_type),
            _ => json.skip(),
        })?;
        Ok(members)
    }

    fn platform<'a>(&mut self, json: &mut Reader<'a>, name: &str) -> Result<Option<WrittenPlatform<'a>>, Stop> {
        if json.peek() != Some(b'{') {
            return self.wrong(json, name, "an object");
        }
        let mut platform = WrittenPlatform::default();
        json.object(|json, name| match name {
            "os" => self.once(&mut platform.os, json, name, Self::word),
            "architecture" => self.once(&mut platform.architecture, json, name, Self::word),
            "variant" => self.once(&mut platform.variant, json, name, Self::word),
            "os.version" => self.once(&mut platform.os_version, json, name, Self::word),
            "features" => self.once(&mut platform.features, json, name, Self::features),
            "os.features" => self.once(&mut platform.os_features, json, name, Self::features),
            _ => json.skip(),
        })?;
        Ok(Some(platform))
    }

    fn annotations(&mut self, json: &mut Reader<'_>, name: &str) -> Result<Option<Annotations>, Stop> {
        if json.peek() != Some(b'{') {
            return self.wrong(json, name, "an object");
        }
        let (mut annotated, mut annotations) = (None, Annotations::default());
        json.object(|json, name| match name {
            FEATURES_ANNOTATION => self.once(&mut annotated, json, name, Self::annotated_features),
            REFERENCE_TYPE => {
                annotations.attestation = true;
                json.skip()
            }
            _ if name == ZSTD.0 && json.peek() == Some(b'"') => {
                annotations.zstd = json.string()?.is_some_and(|value| value == ZSTD.1);
                Ok(())
            }
            _ => json.skip(),
        })?;
        Ok(Some(annotations))
    }

    /// Whether the type is not an image's. An empty one says nothing.
    fn artifact_type(&mut self, json: &mut Reader<'_>, name: &str) -> Result<Option<bool>, Stop> {
        let is_image = |given: &str| given.is_empty() || IMAGE_TYPES.iter().any(|known| media_type::same(given, known));
        Ok(self.text(json, name)?.map(|given| !is_image(given.trim())))
    }

    /// Features in a list; whether there are any.
    fn features(&mut self, json: &mut Reader<'_>, name: &str) -> Result<Option<bool>, Stop> {
        if json.peek() != Some(b'[') {
            return self.wrong(json, name, "a list of strings");
        }
        let mut count = 0;
        json.list(|json| {
            if count > MAX_FEATURES {
                return json.skip();
            }
            count += match self.text(json, name)? {
                Some(feature) => self.add_feature(&feature),
                None => 1,
            };
            if count > MAX_FEATURES {
                self.note(|| format!("more than {MAX_FEATURES} {name}"));
            }
            Ok(())
        })?;
        Ok(Some(count > 0))
    }

    /// Features in an annotation; empty pieces (a trailing comma) ask for nothing.
    fn annotated_features(&mut self, json: &mut Reader<'_>, name: &str) -> Result<Option<()>, Stop> {
        let Some(value) = self.text(json, name)? else { return Ok(None) };
        let mut count = 0;
        for feature in value.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
            count += self.add_feature(feature);
            if count > MAX_FEATURES {
                self.note(|| format!("more than {MAX_FEATURES} features in {FEATURES_ANNOTATION}"));
                break;
            }
        }
        Ok(Some(()))
    }

    /// Adds a feature, and returns how many it counts for. An entry with a feature that cannot be read as one must not
    /// be selected at all.
    fn add_feature(&mut self, text: &str) -> usize {
        self.lists.add(trimmed(text)).unwrap_or_else(|problem| {
            self.note(|| problem);
            1
        })
    }

    fn text<'a>(&mut self, json: &mut Reader<'a>, name: &str) -> Result<Option<Cow<'a, str>>, Stop> {
        if json.peek() != Some(b'"') {
            return self.wrong(json, name, "a string");
        }
        let text = json.string()?;
        if text.is_none() {
            self.note(|| format!("{name}: half of a surrogate pair"));
        }
        Ok(text)
    }

    /// A word of bounded length; `None` also for a blank one.
    fn word<'a>(&mut self, json: &mut Reader<'a>, name: &str) -> Result<Option<Cow<'a, str>>, Stop> {
        let Some(text) = self.text(json, name)? else { return Ok(None) };
        if text.len() > MAX_WORD_LENGTH {
            self.note(|| format!("{name} is longer than {MAX_WORD_LENGTH} bytes"));
            return Ok(None);
        }
        let word = match text {
            Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        Ok(Some(word).filter(|word| !word.is_empty()))
    }

    fn whole_number(&mut self, json: &mut Reader<'_>, name: &str) -> Result<Option<u64>, Stop> {
        if !matches!(json.peek(), Some(b'-' | b'0'..=b'9')) {
            return self.wrong(json, name, "a whole number");
        }
        let number = json.number()?.parse().ok();
        if number.is_none() {
            self.note(|| format!("{name}: expected a whole number"));
        }
        Ok(number)
    }

    /// Reads a member's value unless it is `null`. A second value makes the entry ambiguous, because another reader
    /// might take that one.
    fn once<'a, T>(
        &mut self,
        member: &mut Member<T>,
        json: &mut Reader<'a>,
        name: &str,
        read: impl FnOnce(&mut Self, &mut Reader<'a>, &str) -> Result<Option<T>, Stop>,
    ) -> Result<(), Stop> {
        if member.is_some() {
            self.note(|| format!("duplicate field {name}"));
            return json.skip();
        }
        *member = Some(if json.null()? { None } else { read(self, json, name)? });
        Ok(())
    }

    /// Notes that a value has the wrong type, and skips it.
    fn wrong<T>(&mut self, json: &mut Reader<'_>, name: &str, expected: &str) -> Result<Option<T>, Stop> {
        self.note(|| format!("{name}: expected {expected}"));
        json.skip()?;
        Ok(None)
    }

    fn note(&mut self, problem: impl FnOnce() -> String) {
        self.problem.get_or_insert_with(problem);
    }
}

/// [`str::trim`], which takes its time over text that has nothing to trim.
fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}
