//! One entry of an index: what it points to and what it requires of a machine.

use std::fmt;

use super::raw::{RawEntry, RawPlatform, Text};
use super::{Descriptor, FEATURES_ANNOTATION, MAX_FEATURES, annotated, is_cpu, level_of};
use crate::digest::Digest;
use crate::feature::{CPU, Feature};
use crate::media_type::Kind;
use crate::microarchitecture::{self, Microarchitecture};
use crate::platform::{self, Word};
use crate::words::printable;

/// The longest platform word of an entry, in bytes.
const MAX_WORD_LENGTH: usize = 256;

/// The platform that an entry asks for, in OCI's spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system (`GOOS`).
    pub os: Word,
    /// Architecture (`GOARCH`).
    pub architecture: Word,
    /// Variant of the architecture, where one is given.
    pub variant: Option<String>,
    /// Operating system version, where one is given.
    pub os_version: Option<String>,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        if let Some(version) = &self.os_version {
            write!(f, " {version}")?;
        }
        Ok(())
    }
}

/// Why a readable entry is never selected, whatever the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// An attestation or another document about an image (`unknown/unknown`, or BuildKit's annotation).
    Attestation,
    /// No platform: in an index of images it is not one of them.
    NoPlatform,
    /// Its media type is neither an image manifest's nor an index's.
    NotAManifest,
    /// The platform lacks `os` or `architecture`.
    IncompletePlatform,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attestation => "an attestation, not an image",
            Self::NoPlatform => "no platform",
            Self::NotAManifest => "neither an image manifest nor an index",
            Self::IncompletePlatform => "a platform without os or architecture",
        })
    }
}

/// What a `cpu` requirement asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// A microarchitecture of the table: the machine's is it or descends from it.
    Known(Microarchitecture),
    /// A name that archspec does not know, as it is compared: the machine has the very same.
    Named(String),
    /// A variant that is not a level: the machine has the very same.
    Variant(String),
}

/// How an entry comes to ask for a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A feature `cpu:…`.
    Feature,
    /// `platform.variant`.
    Variant,
    /// The lack of a variant: what every image for the architecture may count on.
    Baseline,
}

/// A requirement of the key `cpu`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CpuRequirement {
    /// What it asks for.
    pub level: Level,
    /// Where it comes from.
    pub origin: Origin,
}

impl fmt::Display for CpuRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.level, self.origin) {
            (Level::Known(level), Origin::Feature) => write!(f, "{CPU}:{}", level.name()),
            (Level::Known(level), Origin::Variant) => write!(f, "variant {}", level.variant().unwrap_or_default()),
            (Level::Known(level), Origin::Baseline) => match level.variant() {
                Some(variant) => write!(f, "variant {variant} (none given)"),
                None => write!(f, "architecture {}", level.architecture()),
            },
            (Level::Named(name), _) => write!(f, "{CPU}:{name}"),
            (Level::Variant(variant), _) => write!(f, "variant {variant}"),
        }
    }
}

/// One thing that an entry asks of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement<'a> {
    /// The operating system.
    Os(&'a str),
    /// The architecture.
    Architecture(&'a str),
    /// The operating system version.
    OsVersion(&'a str),
    /// A microarchitecture or variant.
    Cpu(&'a CpuRequirement),
    /// A feature of another key.
    Feature(&'a Feature),
}

impl fmt::Display for Requirement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Os(os) => format!("os {os}"),
            Self::Architecture(architecture) => format!("architecture {architecture}"),
            Self::OsVersion(version) => format!("os.version {version}"),
            Self::Cpu(cpu) => cpu.to_string(),
            Self::Feature(feature) => feature.as_str().to_owned(),
        };
        f.write_str(&printable(&text, 120))
    }
}

/// A readable entry of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    position: usize,
    descriptor: Descriptor,
    nested: bool,
    platform: Option<Platform>,
    /// As written, `cpu` included; sorted by key, without repetitions.
    features: Vec<Feature>,
    cpus: Vec<CpuRequirement>,
    names_cpu: bool,
    distinct_keys: usize,
    exclusion: Option<Exclusion>,
}

impl Entry {
    /// The position in the list, from 0.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// What the entry points to.
    #[must_use]
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Whether it points to another index, in which selection goes on.
    #[must_use]
    pub const fn is_nested_index(&self) -> bool {
        self.nested
    }

    /// The platform it asks for; only a nested index may be selected without one.
    #[must_use]
    pub const fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// The features it asks for, as written; sorted by key, without repetitions.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Why it is never selected; `None` for an entry that some machine could get.
    #[must_use]
    pub const fn exclusion(&self) -> Option<Exclusion> {
        self.exclusion
    }

    /// Everything that it asks of a machine; all of it must be met.
    pub fn requirements(&self) -> impl Iterator<Item = Requirement<'_>> {
        let features = self.features.iter().filter(|feature| !is_cpu(feature)).map(Requirement::Feature);
        self.platform_requirements().chain(features)
    }

    /// The requirements without the features of other keys than `cpu`.
    pub(crate) fn platform_requirements(&self) -> impl Iterator<Item = Requirement<'_>> {
        let platform = self.platform.iter().flat_map(|platform| {
            let version = platform.os_version.as_deref().map(Requirement::OsVersion);
            [Some(Requirement::Os(&platform.os)), Some(Requirement::Architecture(&platform.architecture)), version]
        });
        platform.flatten().chain(self.cpus.iter().map(Requirement::Cpu))
    }

    /// Whether it asks for a microarchitecture, or a variant beyond what an entry without variant may count on.
    #[must_use]
    pub const fn names_cpu(&self) -> bool {
        self.names_cpu
    }

    /// How many different keys it asks for; `cpu` and variant are one.
    #[must_use]
    pub const fn distinct_keys(&self) -> usize {
        self.distinct_keys
    }
}

impl fmt::Display for Entry {
    /// Platform and features, printable: `linux/amd64 cpu:broadwell nvcap:5.2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self
            .platform
            .as_ref()
            .map_or_else(|| if self.nested { "nested index" } else { "no platform" }.to_owned(), ToString::to_string);
        for feature in &self.features {
            // Enough for any message; the rest would only be cut off later.
            if words.len() > 1024 {
                break;
            }
            words.push(' ');
            words.push_str(feature.as_str());
        }
        f.write_str(&printable(&words, 120))
    }
}

/// Reads one entry; the error says in words what is wrong.
pub(super) fn parse(position: usize, text: &str) -> Result<Entry, String> {
    let raw: RawEntry<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let media_type = word("mediaType", &raw.media_type)?.ok_or("no mediaType")?.to_owned();
    let digest = raw.digest.ok_or("no digest")?;
    let digest = Digest::parse(&digest.0).map_err(|error| format!("digest: {error}"))?;
    let size = raw.size.ok_or("no size")?;
    let annotations = raw.annotations.unwrap_or_default();
    let mut features = Vec::new();
    if let Some(platform) = &raw.platform {
        for list in [&platform.features, &platform.os_features].into_iter().flatten() {
            add(&mut features, list.0.iter().map(|feature| &*feature.0))?;
        }
    }
    if let Some(value) = &annotations.features {
        if annotated(&value.0).nth(MAX_FEATURES).is_some() {
            return Err(format!("more than {MAX_FEATURES} features in {FEATURES_ANNOTATION}"));
        }
        add(&mut features, annotated(&value.0))?;
    }
    features.sort_unstable();
    features.dedup();
    let platform = raw.platform.as_ref().map(read_platform).transpose()?.flatten();
    let kind = Kind::of(&media_type);
    let nested = kind == Kind::Index;
    let exclusion = exclusion(annotations.attestation, platform.as_ref(), kind);
    let descriptor = Descriptor { media_type, digest, size };
    let (cpus, names_cpu) = cpu_requirements(platform.as_ref(), &features);
    let distinct_keys = usize::from(names_cpu) + distinct_keys(&features);
    Ok(Entry { position, descriptor, nested, platform, features, cpus, names_cpu, distinct_keys, exclusion })
}

fn exclusion(attestation: bool, platform: Option<&Platform>, kind: Kind) -> Option<Exclusion> {
    let unknown = |platform: &Platform| platform.os == "unknown" || platform.architecture == "unknown";
    if attestation || platform.is_some_and(unknown) {
        return Some(Exclusion::Attestation);
    }
    match (platform, kind) {
        (_, Kind::Unknown) => Some(Exclusion::NotAManifest),
        (Some(platform), _) if platform.os.is_empty() || platform.architecture.is_empty() => {
            Some(Exclusion::IncompletePlatform)
        }
        (None, Kind::Manifest) => Some(Exclusion::NoPlatform),
        _ => None,
    }
}

/// The platform in OCI's spelling; `None` for an object that says nothing at all.
fn read_platform(raw: &RawPlatform<'_>) -> Result<Option<Platform>, String> {
    let os = word("os", &raw.os)?.map(platform::system);
    let architecture = word("architecture", &raw.architecture)?;
    let variant = word("variant", &raw.variant)?;
    let os_version = word("os.version", &raw.os_version)?.map(str::to_owned);
    let listed = [&raw.features, &raw.os_features].into_iter().flatten().any(|list| !list.0.is_empty());
    if os.is_none() && architecture.is_none() && variant.is_none() && os_version.is_none() && !listed {
        return Ok(None);
    }
    let (architecture, implied) = architecture.map(platform::architecture).unwrap_or_default();
    let variant = variant.map(|variant| platform::variant(&architecture, variant));
    let variant = variant.or(implied.map(str::to_owned));
    Ok(Some(Platform { os: os.unwrap_or_default(), architecture, variant, os_version }))
}

/// A word of bounded length; `None` when it is absent or blank.
fn word<'t>(name: &str, text: &'t Option<Text<'_>>) -> Result<Option<&'t str>, String> {
    let Some(text) = text else { return Ok(None) };
    if text.0.len() > MAX_WORD_LENGTH {
        return Err(format!("{name} is longer than {MAX_WORD_LENGTH} bytes"));
    }
    Ok(Some(text.0.trim()).filter(|text| !text.is_empty()))
}

/// Adds features; an entry with one that cannot be read as such must not be selected at all.
fn add<'a>(features: &mut Vec<Feature>, texts: impl Iterator<Item = &'a str>) -> Result<(), String> {
    for text in texts {
        features.push(Feature::parse(text)?);
    }
    Ok(())
}

/// The `cpu` requirements, and whether the entry names the key.
fn cpu_requirements(platform: Option<&Platform>, features: &[Feature]) -> (Vec<CpuRequirement>, bool) {
    let mut cpus = Vec::new();
    let mut names_cpu = false;
    if let Some(platform) = platform {
        let variant = platform.variant.as_deref();
        if let Some(level) = level_of(&platform.architecture, variant) {
            let baseline = Microarchitecture::baseline(&platform.architecture);
            names_cpu = match &level {
                // A variant at or below the baseline asks for no more than an entry without one.
                Level::Known(level) => baseline.is_none_or(|baseline| baseline.generations_to(*level).is_none()),
                Level::Named(_) | Level::Variant(_) => true,
            };
            let origin = if variant.is_some() { Origin::Variant } else { Origin::Baseline };
            cpus.push(CpuRequirement { level, origin });
        }
    }
    for feature in features.iter().filter(|feature| is_cpu(feature)) {
        names_cpu = true;
        // A bare `cpu` asks for a name that no machine can have.
        let value = feature.value().unwrap_or_default();
        let level = Microarchitecture::find(value)
            .map_or_else(|| Level::Named(microarchitecture::canonical(value)), Level::Known);
        cpus.push(CpuRequirement { level, origin: Origin::Feature });
    }
    (cpus, names_cpu)
}

/// How many different keys besides `cpu`, of features sorted by key.
fn distinct_keys(features: &[Feature]) -> usize {
    features.chunk_by(|a, b| a.key() == b.key()).filter(|same| !same.iter().any(is_cpu)).count()
}
