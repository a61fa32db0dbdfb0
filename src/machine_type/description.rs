//! The description of a machine type in the configuration, and the reading of its name and features.

use std::fmt;

use super::{Key, Offer};
use crate::feature::{self, Feature, FeatureRules, Offered, Rule};

/// Words that a login or the configuration uses in the place of a machine type.
const RESERVED: [&str; 3] = ["refuse", "unfiltered", "none"];

/// The longest name of a machine type, in bytes.
const MAX_NAME_LENGTH: usize = 128;

/// A machine type as the configuration describes it, not yet validated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Operating system (`GOOS`); linux unless given.
    pub os: Option<String>,
    /// Operating system version; Windows images are made for one build.
    pub os_version: Option<String>,
    /// Architecture (`GOARCH`); follows from a `cpu` feature.
    pub architecture: Option<String>,
    /// Variant of the architecture, such as `v3`; follows from a `cpu` feature.
    pub variant: Option<String>,
    /// `key:value` or flags; several values of one key: any may satisfy. The order of keys ranks nearness.
    pub features: Vec<String>,
    /// Keys that outrank the number of keys an image asks for, the first most.
    pub prefer: Vec<String>,
}

/// A field of the configuration that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The path relative to the machine type (`features[0]`), empty for the type itself (its name); for feature rules
    /// the key.
    pub field: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

impl std::error::Error for FieldError {}

pub(super) fn check_name(name: &str) -> Result<(), FieldError> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let starts_well = name.bytes().next().is_some_and(plain);
    if !starts_well || name.bytes().any(|byte| !plain(byte) && !matches!(byte, b'.' | b'_' | b'-')) {
        let message = "a machine type's name is of lower-case letters, digits, '.', '_' and '-', and starts with a \
                       letter or digit";
        return Err(FieldError::new("", message));
    }
    if name.len() > MAX_NAME_LENGTH {
        return Err(FieldError::new("", format!("a machine type's name has at most {MAX_NAME_LENGTH} characters")));
    }
    if RESERVED.contains(&name) {
        return Err(FieldError::new("", format!("{name} is a reserved word, not a machine type's name")));
    }
    Ok(())
}

/// The `cpu` values with their positions, the other keys' values, and the order of keys.
pub(super) type Features = (Vec<(usize, String)>, Vec<Offer>, Vec<Key>);

pub(super) fn read_features(features: &[String], rules: &FeatureRules) -> Result<Features, FieldError> {
    let mut cpus = Vec::new();
    let mut offers: Vec<Offer> = Vec::new();
    let mut order = Vec::new();
    for (position, text) in features.iter().enumerate() {
        let error = |message: String| FieldError::new(format!("features[{position}]"), message);
        let text = text.trim();
        feature::check_text(text).map_err(|problem| error(format!("this feature {problem}")))?;
        let feature = Feature::parse(text).map_err(|problem| error(format!("{text}: {problem}")))?;
        let (key, value) = (feature.key(), feature.value());
        if value == Some("") {
            return Err(error(format!("{text} has no value after the ':'")));
        }
        if rules.rule(key) == Rule::Microarchitecture {
            let value = value.ok_or_else(|| error("cpu needs a value, such as cpu:skylake".to_owned()))?;
            cpus.push((position, value.to_owned()));
            if !order.contains(&Key::Cpu) {
                order.push(Key::Cpu);
            }
            continue;
        }
        let known = offers.iter_mut().find(|offer| offer.key == key);
        let result = match known {
            Some(offer) => offer.values.add(value),
            None => {
                let mut values = Offered::new(rules.rule(key));
                let result = values.add(value);
                let place = order.len();
                order.push(Key::Offer(offers.len()));
                offers.push(Offer { key: key.to_owned(), values, place });
                result
            }
        };
        result.map_err(|problem| error(format!("{text}: {problem}")))?;
    }
    if !order.contains(&Key::Cpu) {
        order.push(Key::Cpu);
    }
    // Sorted, so that an image's features, sorted too, are compared in one pass.
    offers.sort_by(|a, b| a.key.cmp(&b.key));
    for (position, offer) in offers.iter().enumerate() {
        if let Some(key) = order.get_mut(offer.place) {
            *key = Key::Offer(position);
        }
    }
    Ok((cpus, offers, order))
}
