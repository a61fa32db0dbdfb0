//! The features of a machine type: the values of each key, and the order of keys.

use std::collections::BTreeMap;

use super::description::Devices;
use crate::hardware::feature::{self, FeatureRules, ISA, MAX_DEVICES, OfferedValues, Rule};
use crate::text::field::FieldError;

/// A key by which eligible entries are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Cpu,
    /// A position among what the machine type offers.
    Offered(usize),
}

/// The values of one key other than `cpu` and `isa`.
#[derive(Clone, Debug)]
pub(crate) struct OfferedKey {
    pub(crate) key: String,
    pub(crate) values: OfferedValues,
    /// Its place in the order of keys.
    pub(crate) place: usize,
}

/// The features of a machine type, by key.
#[derive(Default)]
pub(super) struct Features<'d> {
    /// The `cpu` values with their positions.
    pub(super) cpus: Vec<(usize, &'d str)>,
    /// The `isa` values, likewise.
    pub(super) isa: Vec<(usize, &'d str)>,
    /// The other keys' values, sorted by key, so that an image's features, sorted too, are compared in one pass.
    pub(super) offers: Vec<OfferedKey>,
    /// The place of `cpu` in the order of keys, if a feature names it.
    cpu_place: Option<usize>,
    /// How many places there are.
    places: usize,
}

impl<'d> Features<'d> {
    pub(super) fn read<T: AsRef<str>>(features: &'d [T], rules: &FeatureRules) -> Result<Self, FieldError> {
        let mut read = Self { offers: Vec::with_capacity(features.len()), ..Self::default() };
        for (position, text) in features.iter().enumerate() {
            let text = text.as_ref().trim();
            let error = |message: String| FieldError::new(format!("features[{position}]"), message);
            let (key, value) = parts(text).map_err(error)?;
            read.add(position, key, value, rules.rule(key)).map_err(error)?;
        }
        read.add_toolkit_of_driver(rules);
        Ok(read)
    }

    fn add(&mut self, position: usize, key: &str, value: Option<&'d str>, rule: Rule) -> Result<(), String> {
        if rule == Rule::Microarchitecture {
            let such_as = if key == ISA { "isa:avx2" } else { "cpu:skylake" };
            let value = value.ok_or_else(|| format!("{key} needs a value, such as {such_as}"))?;
            if key == ISA {
                self.isa.push((position, value));
                return Ok(());
            }
            self.cpus.push((position, value));
            if self.cpu_place.is_none() {
                self.cpu_place = Some(next(&mut self.places));
            }
            return Ok(());
        }
        let added = self.offer(key, rule).map_or(Ok(()), |offer| offer.values.add(value));
        added.map_err(|problem| {
            let text = value.map_or(key.to_owned(), |value| format!("{key}:{value}"));
            // These keys had no rules of their own before 0.2.0: any text was a value.
            let built_in_bound = rule.is_bound() && rule == Rule::built_in(key);
            let hint = if built_in_bound { "; feature_rules: { KEY: exact } compares text" } else { "" };
            format!("{text}: {problem}{}", hint.replace("KEY", key))
        })
    }

    /// The offer of a key, a new one if there is none yet.
    fn offer(&mut self, key: &str, rule: Rule) -> Option<&mut OfferedKey> {
        let place = self.offers.binary_search_by(|offer| offer.key.as_str().cmp(key)).unwrap_or_else(|place| {
            let values = OfferedValues::new(rule);
            self.offers.insert(place, OfferedKey { key: key.to_owned(), values, place: next(&mut self.places) });
            place
        });
        let offer = self.offers.get_mut(place);
        debug_assert!(offer.is_some(), "{key} was found or inserted at {place}");
        offer
    }

    /// A machine with a driver offers the CUDA toolkit that the driver runs, unless the machine says it itself.
    fn add_toolkit_of_driver(&mut self, rules: &FeatureRules) {
        let by_version = |key: &str| rules.rule(key) == Rule::AtLeast;
        let named = |key: &str| self.offers.iter().find(|offer| offer.key == key);
        let (Some(driver), None) = (named("driver"), named("cuda")) else { return };
        let toolkits: Vec<_> = driver.values.versions().filter_map(feature::toolkit_of_driver).collect();
        if toolkits.is_empty() || !by_version("driver") || !by_version("cuda") {
            return;
        }
        if let Some(offer) = self.offer("cuda", Rule::AtLeast) {
            toolkits.into_iter().for_each(|toolkit| offer.values.add_version(toolkit));
        }
    }

    /// Applies `devices` of a description.
    pub(super) fn read_devices(
        &mut self,
        devices: &BTreeMap<String, Devices>,
        rules: &FeatureRules,
        warnings: &mut Vec<FieldError>,
    ) -> Result<(), FieldError> {
        for (key, mode) in devices {
            let field = format!("devices.{key}");
            if !rules.rule(key).is_device() {
                let message = "only keys with the rule compute_capability or amd_gpu are devices";
                return Err(FieldError::new(field, message));
            }
            match self.offers.iter_mut().find(|offer| offer.key == *key) {
                Some(offer) if *mode == Devices::Any => offer.values.let_any_do(),
                Some(_) => {}
                None => warnings.push(FieldError::new(field, "no effect: the features name no such key")),
            }
        }
        match self.offers.iter().find(|offer| offer.values.devices() > MAX_DEVICES) {
            None => Ok(()),
            Some(OfferedKey { key, .. }) => {
                let message = format!(
                    "more than {MAX_DEVICES} different values of {key}, and an image must suit every one; write \
                     `devices: {{ {key}: any }}` if one is enough"
                );
                Err(FieldError::new("features", message))
            }
        }
    }

    /// The order of keys, `cpu` last if no feature names it, and the place of `cpu` in there.
    pub(super) fn order(&self) -> (Vec<Key>, usize) {
        let (places, cpu_place) = self.cpu_place.map_or((self.places + 1, self.places), |place| (self.places, place));
        let mut order = vec![Key::Cpu; places];
        for (position, offer) in self.offers.iter().enumerate() {
            let key = order.get_mut(offer.place);
            debug_assert!(key.is_some(), "there is no place {}", offer.place);
            if let Some(key) = key {
                *key = Key::Offered(position);
            }
        }
        (order, cpu_place)
    }
}

/// A new place in the order of keys.
const fn next(places: &mut usize) -> usize {
    *places += 1;
    *places - 1
}

/// Key and value of a feature.
fn parts(text: &str) -> Result<(&str, Option<&str>), String> {
    feature::check_text(text).map_err(|problem| format!("this feature {problem}"))?;
    // An image has alternatives and PTX beside binary code; a machine is one thing.
    let targets = text.contains('+').then(|| text.replace(":xnack+", "").replace(":sramecc+", ""));
    if targets.as_deref().unwrap_or(text).contains(['|', '+']) {
        return Err(format!("{text}: a machine's feature has no '|', and no '+' but in :xnack+ and :sramecc+"));
    }
    match text.split_once(':') {
        Some(("", _)) => Err(format!("{text}: a feature without a key")),
        Some((_, "")) => Err(format!("{text} has no value after the ':'")),
        Some((key, value)) => Ok((key, Some(value))),
        None => Ok((text, None)),
    }
}
