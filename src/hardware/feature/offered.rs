//! The values that a machine has of a key, and what they satisfy.

use std::cmp::Reverse;

use super::nearness::{DeviceNearness, Match, Nearness, nearer};
use super::value::Value;
use super::{Feature, Rule, Version};

/// The most different devices of one key that an image must suit together: what is kept of each feature of an index
/// is bounded by it.
pub(crate) const MAX_DEVICES: usize = 8;

/// The values that a machine has of one key other than `cpu` and `isa`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OfferedValues {
    rule: Rule,
    /// Each once, in the order of the configuration.
    values: Vec<Value>,
    /// An image must suit all of them: they are devices. Otherwise any may satisfy.
    every: bool,
}

impl OfferedValues {
    pub(crate) const fn new(rule: Rule) -> Self {
        Self { rule, values: Vec::new(), every: rule.is_device() }
    }

    /// Adds one of the machine's values; the error says in words what the value should be.
    pub(crate) fn add(&mut self, value: Option<&str>) -> Result<(), String> {
        self.insert(Value::parse(self.rule, value)?);
        Ok(())
    }

    pub(crate) fn add_version(&mut self, version: Version) {
        self.insert(Value::Version(version));
    }

    fn insert(&mut self, value: Value) {
        if !self.values.contains(&value) {
            self.values.push(value);
        }
    }

    /// Brings the values into one order.
    pub(crate) fn sort(&mut self) {
        let mut sorted: Vec<Value> = Vec::with_capacity(self.values.len());
        for value in self.values.drain(..) {
            let words = value.words("");
            let place = sorted.partition_point(|other| other.words("") < words);
            sorted.insert(place, value);
        }
        self.values = sorted;
    }

    /// Lets any device do, for machines that are not alike or use one device at a time.
    pub(crate) const fn let_any_do(&mut self) {
        self.every = false;
    }

    /// Whether the bare key is among them.
    pub(crate) fn has_flag(&self) -> bool {
        self.values.contains(&Value::Flag)
    }

    pub(crate) const fn rule(&self) -> Rule {
        self.rule
    }

    /// The versions among the values.
    pub(crate) fn versions(&self) -> impl Iterator<Item = Version> {
        self.values.iter().filter_map(|value| match value {
            Value::Version(version) => Some(*version),
            _ => None,
        })
    }

    /// How many devices an image must suit together; 1 where any may do.
    pub(crate) const fn devices(&self) -> usize {
        if self.every { self.values.len() } else { 1 }
    }

    /// Whether, and how nearly, these values satisfy what an image asks for.
    pub(crate) fn satisfies(&self, feature: &Feature) -> Option<Match> {
        if feature.value().is_none() {
            // A machine that has the bare key itself can have nothing better built for it.
            let exact = self.values == [Value::Flag];
            return Some(Match { nearness: Nearness::Any, exact });
        }
        if self.devices() > 1 {
            return self.satisfy_every(feature);
        }
        self.values.iter().filter_map(|value| Some(self.best(value, feature)?.1)).reduce(Match::or)
    }

    fn satisfy_every(&self, feature: &Feature) -> Option<Match> {
        let (mut exact, mut compiling) = (true, 0);
        let mut each: Vec<DeviceNearness> = Vec::with_capacity(self.values.len());
        for device in &self.values {
            let (_, found) = self.best(device, feature)?;
            exact &= found.exact;
            if let Nearness::Device(nearness) = found.nearness {
                compiling += usize::from(nearness.compiles());
                each.push(nearness);
            }
        }
        let nearness = Nearness::Devices { compiling: Reverse(compiling), each: each.into() };
        Some(Match { nearness, exact })
    }

    /// The alternative that is met by `value` and nearest, and its place.
    fn best(&self, value: &Value, feature: &Feature) -> Option<(usize, Match)> {
        if let Value::Text(text) = value {
            let place = feature.alternatives().position(|wanted| wanted == &**text)?;
            return Some((place, Match::EQUAL));
        }
        let mut best: Option<(usize, Match)> = None;
        let mut place = 0;
        feature.read(self.rule, &mut |wanted| {
            if let Some(found) = value.meets(self.rule, wanted)
                && best.as_ref().is_none_or(|(_, best)| best.nearness < found.nearness)
            {
                best = Some((place, found));
            }
            place += 1;
        });
        best
    }

    /// The alternatives by which these values satisfy a feature: the nearest one, of several devices that of each.
    pub(crate) fn matched<'f>(&self, feature: &'f Feature) -> Vec<&'f str> {
        let found = self.values.iter().filter_map(|value| self.best(value, feature));
        let places: Vec<usize> = if self.devices() > 1 {
            found.map(|(place, _)| place).collect()
        } else {
            found.reduce(nearer).map(|(place, _)| place).into_iter().collect()
        };
        let alternatives = feature.alternatives().enumerate();
        alternatives.filter(|(place, _)| places.contains(place)).map(|(_, text)| text).collect()
    }

    /// The values in the place of a feature that they do not satisfy: the devices that it does not suit, or all.
    pub(crate) fn instead(&self, key: &str, feature: &Feature) -> Vec<String> {
        let unsuited = |value: &&Value| self.devices() < 2 || self.best(value, feature).is_none();
        self.values.iter().filter(unsuited).map(|value| value.words(key)).collect()
    }

    /// The machine's values in words, each with its key: `nvcap:8.6`.
    pub(crate) fn words(&self, key: &str) -> Vec<String> {
        self.values.iter().map(|value| value.words(key)).collect()
    }
}
