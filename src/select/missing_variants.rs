//! Variants of an image that would be worth building for a machine.

use super::eligibility::{Eligibility, Met};
use crate::hardware::feature::ZSTD;
use crate::machine_type::{Key, MachineType};
use crate::oci::index::Index;

/// A key in which every image that fits a machine asks for less than the machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingVariant {
    /// The key, such as `cpu`.
    pub key: String,
    /// The machine's features that no image asks for: `cpu:icelake`.
    pub features: Vec<String>,
    /// Whether some image that fits asks for a value of the key, only for less: then the image is made in variants of
    /// this key, and the machine's is one of those worth building. A bare key or a flag of `isa` is no variant.
    pub falls_back: bool,
}

/// The keys of `machine`, bounds apart, that no eligible entry of `index` asks for to the full: variants worth
/// building. Empty when nothing is eligible.
#[must_use]
pub fn missing_variants(index: &Index, machine: &MachineType) -> Vec<MissingVariant> {
    if !index.is_image_index() {
        return Vec::new();
    }
    let eligibility = Eligibility::new(index, machine);
    let mut eligible = false;
    // By the place of the key: whether some entry names it, and whether one asks for it to the full.
    let mut asked = vec![(false, false); machine.order().len()];
    for entry in index.entries().filter(|entry| eligibility.fits(entry)) {
        eligible = true;
        for Met { place, found, specific } in eligibility.matches(&entry) {
            let asked = asked.get_mut(*place);
            debug_assert!(asked.is_some(), "there is no key at place {place}");
            if let Some((named, full)) = asked {
                *named |= specific;
                *full |= found.exact;
            }
        }
    }
    if !eligible {
        return Vec::new();
    }
    let describe = |(key, (named, _)): (&Key, (bool, bool))| MissingVariant {
        key: machine.key_name(*key).to_owned(),
        features: machine.offered_words(*key),
        falls_back: named,
    };
    // An image that is made for a newer driver is not a better one.
    for place in machine.bounds() {
        if let Some((_, full)) = asked.get_mut(place) {
            *full = true;
        }
    }
    let missing = machine.order().iter().zip(asked).filter(|(_, (_, full))| !full).map(describe);
    // The flag chooses between images that are alike otherwise.
    missing.filter(|missing| !missing.features.is_empty() && missing.features != [ZSTD]).collect()
}
