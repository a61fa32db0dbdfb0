//! Which of two eligible entries goes before the other.

use std::cmp::Ordering;

use super::eligibility::Eligibility;
use super::reason::Criterion;
use crate::hardware::feature::Nearness;
use crate::machine_type::MachineType;
use crate::oci::index::Entry;

/// An eligible entry with all that ranking needs.
pub(super) struct Candidate<'a, 'e> {
    pub(super) entry: Entry<'a>,
    /// The nearest match of each key, at the key's place in [`MachineType::order`]; `None` where it asks for nothing.
    /// `cpu` is among them even if only the architecture asks for it.
    pub(super) nearness: Vec<Option<&'e Nearness>>,
    /// How many keys it is made for.
    keys: usize,
    names_os_version: bool,
    /// It is a 32-bit image for a 64-bit machine.
    pub(super) in_32_bit: bool,
}

impl<'a, 'e> Candidate<'a, 'e> {
    /// An entry that fits; `memory` is used again.
    pub(super) fn new(entry: Entry<'a>, eligibility: &'e Eligibility, mut memory: Vec<Option<&'e Nearness>>) -> Self {
        eligibility.nearness(&entry, &mut memory);
        let keys = eligibility.keys(&entry, &memory);
        let (names_os_version, in_32_bit) = (eligibility.names_os_version(&entry), eligibility.is_32_bit(&entry));
        Self { entry, nearness: memory, keys, names_os_version, in_32_bit }
    }

    /// `Less` when this one goes before `other`, and what decides between them.
    pub(super) fn compare(&self, other: &Self, machine: &MachineType) -> (Ordering, CriterionAt) {
        let native = self.in_32_bit.cmp(&other.in_32_bit);
        if native.is_ne() {
            return (native, CriterionAt::Native);
        }
        let says_nothing = self.says_nothing().cmp(&other.says_nothing());
        if says_nothing.is_ne() {
            let winner = if says_nothing.is_lt() { self } else { other };
            return (says_nothing, CriterionAt::says_something(winner));
        }
        for place in machine.prefer() {
            let names = other.names(*place, machine).cmp(&self.names(*place, machine));
            let order = names.then_with(|| other.nearness_at(*place).cmp(&self.nearness_at(*place)));
            if order.is_ne() {
                return (order, CriterionAt::Preferred(*place));
            }
        }
        let keys = other.keys.cmp(&self.keys);
        if keys.is_ne() {
            return (keys, CriterionAt::MostKeys);
        }
        if let Some((place, order)) = self.nearer(other) {
            return (order, CriterionAt::Nearest(place));
        }
        let version = other.names_os_version.cmp(&self.names_os_version);
        if version.is_ne() {
            return (version, CriterionAt::OsVersion);
        }
        let zstd = self.entry.is_zstd().cmp(&other.entry.is_zstd());
        if zstd.is_ne() {
            let takes_zstd = machine.takes_zstd();
            return (if takes_zstd { zstd.reverse() } else { zstd }, CriterionAt::Zstd(takes_zstd));
        }
        (self.entry.position().cmp(&other.entry.position()), CriterionAt::ListOrder)
    }

    /// A nested index with neither platform nor features.
    fn says_nothing(&self) -> bool {
        self.entry.platform().is_none() && self.entry.feature_numbers().is_empty()
    }

    /// Whether it is another image than `other`, from which only list order tells it apart. A nested index without a
    /// platform says nothing of what it is.
    fn differs(&self, other: &Self) -> bool {
        self.entry.platform().is_some() && self.entry.digest() != other.entry.digest()
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

    fn nearness_at(&self, place: usize) -> Option<&'e Nearness> {
        let nearness = self.nearness.get(place);
        debug_assert!(nearness.is_some(), "there is no key at place {place}");
        *nearness?
    }
}

/// The eligible entries so far, as far as the best of them and the reason for it need them.
#[derive(Default)]
pub(super) struct Contest<'a, 'e> {
    pub(super) best: Option<Candidate<'a, 'e>>,
    pub(super) second: Option<Candidate<'a, 'e>>,
    /// How many there were.
    pub(super) eligible: usize,
    /// See [`Reason::indistinguishable`](super::Reason::indistinguishable).
    pub(super) indistinguishable: usize,
}

impl<'a, 'e> Contest<'a, 'e> {
    /// Takes up the next one in the order of the list; returns the one that neither wins nor comes second.
    pub(super) fn enter(&mut self, candidate: Candidate<'a, 'e>, machine: &MachineType) -> Option<Candidate<'a, 'e>> {
        self.eligible += 1;
        let against_best = self.best.as_ref().map(|best| candidate.compare(best, machine));
        match against_best {
            None | Some((Ordering::Less, _)) => {
                self.indistinguishable = 0;
                let beaten = self.best.replace(candidate);
                return std::mem::replace(&mut self.second, beaten);
            }
            Some((_, CriterionAt::ListOrder)) => {
                self.indistinguishable += usize::from(self.best.as_ref().is_some_and(|best| candidate.differs(best)));
            }
            Some(_) => {}
        }
        match &self.second {
            Some(second) if candidate.compare(second, machine).0.is_gt() => Some(candidate),
            _ => self.second.replace(candidate),
        }
    }
}

/// A [`Criterion`] with places instead of names: comparing must not cost memory.
pub(super) enum CriterionAt {
    Native,
    Platform,
    Features,
    Preferred(usize),
    MostKeys,
    Nearest(usize),
    OsVersion,
    /// Whether the machine takes the one with zstd layers.
    Zstd(bool),
    ListOrder,
}

impl CriterionAt {
    /// The thing that `winner` has, and a nested index that says nothing has not.
    fn says_something(winner: &Candidate<'_, '_>) -> Self {
        if winner.entry.platform().is_some() { Self::Platform } else { Self::Features }
    }

    pub(super) fn into_criterion(self, machine: &MachineType) -> Criterion {
        match self {
            Self::Native => Criterion::Native,
            Self::Platform => Criterion::Platform,
            Self::Features => Criterion::Features,
            Self::Preferred(place) => Criterion::Preferred(machine.key_at(place).to_owned()),
            Self::MostKeys => Criterion::MostKeys,
            Self::Nearest(place) => Criterion::Nearest(machine.key_at(place).to_owned()),
            Self::OsVersion => Criterion::OsVersion,
            Self::Zstd(takes_zstd) => Criterion::Zstd(takes_zstd),
            Self::ListOrder => Criterion::ListOrder,
        }
    }
}
