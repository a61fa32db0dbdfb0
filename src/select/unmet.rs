//! The requirements that keep a machine from running an image.

use std::fmt;

use crate::machine_type::MachineType;
use crate::oci::index::{Entry, Requirement};
use crate::text::printable::printable;

/// A requirement that a machine does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The requirement of the entry, printable: `cpu:icelake`, `architecture arm64`.
    pub requirement: String,
    /// The machine's own values of it; empty if it has none.
    pub offered: Vec<String>,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offered = if self.offered.is_empty() { "nothing of it".to_owned() } else { self.offered.join(", ") };
        write!(f, "needs {}, the machine has {}", self.requirement, printable(&offered, 160))
    }
}

/// The requirements that keep `machine` from running `entry`; empty when nothing does. An entry with an
/// [exclusion](Entry::exclusion) is not selected even then.
#[must_use]
pub fn unmet(entry: &Entry<'_>, machine: &MachineType) -> Vec<Unmet> {
    let in_32_bit = if entry.index_may_offer(machine.architecture()) { None } else { machine.in_32_bit() };
    let as_it_runs = in_32_bit.as_ref().unwrap_or(machine);
    let unmet = |requirement: &Requirement<'_>| as_it_runs.meets(requirement).is_none();
    let describe = |requirement: Requirement<'_>| Unmet {
        requirement: requirement.to_string(),
        offered: machine.instead(&requirement),
    };
    entry.requirements().filter(unmet).map(describe).collect()
}
