//! Machine types: what a machine offers, resolved once at configuration.

use std::sync::OnceLock;

use crate::hardware::feature::{self, FeatureRules, Match, Rule};
use crate::oci::index::{CpuRequirement, FeatureRow, Level, Requirement};
use crate::oci::platform::{self, PlatformWord};
use crate::text::field::FieldError;
use crate::text::printable::printable;

mod cpus;
pub mod described;
mod description;
mod features;
mod fingerprint;
pub mod listing;
mod resolve;
mod source;
mod thirty_two_bit;

use cpus::Cpus;
pub(crate) use description::MAX_NAME_LENGTH;
#[cfg(feature = "schema")]
pub(crate) use description::RESERVED;
pub(crate) use description::is_name;
pub use description::{Description, Devices};
use features::Features;
pub(crate) use features::{Key, OfferedKey};
pub use fingerprint::Fingerprint;
use fingerprint::Parts;
pub use source::Source;

/// A machine type, validated and resolved: architecture and variant follow from the microarchitecture.
#[derive(Clone, Debug)]
pub struct MachineType {
    name: String,
    os: PlatformWord,
    os_version: Option<String>,
    architecture: PlatformWord,
    cpus: Cpus,
    /// Sorted by key.
    offers: Vec<OfferedKey>,
    /// Keys in the order of the configuration, `cpu` last if it is only implied.
    order: Vec<Key>,
    /// Places in `order`.
    prefer: Vec<usize>,
    cpu_place: usize,
    /// How it runs 32-bit images, if it does.
    mode_32_bit: Option<thirty_two_bit::Mode>,
    warnings: Vec<FieldError>,
    origin: Origin,
    fingerprint: OnceLock<Fingerprint>,
}

/// Where a machine type comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The configuration has it.
    Configured,
    /// The configuration has it, and a client has described a machine that offers the same.
    DescribedAlike,
    /// A client has described it.
    Described,
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
        Self::of(name, description, rules)
    }

    /// The same, whatever the name.
    fn of<T: AsRef<str>>(name: &str, description: &Description<T>, rules: &FeatureRules) -> Result<Self, FieldError> {
        let mut warnings = Vec::new();
        let mut features = Features::read(&description.features, rules)?;
        features.read_devices(&description.devices, rules, &mut warnings)?;
        let (order, cpu_place) = features.order();
        let platform = Description {
            os: text(&description.os),
            os_version: text(&description.os_version),
            architecture: text(&description.architecture),
            variant: text(&description.variant),
            ..Description::default()
        };
        let machine = resolve::resolve(&platform, &features.cpus, &mut warnings)?;
        let mode_32_bit = machine.cpus.mode_32_bit(&machine.architecture);
        if description.run_32_bit == Some(true) && mode_32_bit.is_none() {
            let message = "true has no effect: such a machine has no 32-bit mode";
            warnings.push(FieldError::new("run_32_bit", message));
        }
        let mut machine_type = Self {
            name: name.to_owned(),
            os: machine.os,
            os_version: machine.os_version,
            architecture: machine.architecture,
            cpus: machine.cpus.with_flags(&features.isa, &mut warnings),
            offers: features.offers,
            order,
            prefer: Vec::new(),
            cpu_place,
            mode_32_bit: mode_32_bit.filter(|_| description.run_32_bit != Some(false)),
            warnings,
            origin: Origin::Configured,
            fingerprint: OnceLock::new(),
        };
        machine_type.read_preferences(&description.prefer)?;
        Ok(machine_type)
    }

    /// The name that logins use; of a described machine the description in its canonical form.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as log lines and messages show it: cut, because a description may be long.
    #[must_use]
    pub fn label(&self) -> String {
        printable(&self.name, MAX_NAME_LENGTH)
    }

    /// Whether a client has described the machine.
    #[must_use]
    pub fn is_described(&self) -> bool {
        self.origin != Origin::Configured
    }

    /// Whether a client has described the machine, and the configuration has no name for it. Nothing that is kept for
    /// operators may grow with such machines.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.origin == Origin::Described
    }

    /// The same machine type, for a client that has described it.
    #[must_use]
    pub(crate) fn as_described(&self) -> Self {
        Self { origin: Origin::DescribedAlike, ..self.clone() }
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
        self.cpus.variant()
    }

    /// The machine's offers in words, in the order of the configuration: `cpu:skylake`, `nvcap:8.6`.
    #[must_use]
    pub fn features(&self) -> Vec<String> {
        let with_flags = |key: &Key| match key {
            Key::Cpu => self.cpus.words_and_flags(),
            Key::Offered(_) => self.offered_words(*key),
        };
        self.order.iter().flat_map(with_flags).collect()
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

    /// The same machine as it meets the requirements of 32-bit images; `None` if it gets none of them. It is made only
    /// where it is needed, because few images need it.
    pub(crate) fn in_32_bit(&self) -> Option<Self> {
        let mode = self.mode_32_bit.as_ref()?;
        let cpus = self.cpus.clone().in_32_bit(mode.level);
        Some(Self { architecture: mode.architecture.clone(), cpus, ..self.clone() })
    }

    /// Whether, of two images that are alike, the machine gets the one whose layers are compressed with zstd.
    pub(crate) fn takes_zstd(&self) -> bool {
        self.offer(feature::ZSTD).is_some_and(|offer| offer.values.has_flag())
    }

    /// Whether, and how nearly, the machine meets a requirement.
    pub(crate) fn meets(&self, requirement: &Requirement<'_>) -> Option<Match> {
        match requirement {
            Requirement::Os(os) => (self.os == *os).then_some(Match::EQUAL),
            Requirement::Architecture(architecture) => (self.architecture == *architecture).then_some(Match::EQUAL),
            Requirement::OsVersion(version) => {
                let own = self.os_version.as_deref()?;
                platform::same_os_version(&self.os, own, version).then_some(Match::EQUAL)
            }
            Requirement::Cpu(cpu) => self.cpus.meet(&cpu.level),
            Requirement::Feature(feature) => self.offer(feature.key())?.values.satisfies(feature),
        }
    }

    /// The alternatives by which the machine meets a feature that lists several; empty for other features.
    pub(crate) fn matched<'f>(&self, known: &'f FeatureRow) -> Vec<&'f str> {
        let FeatureRow { feature, cpu } = known;
        match cpu {
            _ if feature.count() < 2 => Vec::new(),
            Some(CpuRequirement { level: Level::OneOf(levels), .. }) => {
                let place = self.cpus.nearest(levels).map(|(place, _)| place);
                place.and_then(|place| feature.alternatives().nth(place)).into_iter().collect()
            }
            Some(_) => Vec::new(),
            None => self.offer(feature.key()).map(|offer| offer.values.matched(feature)).unwrap_or_default(),
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
            Requirement::Cpu(cpu) if cpu.level.key() == feature::ISA => self.cpus.words_and_flags(),
            Requirement::Cpu(_) => self.cpus.words(),
            Requirement::Feature(feature) => {
                self.offer(feature.key()).map(|offer| offer.values.instead(&offer.key, feature)).unwrap_or_default()
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

    /// The places of keys whose values are bounds: they do not count among the keys that an image is made for.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = usize> {
        self.offers.iter().filter(|offer| offer.values.rule().is_bound()).map(|offer| offer.place)
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
            Key::Cpu => self.cpus.words(),
            Key::Offered(position) => {
                self.offered(position).map(|offer| offer.values.words(&offer.key)).unwrap_or_default()
            }
        }
    }

    fn compute_fingerprint(&self) -> Fingerprint {
        let mut parts = Parts::new();
        for text in [&self.os, &self.architecture] {
            parts.add(text);
        }
        for text in [self.os_version.as_deref(), self.cpus.text_variant()] {
            parts.add(text.map_or("-", |_| "+"));
            parts.add(text.unwrap_or_default());
        }
        parts.add(if self.mode_32_bit.is_some() { "32-bit" } else { "-" });
        parts.add(&self.prefer.len().to_string());
        for place in &self.prefer {
            parts.add(self.key_at(*place));
        }
        parts.add(&self.order.len().to_string());
        for key in &self.order {
            let (rule, devices, mut words) = match key {
                Key::Cpu => (Rule::Microarchitecture, 1, self.cpus.words_and_flags()),
                Key::Offered(position) => match self.offered(*position) {
                    Some(offer) => (offer.values.rule(), offer.values.devices(), offer.values.words(&offer.key)),
                    None => (Rule::Exact, 1, Vec::new()),
                },
            };
            // The order of values matters only if they are devices, and an image must suit all of them.
            if devices < 2 {
                words.sort_unstable();
            }
            parts.add(rule.word());
            parts.add(&devices.to_string());
            parts.add(&words.len().to_string());
            words.iter().for_each(|word| parts.add(word));
        }
        parts.finish()
    }

    fn read_preferences<T: AsRef<str>>(&mut self, prefer: &[T]) -> Result<(), FieldError> {
        for (position, key) in prefer.iter().map(AsRef::as_ref).enumerate() {
            let field = format!("prefer[{position}]");
            if ["variant", feature::ISA].contains(&key) {
                return Err(FieldError::new(field, format!("{key} is a cpu requirement: write cpu")));
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
}

fn text<T: AsRef<str>>(text: &Option<T>) -> Option<&str> {
    text.as_ref().map(AsRef::as_ref)
}
