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

use crate::feature::{CPU, Match, Nearness};
use crate::index::{Entry, Index, Requirement};
use crate::machine_type::MachineType;

mod explain;

pub use explain::{Criterion, MissingVariant, Offer, Reason, Unmet, missing_variants, unmet};

/// Indexes that are followed below each other, the first included.
pub const MAX_LEVELS: u32 = 3;

/// What an index comes to for a machine type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection<'a> {
    /// This entry; when it is a nested index, selection goes on in there.
    Selected {
        /// What to serve.
        entry: &'a Entry,
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
    let mut best: Option<Candidate<'a>> = None;
    let mut second: Option<Candidate<'a>> = None;
    let mut eligible = 0;
    for candidate in candidates(index, machine) {
        eligible += 1;
        let wins = |over: &Option<Candidate<'_>>| {
            over.as_ref().is_none_or(|over| candidate.compare(over, machine).0 == Ordering::Less)
        };
        if wins(&best) {
            second = best.replace(candidate);
        } else if wins(&second) {
            second = Some(candidate);
        }
    }
    match best {
        None => Selection::NoMatch(Offer::of(index)),
        Some(best) => {
            let criterion =
                second.map_or(Criterion::Only, |second| best.compare(&second, machine).1.into_criterion(machine));
            let reason = Reason::new(best.entry, criterion, eligible, index);
            Selection::Selected { entry: best.entry, reason }
        }
    }
}

/// All eligible entries, the selected one first; empty also for an index that is not one of images. For a nested
/// index in which nothing fits, the next of these is the next best.
#[must_use]
pub fn rank<'a>(index: &'a Index, machine: &MachineType) -> Vec<&'a Entry> {
    if !index.is_image_index() {
        return Vec::new();
    }
    let mut ranked: Vec<Candidate<'a>> = candidates(index, machine).collect();
    ranked.sort_by(|a, b| a.compare(b, machine).0);
    ranked.into_iter().map(|candidate| candidate.entry).collect()
}

fn candidates<'a>(index: &'a Index, machine: &MachineType) -> impl Iterator<Item = Candidate<'a>> {
    index.entries().iter().filter_map(move |entry| Candidate::new(entry, machine))
}

/// An eligible entry with all that ranking needs.
struct Candidate<'a> {
    entry: &'a Entry,
    /// The nearest match of each key it asks for, with the key's place in [`MachineType::order`], by which it is
    /// sorted. `cpu` is among them even if only the architecture asks for it.
    nearness: Vec<(usize, Nearness)>,
    names_os_version: bool,
}

impl<'a> Candidate<'a> {
    /// `None` unless the machine meets every requirement.
    fn new(entry: &'a Entry, machine: &MachineType) -> Option<Self> {
        if entry.exclusion().is_some() {
            return None;
        }
        let mut candidate = Self { entry, nearness: Vec::new(), names_os_version: false };
        for requirement in entry.platform_requirements() {
            let Match { nearness, .. } = machine.meets(&requirement)?;
            match requirement {
                Requirement::Cpu(_) => candidate.add(machine.cpu_place(), nearness),
                Requirement::OsVersion(_) => candidate.names_os_version = true,
                Requirement::Os(_) | Requirement::Architecture(_) | Requirement::Feature(_) => {}
            }
        }
        // Both sides are sorted by key.
        let mut offers = machine.offers().iter().peekable();
        for feature in entry.features().iter().filter(|feature| feature.key() != CPU) {
            while offers.next_if(|offer| offer.key.as_str() < feature.key()).is_some() {}
            let offer = offers.peek().filter(|offer| offer.key == feature.key())?;
            candidate.add(offer.place, offer.values.satisfies(feature.value())?.nearness);
        }
        candidate.nearness.sort_unstable_by_key(|(place, _)| *place);
        Some(candidate)
    }

    /// Requirements of one key follow each other; the nearest of them counts.
    fn add(&mut self, place: usize, nearness: Nearness) {
        match self.nearness.last_mut() {
            Some((last, known)) if *last == place => *known = (*known).max(nearness),
            Some(_) => self.nearness.push((place, nearness)),
            None => {
                self.nearness.reserve_exact(self.entry.distinct_keys() + 1);
                self.nearness.push((place, nearness));
            }
        }
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
        let mut pairs = self.nearness.iter().zip(&other.nearness);
        let (own, others) = match pairs.find(|(own, others)| own != others) {
            Some((own, others)) => (Some(own), Some(others)),
            None => (self.nearness.get(other.nearness.len()), other.nearness.get(self.nearness.len())),
        };
        match (own, others) {
            (Some((own, nearness)), Some((others, other_nearness))) => {
                // At the earlier place only one of them names the key.
                let order = own.cmp(others).then_with(|| other_nearness.cmp(nearness));
                Some((*own.min(others), order))
            }
            (Some((place, _)), None) => Some((*place, Ordering::Less)),
            (None, Some((place, _))) => Some((*place, Ordering::Greater)),
            (None, None) => None,
        }
    }

    fn names(&self, place: usize, machine: &MachineType) -> bool {
        if place == machine.cpu_place() { self.entry.names_cpu() } else { self.nearness_at(place).is_some() }
    }

    fn nearness_at(&self, place: usize) -> Option<Nearness> {
        self.nearness.iter().find(|(known, _)| *known == place).map(|(_, nearness)| *nearness)
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
