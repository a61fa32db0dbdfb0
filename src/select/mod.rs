//! Which entry of an index a machine gets.
//!
//! An entry is *eligible* when the machine meets all of its requirements. Among the eligible the first of these that
//! makes a difference decides:
//!
//! 1. an entry with a platform before a nested index without one;
//! 2. the machine type's `prefer`, key by key: naming the key before not naming it, then the nearer match;
//! 3. the more different keys the entry asks for (`cpu` and variant are one key);
//! 4. nearness, over the machine's keys in the order of its configuration, `cpu` last if it is only implied;
//! 5. an entry made for the machine's operating system version before one made for any;
//! 6. the order of the list, as the OCI specification has it.
//!
//! This order is total, so the result depends on nothing but the two inputs, and an entry that is not eligible can
//! never influence it.

use std::cmp::Ordering;

use crate::hardware::feature::Nearness;
use crate::machine_type::MachineType;
use crate::oci::index::{Entry, Index};

mod evaluation;
mod explain;
pub mod explanation;
mod resolver;

use evaluation::Evaluation;

pub use explain::{Criterion, MissingVariant, Offer, Reason, Unmet, missing_variants, unmet};
pub use resolver::{DeadEnd, MAX_LEVELS, OnNoMatch, Turn, Walk};

/// What an index comes to for a machine type.
#[derive(Clone, Debug)]
pub enum Selection<'a> {
    /// This entry; when it is a nested index, selection goes on in there.
    Selected {
        /// What to serve.
        entry: Entry<'a>,
        /// Why this one.
        reason: Reason,
    },
    /// Not an index of images for machines: to be passed through unchanged.
    NotAnImageIndex,
    /// No entry is eligible.
    NoMatch(Offer),
}

/// Selects the entry of `index` for `machine`.
#[must_use]
pub fn select<'a>(index: &'a Index, machine: &MachineType) -> Selection<'a> {
    if !index.is_image_index() {
        return Selection::NotAnImageIndex;
    }
    let evaluation = Evaluation::new(index, machine);
    let (mut best, mut second): (Option<Candidate<'a>>, Option<Candidate<'a>>) = (None, None);
    // The memory of the candidate that lost last, for the next.
    let mut spare = Vec::new();
    let mut eligible = 0;
    for entry in index.entries().filter(|entry| evaluation.fits(entry)) {
        eligible += 1;
        let candidate = Candidate::new(entry, &evaluation, spare);
        let wins = |over: &Option<Candidate<'_>>| {
            over.as_ref().is_none_or(|over| candidate.compare(over, machine).0 == Ordering::Less)
        };
        let loser = if wins(&best) {
            let beaten = best.replace(candidate);
            std::mem::replace(&mut second, beaten)
        } else if wins(&second) {
            second.replace(candidate)
        } else {
            Some(candidate)
        };
        spare = loser.map(|loser| loser.nearness).unwrap_or_default();
    }
    match best {
        None => Selection::NoMatch(Offer::of(index)),
        Some(best) => {
            let criterion =
                second.map_or(Criterion::Only, |second| best.compare(&second, machine).1.into_criterion(machine));
            let reason = Reason::new(&best.entry, criterion, eligible, index);
            Selection::Selected { entry: best.entry, reason }
        }
    }
}

/// All eligible entries, the selected one first; empty also for an index that is not one of images. For a nested
/// index in which nothing fits, the next of these is the next best.
#[must_use]
pub fn rank<'a>(index: &'a Index, machine: &MachineType) -> Vec<Entry<'a>> {
    if !index.is_image_index() {
        return Vec::new();
    }
    let evaluation = Evaluation::new(index, machine);
    let eligible = index.entries().filter(|entry| evaluation.fits(entry));
    let mut ranked: Vec<Candidate<'a>> = eligible.map(|entry| Candidate::new(entry, &evaluation, Vec::new())).collect();
    ranked.sort_by(|a, b| a.compare(b, machine).0);
    ranked.into_iter().map(|candidate| candidate.entry).collect()
}

/// An eligible entry with all that ranking needs.
struct Candidate<'a> {
    entry: Entry<'a>,
    /// The nearest match of each key, at the key's place in [`MachineType::order`]; `None` where it asks for nothing.
    /// `cpu` is among them even if only the architecture asks for it.
    nearness: Vec<Option<Nearness>>,
    names_os_version: bool,
}

impl<'a> Candidate<'a> {
    /// An entry that fits; `memory` is used again.
    fn new(entry: Entry<'a>, evaluation: &Evaluation, mut memory: Vec<Option<Nearness>>) -> Self {
        evaluation.nearness(&entry, &mut memory);
        Self { entry, nearness: memory, names_os_version: evaluation.names_os_version(&entry) }
    }

    /// `Less` when this one goes before `other`, and what decides between them.
    fn compare(&self, other: &Self, machine: &MachineType) -> (Ordering, Decision) {
        let without_platform = |candidate: &Self| candidate.entry.platform().is_none();
        let platform = without_platform(self).cmp(&without_platform(other));
        if platform.is_ne() {
            return (platform, Decision::Platform);
        }
        for place in machine.prefer() {
            let names = other.names(*place, machine).cmp(&self.names(*place, machine));
            let order = names.then_with(|| other.nearness_at(*place).cmp(&self.nearness_at(*place)));
            if order.is_ne() {
                return (order, Decision::Preferred(*place));
            }
        }
        let keys = other.entry.distinct_keys().cmp(&self.entry.distinct_keys());
        if keys.is_ne() {
            return (keys, Decision::MostKeys);
        }
        if let Some((place, order)) = self.nearer(other) {
            return (order, Decision::Nearest(place));
        }
        let version = other.names_os_version.cmp(&self.names_os_version);
        if version.is_ne() {
            return (version, Decision::OsVersion);
        }
        (self.entry.position().cmp(&other.entry.position()), Decision::ListOrder)
    }

    /// The first place, in the machine's order of keys, at which the two differ: one names the key and the other does
    /// not, or one is nearer.
    fn nearer(&self, other: &Self) -> Option<(usize, Ordering)> {
        let pairs = self.nearness.iter().zip(&other.nearness).enumerate();
        // Nothing is less than something.
        pairs.map(|(place, (own, others))| (place, others.cmp(own))).find(|(_, order)| order.is_ne())
    }

    fn names(&self, place: usize, machine: &MachineType) -> bool {
        if place == machine.cpu_place() { self.entry.names_cpu() } else { self.nearness_at(place).is_some() }
    }

    fn nearness_at(&self, place: usize) -> Option<Nearness> {
        *self.nearness.get(place)?
    }
}

/// A [`Criterion`] with places instead of names: comparing must not cost memory.
enum Decision {
    Platform,
    Preferred(usize),
    MostKeys,
    Nearest(usize),
    OsVersion,
    ListOrder,
}

impl Decision {
    fn into_criterion(self, machine: &MachineType) -> Criterion {
        match self {
            Self::Platform => Criterion::Platform,
            Self::Preferred(place) => Criterion::Preferred(machine.key_at(place).to_owned()),
            Self::MostKeys => Criterion::MostKeys,
            Self::Nearest(place) => Criterion::Nearest(machine.key_at(place).to_owned()),
            Self::OsVersion => Criterion::OsVersion,
            Self::ListOrder => Criterion::ListOrder,
        }
    }
}
