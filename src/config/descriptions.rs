//! `described_machine_types`: clients may describe their machines instead of naming a type.

use std::sync::Arc;

use super::machine_types::MachineTypes;
use crate::hardware::feature::FeatureRules;
use crate::machine_type::described::{InvalidDescription, Notation};
use crate::machine_type::{Fingerprint, MachineType, Source};

/// The reader of descriptions.
#[derive(Debug)]
pub(crate) struct Descriptions {
    rules: FeatureRules,
    /// The fingerprint of each configured machine type, whatever the order of its keys, in the order of their names.
    offered: Vec<Fingerprint>,
}

impl Descriptions {
    pub(super) fn new(machine_types: &MachineTypes, rules: &FeatureRules) -> Self {
        let offered =
            |machine_type: &Arc<MachineType>| MachineType::clone(machine_type).in_canonical_order().fingerprint();
        Self { rules: rules.clone(), offered: machine_types.values().map(offered).collect() }
    }

    /// The machine that a text describes: the configured machine type that offers the same, if there is one; of several
    /// the one that is what it would be without its name, or else the first by name.
    pub(super) fn read(
        &self,
        machine_types: &MachineTypes,
        text: &str,
        notation: Notation,
    ) -> Result<Arc<MachineType>, InvalidDescription> {
        let machine = MachineType::described(text, notation, &self.rules)?;
        let own = machine.fingerprint();
        let alike = || machine_types.values().zip(&self.offered).filter(|(_, offered)| **offered == own);
        // Several may offer the same and differ in the order of their keys, or in `prefer`.
        let same = alike().find(|(configured, _)| configured.fingerprint() == own);
        let configured = same.or_else(|| alike().next()).map(|(configured, _)| configured.as_described());
        Ok(Arc::new(configured.unwrap_or(machine)))
    }
}

/// The notation in which a place describes a machine, if it can.
pub(super) const fn notation(source: Source) -> Option<Notation> {
    match source {
        Source::Header | Source::Login => Some(Notation::Plain),
        Source::Path => Some(Notation::Path),
        Source::Host | Source::Account | Source::Address | Source::Anonymous | Source::Default => None,
    }
}
