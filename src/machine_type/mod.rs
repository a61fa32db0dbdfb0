//! Machine types: what a machine offers, resolved once at configuration.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use crate::hardware::feature::{self, FeatureRules, Match, Nearness, Rule};
use crate::hardware::microarchitecture::{self, Microarchitecture};
use crate::oci::digest::hex;
use crate::oci::index::{CpuRequirement, Level, Requirement};
use crate::oci::platform::{self, PlatformWord};
use crate::text::field::FieldError;

mod description;
mod features;
pub mod listing;
mod resolve;

pub use description::Description;
#[cfg(feature = "schema")]
pub(crate) use description::{MAX_NAME_LENGTH, RESERVED};
use features::Features;
pub(crate) use features::{Key, OfferedKey};

/// The version of the rules of selection. It rises whenever the same index and machine type may lead to another
/// selection than before, because decisions in the shared cache outlive a filter's replacement.
const SELECTION_VERSION: u32 = 2;

/// A stable digest of everything about a machine type that influences selection, its name not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The digest's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// A machine type, validated and resolved: architecture and variant follow from the microarchitecture.
#[derive(Clone, Debug)]
pub struct MachineType {
    name: String,
    os: PlatformWord,
    os_version: Option<String>,
    architecture: PlatformWord,
    /// A variant that is not a level of the table; compared as text.
    variant: Option<String>,
    /// None of them is an ancestor of another: otherwise an ancestor could seem nearer than its descendant.
    cpus: Vec<Microarchitecture>,
    /// Microarchitectures that archspec does not know.
    named_cpus: Vec<String>,
    /// Sorted by key.
    offers: Vec<OfferedKey>,
    /// Keys in the order of the configuration, `cpu` last if it is only implied.
    order: Vec<Key>,
    /// Places in `order`.
    prefer: Vec<usize>,
    cpu_place: usize,
    warnings: Vec<FieldError>,
    fingerprint: OnceLock<Fingerprint>,
}

impl MachineType {
    /// Validates and resolves `description`.
    ///
    /// # Errors
    /// [`FieldError`] for a name that a login cannot carry, a feature or version that cannot be read, an architecture
    /// that neither is given nor follows, or fields that contradict each other.
    pub fn new<T: AsRef<str>>(
        name: &str,
        description: &Description<T>,
        rules: &FeatureRules,
    ) -> Result<Self, FieldError> {
        description::check_name(name)?;
        let mut warnings = Vec::new();
        let Features { cpus, offers, order, cpu_place } = features::read_features(&description.features, rules)?;
        let platform = Description {
            os: text(&description.os),
            os_version: text(&description.os_version),
            architecture: text(&description.architecture),
            variant: text(&description.variant),
            ..Description::default()
        };
        let machine = resolve::resolve(&platform, &cpus, &mut warnings)?;
        let mut machine_type = Self {
            name: name.to_owned(),
            os: machine.os,
            os_version: machine.os_version,
            architecture: machine.architecture,
            variant: machine.variant,
            cpus: machine.cpus,
            named_cpus: machine.named_cpus,
            offers,
            order,
            prefer: Vec::new(),
            cpu_place,
            warnings,
            fingerprint: OnceLock::new(),
        };
        machine_type.read_preferences(&description.prefer)?;
        Ok(machine_type)
    }

    /// The name that logins use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operating system (`GOOS`).
    #[must_use]
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The operating system version, where one is given.
    #[must_use]
    pub fn os_version(&self) -> Option<&str> {
        self.os_version.as_deref()
    }

    /// The architecture (`GOARCH`), given or following from the microarchitecture.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant, given or following from the microarchitecture; the highest where there are several.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        let highest = self.cpus.iter().filter_map(|cpu| cpu.variant()).max_by_key(|variant| {
            // Variants of one architecture differ in a number: their length, then their text, is their order.
            (variant.len(), *variant)
        });
        self.variant.as_deref().or(highest)
    }

    /// The machine's offers in words, in the order of the configuration: `cpu:skylake`, `nvcap:8.6`.
    #[must_use]
    pub fn features(&self) -> Vec<String> {
        self.order.iter().flat_map(|key| self.offered_words(*key)).collect()
    }

    /// Problems that look like mistakes but may be meant; each is logged once per configuration.
    #[must_use]
    pub fn warnings(&self) -> &[FieldError] {
        &self.warnings
    }

    /// A stable digest of all that influences selection, rules and microarchitecture table included, the name not:
    /// types with equal fingerprints get the same image from every index.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        *self.fingerprint.get_or_init(|| self.compute_fingerprint())
    }

    /// Whether, and how nearly, the machine meets a requirement.
    pub(crate) fn meets(&self, requirement: &Requirement<'_>) -> Option<Match> {
        let equal = Match { nearness: Nearness::Equal, exact: true };
        match requirement {
            Requirement::Os(os) => (self.os == *os).then_some(equal),
            Requirement::Architecture(architecture) => (self.architecture == *architecture).then_some(equal),
            Requirement::OsVersion(version) => {
                let own = self.os_version.as_deref()?;
                platform::same_os_version(&self.os, own, version).then_some(equal)
            }
            Requirement::Cpu(cpu) => self.runs(cpu),
            Requirement::Feature(feature) => self.offer(feature.key())?.values.satisfies(feature.value()),
        }
    }

    /// The machine's own values in the place of a requirement that it does not meet, in words.
    pub(crate) fn instead(&self, requirement: &Requirement<'_>) -> Vec<String> {
        match requirement {
            Requirement::Os(_) => vec![self.os.to_string()],
            Requirement::Architecture(_) => vec![self.architecture.to_string()],
            Requirement::OsVersion(_) => self.os_version.iter().cloned().collect(),
            Requirement::Cpu(CpuRequirement { level: Level::Variant(_), .. }) => {
                self.variant().map(str::to_owned).into_iter().collect()
            }
            Requirement::Cpu(_) => self.cpu_words(),
            Requirement::Feature(feature) => {
                self.offer(feature.key()).map(|offer| offer.values.words(&offer.key)).unwrap_or_default()
            }
        }
    }

    /// The machine's offer of a key other than `cpu`.
    pub(crate) fn offer(&self, key: &str) -> Option<&OfferedKey> {
        let position = self.offers.binary_search_by(|offer| offer.key.as_str().cmp(key)).ok()?;
        self.offers.get(position)
    }

    /// The machine's offers besides `cpu`, sorted by key.
    pub(crate) fn offers(&self) -> &[OfferedKey] {
        &self.offers
    }

    /// The keys by which entries are ranked, in the order of the configuration.
    pub(crate) fn order(&self) -> &[Key] {
        &self.order
    }

    /// The preferred keys, as places in [`MachineType::order`].
    pub(crate) fn prefer(&self) -> &[usize] {
        &self.prefer
    }

    /// The place of `cpu` in [`MachineType::order`].
    pub(crate) const fn cpu_place(&self) -> usize {
        self.cpu_place
    }

    /// The name of the key at a place of [`MachineType::order`].
    pub(crate) fn key_at(&self, place: usize) -> &str {
        let key = self.order.get(place);
        debug_assert!(key.is_some(), "there is no key at place {place}");
        key.map_or("", |key| self.key_name(*key))
    }

    /// The machine's offer at the position that a [`Key`] has.
    fn offered(&self, position: usize) -> Option<&OfferedKey> {
        let offered = self.offers.get(position);
        debug_assert!(offered.is_some(), "there is no offer at position {position}");
        offered
    }

    pub(crate) fn key_name(&self, key: Key) -> &str {
        match key {
            Key::Cpu => feature::CPU,
            Key::Offered(position) => self.offered(position).map_or("", |offer| &offer.key),
        }
    }

    /// The machine's values of a key, in words.
    pub(crate) fn offered_words(&self, key: Key) -> Vec<String> {
        match key {
            Key::Cpu => self.cpu_words(),
            Key::Offered(position) => {
                self.offered(position).map(|offer| offer.values.words(&offer.key)).unwrap_or_default()
            }
        }
    }

    fn cpu_words(&self) -> Vec<String> {
        let names = self.cpus.iter().map(|cpu| cpu.name());
        names.chain(self.named_cpus.iter().map(String::as_str)).map(|name| format!("cpu:{name}")).collect()
    }

    fn runs(&self, wanted: &CpuRequirement) -> Option<Match> {
        match &wanted.level {
            Level::Known(level) => {
                // The farthest of the CPUs that run it counts, so that an ancestor is never nearer than its descendant,
                // even on a type that stands for machines of several microarchitectures.
                let generations = self.cpus.iter().filter_map(|cpu| cpu.generations_to(*level)).max()?;
                let isa_features = u16::from(level.isa_features());
                let exact = self.cpus.contains(level);
                Some(Match { nearness: Nearness::Cpu { generations: Reverse(generations), isa_features }, exact })
            }
            // Only an equal name fits, so nothing can be nearer.
            Level::Named(name) => self.named_cpus.contains(name).then_some(NAMED),
            Level::Variant(variant) => (self.variant.as_ref() == Some(variant)).then_some(NAMED),
        }
    }

    fn read_preferences<T: AsRef<str>>(&mut self, prefer: &[T]) -> Result<(), FieldError> {
        for (position, key) in prefer.iter().map(AsRef::as_ref).enumerate() {
            let field = format!("prefer[{position}]");
            if key == "variant" {
                return Err(FieldError::new(field, "a variant is a cpu requirement: write cpu"));
            }
            if prefer.iter().take(position).any(|earlier| earlier.as_ref() == key) {
                return Err(FieldError::new(field, format!("{key} is listed twice")));
            }
            if let Some((known, _)) = key.split_once(':') {
                return Err(FieldError::new(field, format!("prefer takes keys, not values: write {known}")));
            }
            match (key, self.offer(key)) {
                (feature::CPU, _) => self.prefer.push(self.cpu_place),
                (_, Some(offer)) => self.prefer.push(offer.place),
                (_, None) => {
                    let message = format!("{key} has no effect: the features name no such key");
                    self.warnings.push(FieldError::new(field, message));
                }
            }
        }
        Ok(())
    }

    fn compute_fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        // Each part is preceded by its length, so that no two different lists of parts hash the same bytes.
        let mut part = |text: &str| {
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(text.as_bytes());
        };
        part(&SELECTION_VERSION.to_string());
        part(&microarchitecture::table_version().to_string());
        for text in [&self.os, &self.architecture] {
            part(text);
        }
        for text in [&self.os_version, &self.variant] {
            part(text.as_deref().map_or("-", |_| "+"));
            part(text.as_deref().unwrap_or_default());
        }
        part(&self.prefer.len().to_string());
        for place in &self.prefer {
            part(self.key_at(*place));
        }
        part(&self.order.len().to_string());
        for key in &self.order {
            let words: BTreeSet<String> = self.offered_words(*key).into_iter().collect();
            let rule = match key {
                Key::Cpu => Rule::Microarchitecture,
                Key::Offered(position) => self.offered(*position).map_or(Rule::Exact, |offer| offer.values.rule()),
            };
            part(rule.word());
            part(&words.len().to_string());
            words.iter().for_each(|word| part(word));
        }
        let mut fingerprint = [0; 16];
        fingerprint.iter_mut().zip(hash.finalize()).for_each(|(byte, digest)| *byte = digest);
        Fingerprint(fingerprint)
    }
}

fn text<T: AsRef<str>>(text: &Option<T>) -> Option<&str> {
    text.as_ref().map(AsRef::as_ref)
}

/// An equal name of something without a place in the tree.
const NAMED: Match = Match { nearness: Nearness::Cpu { generations: Reverse(0), isa_features: u16::MAX }, exact: true };
