//! Selections in words, for logs, headers, messages and the `explain` endpoint.

use std::collections::BTreeSet;
use std::fmt;

use super::evaluation::{Evaluation, Met};
use crate::machine_type::{Key, MachineType};
use crate::oci::index::{Entry, Index, Requirement};
use crate::text::words::printable;

/// How many entries an [`Offer`] names.
const MAX_OFFERED: usize = 8;

/// What made the selected entry win over the next best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// No other entry fits.
    Only,
    /// It has a platform, the other is a nested index without one.
    Platform,
    /// A key of the machine type's `prefer`.
    Preferred(String),
    /// It asks for more different keys.
    MostKeys,
    /// It is nearer to the machine in this key.
    Nearest(String),
    /// It is made for the machine's operating system version.
    OsVersion,
    /// It stands before an equal one.
    ListOrder,
}

impl Criterion {
    /// One word, for metrics and machine-readable answers.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Platform => "platform",
            Self::Preferred(_) => "prefer",
            Self::MostKeys => "keys",
            Self::Nearest(_) => "nearest",
            Self::OsVersion => "os_version",
            Self::ListOrder => "list_order",
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => f.write_str("the only one that fits"),
            Self::Platform => f.write_str("has a platform"),
            Self::Preferred(key) => write!(f, "best in the preferred {}", printable(key, 24)),
            Self::MostKeys => f.write_str("asks for the most keys"),
            Self::Nearest(key) => write!(f, "nearest in {}", printable(key, 24)),
            Self::OsVersion => f.write_str("made for the os version"),
            Self::ListOrder => f.write_str("first of equals in the list"),
        }
    }
}

/// Why an entry was selected. Its text is printable ASCII of less than 200 bytes, fit for a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Platform and features of the entry, printable.
    pub entry: String,
    /// What made it win.
    pub criterion: Criterion,
    /// How many entries fit the machine.
    pub eligible: usize,
    /// How many entries the index has.
    pub entries: usize,
}

impl Reason {
    pub(super) fn new(entry: &Entry<'_>, criterion: Criterion, eligible: usize, index: &Index) -> Self {
        let entries = index.entries().len() + index.unreadable().len();
        Self { entry: entry.to_string(), criterion, eligible, entries }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}; {} of {} fit", self.entry, self.criterion, self.eligible, self.entries)
    }
}

/// What an index offers, for a message to someone whose machine fits none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// How many entries the index has, of whatever kind.
    pub entries: usize,
    /// Platforms with their features, in the order of the list, without repetitions, printable; at most 8.
    pub offered: Vec<String>,
    /// How many different ones there are beyond these.
    pub more: usize,
    /// How many entries could not be read, and what is wrong with the first of them.
    pub unreadable: (usize, Option<String>),
}

impl Offer {
    /// What `index` offers to any machine; attestations and the like are not part of it.
    #[must_use]
    pub fn of(index: &Index) -> Self {
        let mut offered = Vec::new();
        let mut different = BTreeSet::new();
        for entry in index.entries().filter(|entry| entry.exclusion().is_none()) {
            let new = different.insert((entry.platform(), entry.feature_numbers(), entry.is_nested_index()));
            if new && offered.len() < MAX_OFFERED {
                offered.push(entry.to_string());
            }
        }
        let first = index.unreadable().first().map(ToString::to_string);
        let more = different.len() - offered.len();
        let entries = index.entries().len() + index.unreadable().len();
        Self { entries, offered, more, unreadable: (index.unreadable().len(), first) }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offered.is_empty() {
            f.write_str("no image for any machine")?;
        } else {
            f.write_str(&self.offered.join(", "))?;
        }
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        if let (count, Some(first)) = &self.unreadable {
            write!(f, "; {count} unreadable ({first})")?;
        }
        Ok(())
    }
}

/// A requirement that a machine does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// What the entry asks for, printable: `cpu:icelake`, `architecture arm64`.
    pub requirement: String,
    /// What the machine has of it, empty for nothing.
    pub offered: Vec<String>,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offered = if self.offered.is_empty() { "nothing of it".to_owned() } else { self.offered.join(", ") };
        write!(f, "needs {}, the machine has {}", self.requirement, printable(&offered, 160))
    }
}

/// What keeps `machine` from running `entry`; empty when nothing does. An entry with an
/// [exclusion](Entry::exclusion) is not selected even then.
#[must_use]
pub fn unmet(entry: &Entry<'_>, machine: &MachineType) -> Vec<Unmet> {
    let unmet = |requirement: &Requirement<'_>| machine.meets(requirement).is_none();
    let describe = |requirement: Requirement<'_>| Unmet {
        requirement: requirement.to_string(),
        offered: machine.instead(&requirement),
    };
    entry.requirements().filter(unmet).map(describe).collect()
}

/// A key in which every image that fits a machine asks for less than the machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingVariant {
    /// The key, such as `cpu`.
    pub key: String,
    /// What the machine has and no image asks for: `cpu:icelake`.
    pub features: Vec<String>,
    /// Whether some image that fits asks for the key at all, only for less: then the image is made in variants of
    /// this key, and the machine's is one of those worth building.
    pub falls_back: bool,
}

/// The keys of `machine` that no eligible entry of `index` asks for to the full: variants worth building. Empty when
/// nothing is eligible.
#[must_use]
pub fn missing_variants(index: &Index, machine: &MachineType) -> Vec<MissingVariant> {
    if !index.is_image_index() {
        return Vec::new();
    }
    let evaluation = Evaluation::new(index, machine);
    let mut eligible = false;
    // By the place of the key: whether some entry names it, and whether one asks for it to the full.
    let mut asked = vec![(false, false); machine.order().len()];
    for entry in index.entries().filter(|entry| evaluation.fits(entry)) {
        eligible = true;
        for Met { place, found } in evaluation.matches(&entry) {
            if let Some((named, full)) = asked.get_mut(place) {
                *named |= place != machine.cpu_place() || entry.names_cpu();
                *full |= found.exact;
            }
        }
    }
    if !eligible {
        return Vec::new();
    }
    let describe = |(key, (named, _)): (&Key, (bool, bool))| MissingVariant {
        key: machine.key_name(*key).to_owned(),
        features: machine.offered_words(*key),
        falls_back: named,
    };
    let missing = machine.order().iter().zip(asked).filter(|(_, (_, full))| !full).map(describe);
    missing.filter(|missing| !missing.features.is_empty()).collect()
}
