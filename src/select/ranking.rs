//! Which of two eligible entries goes before the other.

use std::cmp::Ordering;

use super::eligibility::Eligibility;
use super::reason::Criterion;
use crate::hardware::feature::Nearness;
use crate::machine_type::MachineType;
use crate::oci::index::Entry;

/// An eligible entry with all that ranking needs.
pub(super) struct Candidate<'a> {
    pub(super) entry: Entry<'a>,
    /// The nearest match of each key, at the key's place in [`MachineType::order`]; `None` where it asks for nothing.
    /// `cpu` is among them even if only the architecture asks for it.
    pub(super) nearness: Vec<Option<Nearness>>,
    names_os_version: bool,
}

impl<'a> Candidate<'a> {
    /// An entry that fits; `memory` is used again.
    pub(super) fn new(entry: Entry<'a>, eligibility: &Eligibility, mut memory: Vec<Option<Nearness>>) -> Self {
        eligibility.nearness(&entry, &mut memory);
        Self { entry, nearness: memory, names_os_version: eligibility.names_os_version(&entry) }
    }

    /// `Less` when this one goes before `other`, and what decides between them.
    pub(super) fn compare(&self, other: &Self, machine: &MachineType) -> (Ordering, CriterionAt) {
        let without_platform = |candidate: &Self| candidate.entry.platform().is_none();
        let platform = without_platform(self).cmp(&without_platform(other));
        if platform.is_ne() {
            return (platform, CriterionAt::Platform);
        }
        for place in machine.prefer() {
            let names = other.names(*place, machine).cmp(&self.names(*place, machine));
            let order = names.then_with(|| other.nearness_at(*place).cmp(&self.nearness_at(*place)));
            if order.is_ne() {
                return (order, CriterionAt::Preferred(*place));
            }
        }
        let keys = other.entry.distinct_keys().cmp(&self.entry.distinct_keys());
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
        (self.entry.position().cmp(&other.entry.position()), CriterionAt::ListOrder)
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
        let nearness = self.nearness.get(place);
        debug_assert!(nearness.is_some(), "there is no key at place {place}");
        *nearness?
    }
}

/// A [`Criterion`] with places instead of names: comparing must not cost memory.
pub(super) enum CriterionAt {
    Platform,
    Preferred(usize),
    MostKeys,
    Nearest(usize),
    OsVersion,
    ListOrder,
}

impl CriterionAt {
    pub(super) fn into_criterion(self, machine: &MachineType) -> Criterion {
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
