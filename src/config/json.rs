//! JSON text → the configuration's tree.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::document::{Field, List, Map, Value, ValueKind};
use super::error::ConfigError;

/// Reads JSON text.
///
/// # Errors
/// Where it is not JSON, is nested deeper than `serde_json` goes (128 levels), or is no object.
pub(super) fn read(bytes: &[u8]) -> Result<Map, ConfigError> {
    let Value { kind } =
        serde_json::from_slice(bytes).map_err(|error| ConfigError::new("", format!("not JSON: {error}")))?;
    match kind {
        Some(ValueKind::Map(map)) => Ok(map),
        _ => Err(ConfigError::new("", "no JSON object")),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKind).map(|kind| Self { kind: Some(kind) })
    }
}

struct AnyKind;

impl<'de> Visitor<'de> for AnyKind {
    type Value = ValueKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<ValueKind, E> {
        Ok(ValueKind::Null(0))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<ValueKind, E> {
        Ok(ValueKind::Bool(truth))
    }

    #[expect(clippy::cast_precision_loss, reason = "as in a Struct")]
    fn visit_i64<E>(self, number: i64) -> Result<ValueKind, E> {
        Ok(ValueKind::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "as in a Struct")]
    fn visit_u64<E>(self, number: u64) -> Result<ValueKind, E> {
        Ok(ValueKind::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<ValueKind, E> {
        Ok(ValueKind::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<ValueKind, E> {
        Ok(ValueKind::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ValueKind, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(ValueKind::List(List { values }))
    }

    /// Keeps all keys: a key that is there twice is noticed when they are sorted.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ValueKind, A::Error> {
        let mut fields = Vec::new();
        while let Some((key, value)) = map.next_entry()? {
            fields.push(Field { key, value });
        }
        Ok(ValueKind::Map(Map { fields }))
    }
}
