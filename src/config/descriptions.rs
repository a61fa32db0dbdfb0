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

    /// The machine that a text describes: the configured machine type that offers the same, if there is one.
    pub(super) fn read(
        &self,
        machine_types: &MachineTypes,
        text: &str,
        notation: Notation,
    ) -> Result<Arc<MachineType>, InvalidDescription> {
        let machine = MachineType::described(text, notation, &self.rules)?;
        let place = self.offered.iter().position(|offered| *offered == machine.fingerprint());
        let configured = place.and_then(|place| machine_types.values().nth(place));
        Ok(Arc::new(configured.map_or(machine, |configured| configured.as_described())))
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
