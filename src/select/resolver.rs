//! The walk from what a tag points to, through the indexes nested in it, to the image that a machine gets. Pulls and
//! `explain` share it, so that `explain` tells what a pull returns.
//!
//! It does no I/O. The caller brings the index that a walk asks for and gets the next [`Turn`]. Entries that fit wait
//! on a small stack, the best on top: if nothing fits in a nested index, the walk takes the next of them. Only that
//! makes it go on. An index that is broken or out of reach ends it, because a lesser image must not come in the place
//! of one that is there.

use std::fmt;
use std::rc::Rc;

use super::reason::matched_words;
use super::{Criterion, IndexSummary, Reason, Selection, missing_variants, ranked, select};
use crate::machine_type::MachineType;
use crate::oci::index::{Descriptor, Entry, Index, IndexError, Inherited, MAX_BYTES};

/// The most indexes that are followed below each other, the first included.
pub const MAX_LEVELS: u32 = 3;

/// The most documents of one walk: the indexes that it comes to, and the image.
pub const MAX_DOCUMENTS: u32 = 16;
/// Why an index is served whole of which nothing fits.
pub const NOTHING_FITS_UNFILTERED: &str = "nothing fits, on_no_match is unfiltered";

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
    /// How many indexes it has come to, the one before which it stands included.
    indexes: u32,
    /// The way to the index before which it stands.
    way: Way,
    /// Entries that fit, the best first; those before `taken` are behind.
    stack: Rc<[Choice]>,
    taken: usize,
    /// The offer of the first index in which nothing fitted.
    offer: Option<IndexSummary>,
}

/// The way to an index or image.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    /// How many indexes lead there.
    above: u32,
    missing: Vec<String>,
    indistinguishable: usize,
    /// The platform that entries without one have of the entry that leads there.
    inherited: Option<Inherited>,
}

/// An entry that a walk may take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Choice {
    descriptor: Descriptor,
    is_index: bool,
    /// It is a 32-bit image for a 64-bit machine, or an index of such.
    in_32_bit: bool,
    reason: Reason,
    way: Way,
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
    /// No entry of an index fits: of the first such index, if there are several.
    NothingFits(IndexSummary),
    /// More than [`MAX_LEVELS`] indexes below each other.
    TooDeep,
    /// More than [`MAX_DOCUMENTS`].
    TooManyIndexes,
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
            Self::TooManyIndexes => {
                write!(f, "nothing fits in {} indexes, and no more are looked into", MAX_DOCUMENTS - 1)
            }
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
    pub fn begin() -> Self {
        Self { indexes: 1, way: Way::default(), stack: Rc::from([]), taken: 0, offer: None }
    }

    /// Whether the walk stands before an index that is in another one.
    #[must_use]
    pub const fn is_nested(&self) -> bool {
        self.way.above > 0
    }

    /// The end of a walk before an index that cannot be read.
    #[must_use]
    pub const fn unusable(&self, error: IndexError) -> DeadEnd {
        DeadEnd::Unusable { nested: self.is_nested(), error }
    }

    /// Goes into the index that the walk stands before. Only the first one may be served whole.
    #[must_use]
    pub fn enter(mut self, index: &Index, machine: &MachineType, on_no_match: OnNoMatch) -> Turn {
        let completed = match self.way.inherited.as_ref().map(|inherited| index.inheriting(inherited)) {
            None | Some(Ok(None)) => None,
            Some(Ok(Some(completed))) => Some(completed),
            Some(Err(error)) => return Turn::DeadEnd(self.unusable(error)),
        };
        let index = completed.as_ref().unwrap_or(index);
        match select(index, machine) {
            Selection::Selected { entry, reason } => self.push(index, machine, &entry, reason),
            Selection::NotAnImageIndex if self.is_nested() => return Turn::DeadEnd(DeadEnd::NotAnImageIndex),
            Selection::NotAnImageIndex => return Turn::Whole("not an image index"),
            Selection::NoMatch(_) if !self.is_nested() && on_no_match == OnNoMatch::Unfiltered => {
                return Turn::Whole(NOTHING_FITS_UNFILTERED);
            }
            Selection::NoMatch(summary) => {
                self.offer.get_or_insert(summary);
            }
        }
        self.take(index)
    }

    /// Puts the entries of an index that fit on the stack: the selected one, and those that follow if nothing fits in
    /// it. An image ends the walk, so that none after it is ever taken.
    fn push(&mut self, index: &Index, machine: &MachineType, selected: &Entry<'_>, reason: Reason) {
        let mut choices = Vec::new();
        if selected.is_nested_index() {
            let most = MAX_DOCUMENTS as usize;
            for (entry, in_32_bit) in ranked(index, machine).into_iter().skip(1).take(most) {
                let criterion = if in_32_bit { Criterion::In32Bit } else { Criterion::NextBest };
                let (words, matched) = matched_words(&entry, machine);
                let next = Reason { entry: words, matched, criterion, indistinguishable: 0, ..reason.clone() };
                choices.push((entry, next));
                if !entry.is_nested_index() {
                    break;
                }
            }
        }
        let way = self.way.through(index, machine);
        let choices = std::iter::once((*selected, reason)).chain(choices);
        let choices = choices.map(|(entry, reason)| Choice::new(&entry, reason, &way, machine));
        let waiting = self.stack.get(self.taken..).unwrap_or_default().iter().cloned();
        // A machine gets a 32-bit image only if nothing on the whole walk is for its own architecture.
        let (in_32_bit, mut stack): (Vec<Choice>, Vec<Choice>) =
            choices.chain(waiting).partition(|choice| choice.in_32_bit);
        stack.extend(in_32_bit);
        // A walk never comes to more.
        stack.truncate(MAX_DOCUMENTS as usize);
        (self.stack, self.taken) = (stack.into(), 0);
    }

    /// Takes the best of the entries on the stack; `index` is where the walk has come to.
    fn take(mut self, index: &Index) -> Turn {
        let Some(Choice { descriptor, is_index, reason, way, .. }) = self.stack.get(self.taken).cloned() else {
            return Turn::DeadEnd(DeadEnd::NothingFits(self.offer.unwrap_or_else(|| IndexSummary::of(index))));
        };
        self.taken += 1;
        if descriptor.size > MAX_BYTES as u64 {
            return Turn::DeadEnd(DeadEnd::TooLarge);
        }
        if !is_index {
            let Way { missing, indistinguishable, .. } = way;
            return Turn::Image { descriptor, reason, missing, indistinguishable };
        }
        if way.above >= MAX_LEVELS {
            return Turn::DeadEnd(DeadEnd::TooDeep);
        }
        // The last document is the image.
        if self.indexes + 1 >= MAX_DOCUMENTS {
            return Turn::DeadEnd(DeadEnd::TooManyIndexes);
        }
        self.indexes += 1;
        self.way = way;
        Turn::Nested(descriptor, self)
    }
}

impl Way {
    /// The way through an index, to what its entries lead to.
    fn through(&self, index: &Index, machine: &MachineType) -> Self {
        let mut missing = self.missing.clone();
        let lesser = missing_variants(index, machine).into_iter().filter(|missing| missing.falls_back);
        for feature in lesser.flat_map(|missing| missing.features) {
            if !missing.contains(&feature) {
                missing.push(feature);
            }
        }
        Self { above: self.above + 1, missing, indistinguishable: self.indistinguishable, inherited: None }
    }
}

impl Choice {
    /// An entry of the index that `way` leads through.
    fn new(entry: &Entry<'_>, reason: Reason, way: &Way, machine: &MachineType) -> Self {
        let (in_32_bit, is_index) = (reason.criterion == Criterion::In32Bit, entry.is_nested_index());
        let mut way = way.clone();
        way.indistinguishable += reason.indistinguishable;
        way.inherited = entry.inheritance().filter(|_| is_index);
        let native = format!("architecture {}", machine.architecture());
        if in_32_bit && !way.missing.contains(&native) {
            way.missing.push(native);
        }
        Self { descriptor: entry.descriptor(), is_index, in_32_bit, reason, way }
    }
}
