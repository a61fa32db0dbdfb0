//! The page of an answer: machine types in the order of their names, as many as the walks can tell of.

use std::sync::Arc;

use super::walks::{EntryVerdict, Walks};
use crate::machine_type::MachineType;
use crate::machine_type::listing::MAX_PAGE;

/// One page of an explanation.
pub(super) struct Page<'e> {
    pub(super) outcomes: Vec<MachineOutcome<'e>>,
    /// The name after which the next page begins; `None` on the last one.
    pub(super) next_after: Option<&'e str>,
}

/// The outcome for machine types that are alike.
pub(super) struct MachineOutcome<'e> {
    pub(super) machine_types: Vec<&'e MachineType>,
    pub(super) verdict: &'e EntryVerdict,
}

impl<'e> Page<'e> {
    /// The first ones of `machine_types`, `limit` at most, up to the first of which `walks` cannot tell.
    pub(super) fn of(machine_types: &'e [Arc<MachineType>], walks: &'e Walks, limit: usize) -> Self {
        let mut outcomes: Vec<MachineOutcome<'e>> = Vec::with_capacity(walks.groups());
        let mut last = None;
        let mut told = 0;
        for machine_type in machine_types.iter().take(MAX_PAGE.min(limit)) {
            let Some((number, verdict)) = walks.verdict(machine_type) else { break };
            debug_assert!(number <= outcomes.len(), "groups are numbered in the order of their first machine types");
            match outcomes.get_mut(number) {
                Some(alike) => alike.machine_types.push(machine_type),
                None => outcomes.push(MachineOutcome { machine_types: vec![machine_type], verdict }),
            }
            told += 1;
            last = Some(machine_type.name());
        }
        Self { outcomes, next_after: last.filter(|_| told < machine_types.len()) }
    }
}
