//! The offer of an index, in words for a user whose machine fits none of it.

use std::collections::BTreeSet;
use std::fmt;

use crate::oci::index::Index;

/// How many entries an [`IndexSummary`] names.
const MAX_OFFERED: usize = 8;

/// The offer of an index, for a message to a user whose machine fits none of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexSummary {
    /// How many entries the index has, of whatever kind.
    pub entries: usize,
    /// Platforms with their features, in the order of the list, without repetitions, printable; at most 8.
    pub offered: Vec<String>,
    /// How many different ones there are beyond these.
    pub more: usize,
    /// How many entries could not be read, and what is wrong with the first of them.
    pub unreadable: (usize, Option<String>),
}

impl IndexSummary {
    /// The offer of `index` to all machines; attestations and the like are not part of it.
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

impl fmt::Display for IndexSummary {
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
