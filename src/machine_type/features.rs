//! The features of a machine type: the values of each key, and the order of keys.

use crate::hardware::feature::{self, FeatureRules, OfferedValues, Rule};
use crate::text::field::FieldError;

/// A key by which eligible entries are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Cpu,
    /// A position among what the machine type offers.
    Offered(usize),
}

/// The values of one key other than `cpu`.
#[derive(Clone, Debug)]
pub(crate) struct OfferedKey {
    pub(crate) key: String,
    pub(crate) values: OfferedValues,
    /// Its place in the order of keys.
    pub(crate) place: usize,
}

/// The features of a machine type, by key.
pub(super) struct Features<'d> {
    /// The `cpu` values with their positions.
    pub(super) cpus: Vec<(usize, &'d str)>,
    /// The other keys' values, sorted by key, so that an image's features, sorted too, are compared in one pass.
    pub(super) offers: Vec<OfferedKey>,
    /// The order of keys, `cpu` last if no feature names it.
    pub(super) order: Vec<Key>,
    /// The place of `cpu` in there.
    pub(super) cpu_place: usize,
}

pub(super) fn read_features<'d, T: AsRef<str>>(
    features: &'d [T],
    rules: &FeatureRules,
) -> Result<Features<'d>, FieldError> {
    let mut cpus = Vec::new();
    let mut offers: Vec<OfferedKey> = Vec::with_capacity(features.len());
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
            offers.insert(
                place,
                OfferedKey { key: key.to_owned(), values: OfferedValues::new(rule), place: next(&mut places) },
            );
            place
        });
        let offer = offers.get_mut(place);
        debug_assert!(offer.is_some(), "{key} was found or inserted at {place}");
        if let Some(offer) = offer {
            offer.values.add(value).map_err(|problem| error(format!("{text}: {problem}")))?;
        }
    }
    let cpu_place = cpu_place.unwrap_or_else(|| next(&mut places));
    let mut order = vec![Key::Cpu; places];
    for (position, offer) in offers.iter().enumerate() {
        let key = order.get_mut(offer.place);
        debug_assert!(key.is_some(), "there is no place {}", offer.place);
        if let Some(key) = key {
            *key = Key::Offered(position);
        }
    }
    Ok(Features { cpus, offers, order, cpu_place })
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
