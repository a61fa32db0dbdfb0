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

use crate::feature::{Match, Nearness};
use crate::index::{Entry, Index, Requirement};
use crate::machine_type::{Key, MachineType};

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
            let criterion = second.map_or(Criterion::Only, |second| best.compare(&second, machine).1);
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
    /// The nearest match of `cpu`; `None` where the platform has no microarchitectures.
    cpu: Option<Nearness>,
    /// The nearest match of each key of [`MachineType::offers`]; shorter when the entry asks for none.
    keys: Vec<Option<Nearness>>,
    names_os_version: bool,
}

impl<'a> Candidate<'a> {
    /// `None` unless the machine meets every requirement.
    fn new(entry: &'a Entry, machine: &MachineType) -> Option<Self> {
        if entry.exclusion().is_some() {
            return None;
        }
        let mut candidate = Self { entry, cpu: None, keys: Vec::new(), names_os_version: false };
        for requirement in entry.requirements() {
            let Match { nearness, .. } = machine.meets(&requirement)?;
            match requirement {
                Requirement::Cpu(_) => candidate.cpu = candidate.cpu.max(Some(nearness)),
                Requirement::OsVersion(_) => candidate.names_os_version = true,
                Requirement::Feature(feature) => {
                    let (position, _) = machine.offer(feature.key())?;
                    if candidate.keys.is_empty() {
                        candidate.keys.resize(machine.offers().len(), None);
                    }
                    let known = candidate.keys.get_mut(position)?;
                    *known = (*known).max(Some(nearness));
                }
                Requirement::Os(_) | Requirement::Architecture(_) => {}
            }
        }
        Some(candidate)
    }

    /// `Less` when this one goes before `other`, and what decides between them.
    fn compare(&self, other: &Self, machine: &MachineType) -> (Ordering, Criterion) {
        let without_platform = |candidate: &Self| candidate.entry.platform().is_none();
        let platform = without_platform(self).cmp(&without_platform(other));
        if platform.is_ne() {
            return (platform, Criterion::Platform);
        }
        for key in machine.prefer() {
            let names = other.names(*key).cmp(&self.names(*key));
            let order = names.then_with(|| other.nearness(*key).cmp(&self.nearness(*key)));
            if order.is_ne() {
                return (order, Criterion::Preferred(machine.key_name(*key).to_owned()));
            }
        }
        let keys = other.entry.distinct_keys().cmp(&self.entry.distinct_keys());
        if keys.is_ne() {
            return (keys, Criterion::MostKeys);
        }
        for key in machine.order() {
            let order = other.nearness(*key).cmp(&self.nearness(*key));
            if order.is_ne() {
                return (order, Criterion::Nearest(machine.key_name(*key).to_owned()));
            }
        }
        let version = other.names_os_version.cmp(&self.names_os_version);
        if version.is_ne() {
            return (version, Criterion::OsVersion);
        }
        (self.entry.position().cmp(&other.entry.position()), Criterion::ListOrder)
    }

    fn names(&self, key: Key) -> bool {
        match key {
            Key::Cpu => self.entry.names_cpu(),
            Key::Offer(_) => self.nearness(key).is_some(),
        }
    }

    fn nearness(&self, key: Key) -> Option<Nearness> {
        match key {
            Key::Cpu => self.cpu,
            Key::Offer(position) => self.keys.get(position).copied().flatten(),
        }
    }
}
