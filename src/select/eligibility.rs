//! The requirements of an index, compared with a machine once: thousands of entries share a few platforms and features.

use crate::hardware::feature::{Match, Nearness};
use crate::machine_type::MachineType;
use crate::oci::index::{Entry, FeatureRow, Index, PlatformRow, Requirement};

/// The platforms and features of one index, as one machine meets them.
pub(super) struct Eligibility {
    /// The platforms, by their numbers; `None` where the machine does not meet one.
    platforms: Vec<Option<MetPlatform>>,
    /// The features, by their numbers, likewise.
    features: Vec<Option<Met>>,
    /// The places of keys that are bounds.
    bounds: Vec<usize>,
    places: usize,
    /// Entries with a platform are 32-bit images for a 64-bit machine.
    in_32_bit: bool,
}

/// A requirement that the machine meets.
pub(super) struct Met {
    /// The place of its key in [`MachineType::order`].
    pub(super) place: usize,
    pub(super) found: Match,
    /// The image is made for a value of the key, and not for every machine of the architecture or with the key.
    pub(super) specific: bool,
}

impl Met {
    fn new(place: usize, found: Match) -> Self {
        Self { place, specific: found.nearness != Nearness::Any, found }
    }
}

/// A platform that the machine meets.
struct MetPlatform {
    cpu: Option<Met>,
    names_os_version: bool,
}

impl Eligibility {
    pub(super) fn new(index: &Index, machine: &MachineType) -> Self {
        let in_32_bit = if index.may_offer(machine.architecture()) { None } else { machine.in_32_bit() };
        let machine = in_32_bit.as_ref().unwrap_or(machine);
        Self {
            platforms: index.platforms().iter().map(|known| platform(known, machine)).collect(),
            features: features(index.features(), machine),
            bounds: machine.bounds().collect(),
            places: machine.order().len(),
            in_32_bit: in_32_bit.is_some(),
        }
    }

    /// Whether an entry that fits is a 32-bit image for a 64-bit machine.
    pub(super) const fn is_32_bit(&self, entry: &Entry<'_>) -> bool {
        self.in_32_bit && entry.platform_number().is_some()
    }

    /// Whether the entry is eligible.
    pub(super) fn fits(&self, entry: &Entry<'_>) -> bool {
        let platform = || entry.platform_number().is_none_or(|number| self.platform(number).is_some());
        let met = |number: &u32| self.feature(*number).is_some();
        entry.exclusion().is_none() && platform() && entry.feature_numbers().iter().all(met)
    }

    /// The nearest match of each key, by its place.
    pub(super) fn nearness<'s>(&'s self, entry: &Entry<'_>, nearness: &mut Vec<Option<&'s Nearness>>) {
        nearness.clear();
        nearness.resize(self.places, None);
        for Met { place, found, .. } in self.matches(entry) {
            let nearest = nearness.get_mut(*place);
            debug_assert!(nearest.is_some(), "there is no key at place {place}");
            if let Some(nearest) = nearest {
                *nearest = (*nearest).max(Some(&found.nearness));
            }
        }
    }

    /// How many keys the entry is made for, of which `nearness` is: bounds are none.
    pub(super) fn keys(&self, entry: &Entry<'_>, nearness: &[Option<&Nearness>]) -> usize {
        let asked = |place: &&usize| nearness.get(**place).is_some_and(Option::is_some);
        entry.distinct_keys().saturating_sub(self.bounds.iter().filter(asked).count())
    }

    /// The requirements of the entry that the machine meets, operating system and architecture apart.
    pub(super) fn matches<'s>(&'s self, entry: &Entry<'_>) -> impl Iterator<Item = &'s Met> {
        let cpu = entry.platform_number().and_then(|number| self.platform(number)?.cpu.as_ref());
        cpu.into_iter().chain(entry.feature_numbers().iter().filter_map(|number| self.feature(*number)))
    }

    /// Whether the entry is made for the machine's operating system version.
    pub(super) fn names_os_version(&self, entry: &Entry<'_>) -> bool {
        let platform = entry.platform_number().and_then(|number| self.platform(number));
        platform.is_some_and(|platform| platform.names_os_version)
    }

    fn platform(&self, number: u32) -> Option<&MetPlatform> {
        let platform = self.platforms.get(number as usize);
        debug_assert!(platform.is_some(), "the index has no platform {number}");
        platform?.as_ref()
    }

    fn feature(&self, number: u32) -> Option<&Met> {
        let feature = self.features.get(number as usize);
        debug_assert!(feature.is_some(), "the index has no feature {number}");
        feature?.as_ref()
    }
}

fn platform(known: &PlatformRow, machine: &MachineType) -> Option<MetPlatform> {
    let mut platform = MetPlatform { cpu: None, names_os_version: false };
    for requirement in known.requirements() {
        let found = machine.meets(&requirement)?;
        match requirement {
            Requirement::Cpu(_) => {
                platform.cpu = Some(Met { specific: known.names_cpu, ..Met::new(machine.cpu_place(), found) });
            }
            Requirement::OsVersion(_) => platform.names_os_version = true,
            Requirement::Os(_) | Requirement::Architecture(_) | Requirement::Feature(_) => {}
        }
    }
    Some(platform)
}

/// The alternatives of a feature are compared here only: once for all entries that ask for it.
fn features(features: &[FeatureRow], machine: &MachineType) -> Vec<Option<Met>> {
    // Both sides are sorted by key.
    let mut offers = machine.offers().iter().peekable();
    let mut met = |known: &FeatureRow| match &known.cpu {
        Some(cpu) => Some(Met::new(machine.cpu_place(), machine.meets(&Requirement::Cpu(cpu))?)),
        None => {
            while offers.next_if(|offer| offer.key.as_str() < known.feature.key()).is_some() {}
            let offer = offers.peek().filter(|offer| offer.key == known.feature.key())?;
            Some(Met::new(offer.place, offer.values.satisfies(&known.feature)?))
        }
    };
    features.iter().map(&mut met).collect()
}
