//! The walk from what a tag points to, through the indexes nested in it, to the image that a machine gets. Pulls and
//! `explain` share it, so that `explain` tells what a pull returns.
//!
//! It does no I/O. The caller brings the index that a walk asks for and gets the next [`Turn`]. A nested index is
//! chosen by what its descriptor says, and selection does not come back out of it.

use std::fmt;

use super::{Criterion, IndexSummary, Reason, Selection, missing_variants, select};
use crate::machine_type::MachineType;
use crate::oci::index::{Descriptor, Index, IndexError, MAX_BYTES};

/// The most indexes that are followed below each other, the first included.
pub const MAX_LEVELS: u32 = 3;

/// The action when no entry of an index fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNoMatch {
    /// 404 with a message that says what the index offers.
    Refuse,
    /// 403 with the same message, which more clients print.
    Deny,
    /// The index as it is.
    Unfiltered,
}

/// A walk that stands before an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Walk {
    /// Indexes that it has come through.
    above: u32,
    missing: Vec<String>,
    /// Of the entries that it has come through.
    indistinguishable: usize,
}

/// The turn that a walk takes at the index that it stood before.
#[derive(Clone, Debug)]
pub enum Turn {
    /// The walk ends at this image.
    Image {
        /// The image.
        descriptor: Descriptor,
        /// The reason for this entry of the last index.
        reason: Reason,
        /// Features of the machine for which the indexes on the way have only lesser variants.
        missing: Vec<String>,
        /// How many other entries of the indexes on the way only list order tells apart from those that were taken
        /// ([`Reason::indistinguishable`]).
        indistinguishable: usize,
    },
    /// The walk goes on in this index.
    Nested(Descriptor, Walk),
    /// The document that the tag points to is served as it is; the text says why.
    Whole(&'static str),
    /// There is no image.
    DeadEnd(DeadEnd),
}

/// Why a walk leads to no image. Its text is for clients and operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadEnd {
    /// No entry of an index fits.
    NothingFits(IndexSummary),
    /// More than [`MAX_LEVELS`] indexes below each other.
    TooDeep,
    /// The entry that fits is larger than what is read of a manifest.
    TooLarge,
    /// A nested index is one of artifacts.
    NotAnImageIndex,
    /// An index cannot be read.
    Unusable {
        /// It is in another index.
        nested: bool,
        /// The problem with it.
        error: IndexError,
    },
}

impl fmt::Display for DeadEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingFits(IndexSummary { entries: 0, .. }) => f.write_str("nothing fits; the index has no entries"),
            Self::NothingFits(summary) => write!(f, "nothing fits; the index offers {summary}"),
            Self::TooDeep => write!(f, "indexes are nested deeper than {MAX_LEVELS} levels"),
            Self::TooLarge => write!(f, "the manifest is larger than {} MiB", MAX_BYTES / 1024 / 1024),
            Self::NotAnImageIndex => f.write_str("a nested index is not an image index"),
            Self::Unusable { nested: false, error } => write!(f, "the index cannot be used: {error}"),
            Self::Unusable { nested: true, error } => write!(f, "a nested index cannot be used: {error}"),
        }
    }
}

impl Walk {
    /// A walk that stands before what a tag points to.
    #[must_use]
    pub const fn begin() -> Self {
        Self { above: 0, missing: Vec::new(), indistinguishable: 0 }
    }

    /// Whether the walk stands before an index that is in another one.
    #[must_use]
    pub const fn is_nested(&self) -> bool {
        self.above > 0
    }

    /// The end of a walk before an index that cannot be read.
    #[must_use]
    pub const fn unusable(&self, error: IndexError) -> DeadEnd {
        DeadEnd::Unusable { nested: self.is_nested(), error }
    }

    /// Goes into the index that the walk stands before. Only the first one may be served whole.
    #[must_use]
    pub fn enter(mut self, index: &Index, machine: &MachineType, on_no_match: OnNoMatch) -> Turn {
        let (entry, reason) = match select(index, machine) {
            Selection::Selected { entry, reason } => (entry, reason),
            Selection::NotAnImageIndex if self.is_nested() => return Turn::DeadEnd(DeadEnd::NotAnImageIndex),
            Selection::NotAnImageIndex => return Turn::Whole("not an image index"),
            Selection::NoMatch(_) if !self.is_nested() && on_no_match == OnNoMatch::Unfiltered => {
                return Turn::Whole("nothing fits, on_no_match is unfiltered");
            }
            Selection::NoMatch(summary) => return Turn::DeadEnd(DeadEnd::NothingFits(summary)),
        };
        let (descriptor, nested) = (entry.descriptor(), entry.is_nested_index());
        if descriptor.size > MAX_BYTES as u64 {
            return Turn::DeadEnd(DeadEnd::TooLarge);
        }
        self.above += 1;
        if nested && self.above >= MAX_LEVELS {
            return Turn::DeadEnd(DeadEnd::TooDeep);
        }
        self.note_missing(index, machine);
        if reason.criterion == Criterion::In32Bit {
            self.missing.push(format!("architecture {}", machine.architecture()));
        }
        self.indistinguishable += reason.indistinguishable;
        if nested {
            return Turn::Nested(descriptor, self);
        }
        let Self { missing, indistinguishable, .. } = self;
        Turn::Image { descriptor, reason, missing, indistinguishable }
    }

    /// The features for which this index has no variant.
    fn note_missing(&mut self, index: &Index, machine: &MachineType) {
        let missing = missing_variants(index, machine).into_iter().filter(|missing| missing.falls_back);
        for feature in missing.flat_map(|missing| missing.features) {
            if !self.missing.contains(&feature) {
                self.missing.push(feature);
            }
        }
    }
}
