//! Manifest lists and OCI indexes: bytes from the wire into typed entries (OCI image spec, image-index.md; Docker
//! manifest list v2.2).
//!
//! Parsing is lenient where real lists are odd: unknown fields, `null` for an optional value, duplicates. An entry
//! whose fields cannot be read (wrong types, no digest, a feature list beyond the limits) is set aside and never
//! selected; the others stay usable, and messages name the one that was set aside. The whole document is refused only
//! when it is no index: not JSON, no `manifests`, `layers` beside `manifests`, or beyond the limits.
//!
//! Entries are views of a few tables, because large lists repeat themselves: words stand there once, and a platform or
//! feature is compared with a machine once for all entries.

mod assumed;
mod descriptor;
mod entries;
mod entry;
mod entry_reader;
mod exclusion;
mod feature_lists;
mod inheritance;
mod interner;
mod nature;
mod parse;
mod requirement;
mod tables;

pub use assumed::AssumedLevels;
pub use descriptor::Descriptor;
pub use entry::Entry;
pub use exclusion::Exclusion;
pub(crate) use inheritance::Inherited;
pub use nature::Nature;
pub use requirement::{CpuRequirement, Level, Origin, Requirement};
use tables::Tables;
pub(crate) use tables::{FeatureRow, PlatformRow};

/// The largest index that is parsed, in bytes; containerd and containers/image read no more either.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The most entries of an index.
pub const MAX_ENTRIES: usize = 10_000;

/// The most features of each list of an entry (`features`, `os.features`, the annotation), each alternative counted.
pub const MAX_FEATURES: usize = 256;

/// The most features of all entries together, each alternative counted.
pub const MAX_TOTAL_FEATURES: usize = 65_536;

/// The annotation that carries features for tools that cannot write `platform.features`; comma-separated.
pub const FEATURES_ANNOTATION: &str = "org.metahub.features";

/// An entry that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("manifests[{position}]: {problem}")]
pub struct Unreadable {
    /// Its position in the list, from 0.
    pub position: usize,
    /// The problem, printable.
    pub problem: String,
}

/// A manifest list or an OCI index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    tables: Tables,
    unreadable: Vec<Unreadable>,
    /// See [`Nature::media_type`].
    own_media_type: Option<String>,
    artifact_type: bool,
}

/// Why bytes are not a usable index. The text is for operators and users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// More than [`MAX_BYTES`].
    #[error("the index is larger than {} MiB", MAX_BYTES / 1024 / 1024)]
    TooLarge,
    /// Not JSON, or a field of the index itself has the wrong type; the parser's words, printable.
    #[error("the index is malformed: {0}")]
    Malformed(String),
    /// `manifests` is missing or `null`. An empty list is an index in which nothing fits.
    #[error("the index has no entries")]
    NoManifests,
    /// Fields of an image manifest beside `manifests`: clients might read another document than we do.
    #[error("the document is ambiguous: it has manifests, as an index, and {0}, as an image manifest")]
    Ambiguous(&'static str),
    /// `mediaType` says that it is a manifest of one image.
    #[error("the document has manifests, but its mediaType is {0}")]
    NotAnIndex(String),
    /// More than [`MAX_ENTRIES`].
    #[error("the index has more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    /// More than [`MAX_TOTAL_FEATURES`].
    #[error("the index has more than {MAX_TOTAL_FEATURES} features")]
    TooManyFeatures,
}

impl Index {
    /// The nature of the document, by its content.
    #[must_use]
    pub fn nature(&self) -> Nature {
        Nature { is_index: true, media_type: self.own_media_type.clone() }
    }

    /// The readable entries, in the order of the list.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + Clone {
        self.tables.records.iter().map(|record| Entry { tables: &self.tables, record })
    }

    /// The different features of all entries, sorted by key; an entry has numbers of them.
    pub(crate) fn features(&self) -> &[FeatureRow] {
        &self.tables.features
    }

    /// The platforms of all entries; an entry has the number of one.
    pub(crate) fn platforms(&self) -> &[PlatformRow] {
        &self.tables.platforms
    }

    /// Whether it has an entry for this architecture that some machine could get, or may have one among those that
    /// could not be read.
    pub(crate) fn may_offer(&self, architecture: &str) -> bool {
        self.tables.may_offer(architecture)
    }

    /// The entries that could not be read; never selected.
    #[must_use]
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// Whether this is an index of images for machines to choose from. Otherwise (it has an `artifactType`, or entries
    /// none of which has a platform or is itself an index of images) it passes through unchanged. An entry that could
    /// not be read counts as one with a platform: what we do not understand must not switch selection off.
    #[must_use]
    pub fn is_image_index(&self) -> bool {
        let leads_on = |entry: &Entry<'_>| entry.is_nested_index() && entry.exclusion() != Some(Exclusion::Artifact);
        let selectable = |entry: Entry<'_>| entry.platform().is_some() || leads_on(&entry);
        let empty = self.tables.records.is_empty();
        !self.artifact_type && (empty || !self.unreadable.is_empty() || self.entries().any(selectable))
    }
}

/// Whether `tag` names signatures, attestations or a bill of materials rather than an image: `sha256-<hex>`, with or
/// without more after it (the referrers tag schema of the OCI distribution spec, and cosign's), or ending in `.sig`,
/// `.att` or `.sbom`.
#[must_use]
pub fn is_artifact_tag(tag: &str) -> bool {
    let referrer = tag.strip_prefix("sha256-").is_some_and(|rest| {
        let digits = rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        digits == 64 && rest.as_bytes().get(64).is_none_or(|next| matches!(next, b'.' | b'-'))
    });
    referrer || [".sig", ".att", ".sbom"].iter().any(|suffix| tag.ends_with(suffix))
}
