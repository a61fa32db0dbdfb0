//! One entry of an index: what it points to and what it requires of a machine.

use std::fmt;

use super::table::{Known, KnownPlatform, Record};
use super::{Descriptor, Index};
use crate::hardware::feature::{CPU, Feature};
use crate::hardware::microarchitecture::Microarchitecture;
use crate::oci::digest::Digest;
use crate::oci::media_type::Kind;
use crate::oci::platform::Word;
use crate::text::words::printable;

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
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub(super) index: &'a Index,
    pub(super) record: &'a Record,
}

impl<'a> Entry<'a> {
    /// The position in the list, from 0.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.record.position as usize
    }

    /// What the entry points to.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        let digest = Digest::known(self.record.algorithm, self.digest());
        Descriptor { media_type: self.media_type().to_owned(), digest, size: self.record.size }
    }

    /// The digest of what it points to.
    #[must_use]
    pub fn digest(&self) -> &'a str {
        let start = self.record.digest as usize;
        self.index.digests.get(start..start + self.record.algorithm.length()).unwrap_or_default()
    }

    /// The media type of what it points to, as the index spells it.
    #[must_use]
    pub fn media_type(&self) -> &'a str {
        self.index.media_types.get(self.record.media_type as usize).map_or("", |media_type| &media_type.text)
    }

    /// The size of what it points to, in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.record.size
    }

    /// Whether it points to another index, in which selection goes on.
    #[must_use]
    pub fn is_nested_index(&self) -> bool {
        let media_type = self.index.media_types.get(self.record.media_type as usize);
        media_type.is_some_and(|media_type| media_type.kind == Kind::Index)
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
        let platform = self.known_platform().into_iter().flat_map(KnownPlatform::requirements);
        let cpus = self.known_features().filter_map(|known| known.cpu.as_ref()).map(Requirement::Cpu);
        let others = self.known_features().filter(|known| known.cpu.is_none());
        platform.chain(cpus).chain(others.map(|known| Requirement::Feature(&known.feature)))
    }

    /// Whether it asks for a microarchitecture, or a variant beyond what an entry without variant may count on.
    #[must_use]
    pub const fn names_cpu(&self) -> bool {
        self.record.names_cpu
    }

    /// How many different keys it asks for; `cpu` and variant are one.
    #[must_use]
    pub const fn distinct_keys(&self) -> usize {
        self.record.distinct_keys as usize
    }

    /// The number of its platform among those of the index.
    pub(crate) const fn platform_number(&self) -> Option<u32> {
        self.record.platform
    }

    /// The numbers of its features among those of the index, rising.
    pub(crate) fn feature_numbers(&self) -> &'a [u32] {
        self.record.features.of(&self.index.of_entries)
    }

    fn known_platform(&self) -> Option<&'a KnownPlatform> {
        self.index.platforms.get(self.record.platform? as usize)
    }

    fn known_features(&self) -> impl Iterator<Item = &'a Known> + use<'a> {
        let index = self.index;
        self.feature_numbers().iter().filter_map(move |number| index.features.get(*number as usize))
    }
}

impl fmt::Display for Entry<'_> {
    /// Platform and features, printable: `linux/amd64 cpu:broadwell nvcap:5.2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.platform().map_or_else(
            || if self.is_nested_index() { "nested index" } else { "no platform" }.to_owned(),
            ToString::to_string,
        );
        for feature in self.features() {
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
