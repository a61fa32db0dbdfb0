//! Why an entry was selected, in words for logs, headers and `explain`.

use std::fmt;

use crate::machine_type::MachineType;
use crate::oci::index::{Entry, FeatureRow};
use crate::text::printable::printable;

/// The criterion by which the selected entry won over the next best.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Criterion {
    /// No other entry fits.
    Only,
    /// It is a 32-bit image for a 64-bit machine: nothing is made for the machine's own architecture.
    In32Bit,
    /// Nothing fits in the nested indexes that go before it.
    NextBest,
    /// The other is a 32-bit image for a 64-bit machine.
    Native,
    /// It has a platform, the other is a nested index with neither platform nor features.
    Platform,
    /// It has features, the other is a nested index with neither platform nor features.
    Features,
    /// A key of the machine type's `prefer`.
    Preferred(String),
    /// It asks for more different keys.
    MostKeys,
    /// It is nearer to the machine in this key.
    Nearest(String),
    /// It is made for the machine's operating system version.
    OsVersion,
    /// Of two that are alike, it is the one whose layers are (`true`) or are not compressed with zstd.
    Zstd(bool),
    /// It stands before an equal one.
    ListOrder,
}

impl Criterion {
    /// One word, for metrics and machine-readable answers.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::In32Bit => "32-bit",
            Self::NextBest => "next_best",
            Self::Native => "native",
            Self::Platform => "platform",
            Self::Features => "features",
            Self::Preferred(_) => "prefer",
            Self::MostKeys => "keys",
            Self::Nearest(_) => "nearest",
            Self::OsVersion => "os_version",
            Self::Zstd(_) => "zstd",
            Self::ListOrder => "list_order",
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => f.write_str("the only one that fits"),
            Self::In32Bit => f.write_str("32-bit, as nothing is for this architecture"),
            Self::NextBest => f.write_str("nothing fits in what goes before"),
            Self::Native => f.write_str("not 32-bit"),
            Self::Platform => f.write_str("has a platform"),
            Self::Features => f.write_str("has features"),
            Self::Preferred(key) => write!(f, "best in the preferred {}", printable(key, 24)),
            Self::MostKeys => f.write_str("asks for the most keys"),
            Self::Nearest(key) => write!(f, "nearest in {}", printable(key, 24)),
            Self::OsVersion => f.write_str("made for the os version"),
            Self::Zstd(true) => f.write_str("has zstd layers"),
            Self::Zstd(false) => f.write_str("has no zstd layers"),
            Self::ListOrder => f.write_str("first of equals in the list"),
        }
    }
}

/// Why an entry was selected. Its text is printable ASCII of less than 200 bytes, fit for a header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// Platform and features of the entry, printable; of alternatives those that matched: `nvcap:9.0+ptx (of 3)`.
    pub entry: String,
    /// The features that list alternatives, each reduced to those that matched: `nvcap:9.0+ptx`.
    pub matched: Vec<String>,
    /// The criterion by which it won.
    pub criterion: Criterion,
    /// How many entries fit the machine.
    pub eligible: usize,
    /// How many entries the index has.
    pub entries: usize,
    /// How many other entries, of other digests, only the order of the list tells apart from this one: some tool has
    /// lost their features. Nested indexes without a platform do not count, because they say nothing of what is in
    /// them.
    pub indistinguishable: usize,
}

/// The text of [`Reason::entry`], and [`Reason::matched`].
pub(super) fn matched_words(entry: &Entry<'_>, machine: &MachineType) -> (String, Vec<String>) {
    let matched = |known: &FeatureRow| {
        let alternatives = machine.matched(known);
        (!alternatives.is_empty()).then(|| format!("{}:{}", known.feature.key(), alternatives.join("|")))
    };
    let word = |known: &FeatureRow| match matched(known) {
        Some(matched) => format!("{matched} (of {})", known.feature.count()),
        None => known.feature.as_str().to_owned(),
    };
    let words = entry.describe(|known| word(known).into());
    (words, entry.known_features().filter_map(matched).map(|words| printable(&words, 120)).collect())
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}; {} of {} fit", self.entry, self.criterion, self.eligible, self.entries)
    }
}
