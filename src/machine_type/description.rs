//! The description of a machine type in the configuration, and the reading of its name and features.

use super::{Key, Offer};
use crate::hardware::feature::{self, FeatureRules, Offered, Rule};
use crate::text::field::FieldError;

/// Words that a login or the configuration uses in the place of a machine type.
const RESERVED: [&str; 3] = ["refuse", "unfiltered", "none"];

/// The longest name of a machine type, in bytes.
const MAX_NAME_LENGTH: usize = 128;

/// A machine type as the configuration describes it, not yet validated. `T` is the kind of text: a configuration of
/// thousands of machine types is read without copying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description<T = String> {
    /// Operating system (`GOOS`); linux unless given.
    pub os: Option<T>,
    /// Operating system version; Windows images are made for one build.
    pub os_version: Option<T>,
    /// Architecture (`GOARCH`); follows from a `cpu` feature.
    pub architecture: Option<T>,
    /// Variant of the architecture, such as `v3`; follows from a `cpu` feature.
    pub variant: Option<T>,
    /// `key:value` or flags; several values of one key: any may satisfy. The order of keys ranks nearness.
    pub features: Vec<T>,
    /// Keys that outrank the number of keys an image asks for, the first most.
    pub prefer: Vec<T>,
}

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

/// What the features say.
pub(super) struct Features<'d> {
    /// The `cpu` values with their positions.
    pub(super) cpus: Vec<(usize, &'d str)>,
    /// The other keys' values, sorted by key, so that an image's features, sorted too, are compared in one pass.
    pub(super) offers: Vec<Offer>,
    /// The order of keys, `cpu` last if no feature names it.
    pub(super) order: Vec<Key>,
}

pub(super) fn read_features<'d, T: AsRef<str>>(
    features: &'d [T],
    rules: &FeatureRules,
) -> Result<Features<'d>, FieldError> {
    let mut cpus = Vec::new();
    let mut offers: Vec<Offer> = Vec::with_capacity(features.len());
    let mut cpu_place = None;
    let mut places = 0;
    for (position, text) in features.iter().enumerate() {
        let error = |message: String| FieldError::new(format!("features[{position}]"), message);
        let text = text.as_ref().trim();
        let (key, value) = parts(text).map_err(&error)?;
        let rule = rules.rule(key);
        if rule == Rule::Microarchitecture {
            let value = value.ok_or_else(|| error("cpu needs a value, such as cpu:skylake".to_owned()))?;
            cpus.push((position, value));
            cpu_place.get_or_insert_with(|| next(&mut places));
            continue;
        }
        let place = offers.binary_search_by(|offer| offer.key.as_str().cmp(key)).unwrap_or_else(|place| {
            offers.insert(place, Offer { key: key.to_owned(), values: Offered::new(rule), place: next(&mut places) });
            place
        });
        if let Some(offer) = offers.get_mut(place) {
            offer.values.add(value).map_err(|problem| error(format!("{text}: {problem}")))?;
        }
    }
    let mut order = vec![Key::Cpu; places + usize::from(cpu_place.is_none())];
    for (position, offer) in offers.iter().enumerate() {
        if let Some(key) = order.get_mut(offer.place) {
            *key = Key::Offer(position);
        }
    }
    Ok(Features { cpus, offers, order })
}

/// A new place in the order of keys.
const fn next(places: &mut usize) -> usize {
    *places += 1;
    *places - 1
}

/// Key and value of a feature.
fn parts(text: &str) -> Result<(&str, Option<&str>), String> {
    feature::check_text(text).map_err(|problem| format!("this feature {problem}"))?;
    match text.split_once(':') {
        Some(("", _)) => Err(format!("{text}: a feature without a key")),
        Some((_, "")) => Err(format!("{text} has no value after the ':'")),
        Some((key, value)) => Ok((key, Some(value))),
        None => Ok((text, None)),
    }
}
