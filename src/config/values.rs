//! The values of a `google.protobuf.Struct` as serde hands them to derived types, and the messages about wrong ones.

use std::{fmt, iter, vec};

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::document::{Field, List, Map, Value, ValueKind};
use super::error::ConfigError;

/// Reads a whole document.
///
/// # Errors
/// [`ConfigError`] for the first field that is unknown, missing or of another type, by its path.
pub(super) fn read<'de, T: Deserialize<'de>>(document: Map) -> Result<T, ConfigError> {
    T::deserialize(Node(Value { kind: Some(ValueKind::Map(document)) }))
        .map_err(|Problem { path, message }| ConfigError::new(path.strip_prefix('.').unwrap_or(&path), message))
}

/// The fields of a map, in the order of their keys.
struct Members {
    fields: vec::IntoIter<Field>,
    /// The field whose key has been read and whose value has not.
    current: Option<Field>,
}

impl Members {
    fn of(map: Map) -> Self {
        Self { fields: map.fields.into_iter(), current: None }
    }
}

impl<'de> MapAccess<'de> for Members {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        self.current = self.fields.next();
        let Some(Field { key, .. }) = &self.current else { return Ok(None) };
        seed.deserialize(key.as_str().into_deserializer()).map(Some).map_err(|problem: Problem| problem.at_key(key))
    }

    // Code for each type of value, not for each field.
    #[inline(never)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let Field { key, value } = self.current.take().unwrap_or_default();
        seed.deserialize(Node(value)).map_err(|problem| problem.at_key(&key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

/// The values of a list.
struct Items(iter::Enumerate<vec::IntoIter<Value>>);

impl Items {
    fn of(list: List) -> Self {
        Self(list.values.into_iter().enumerate())
    }
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Problem;

    fn next_element_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<Option<V::Value>, Problem> {
        let Some((position, value)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Node(value)).map(Some).map_err(|problem| problem.at_position(position))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// One value. Parts that have been read are freed, so that thousands of machine types are never in memory twice.
struct Node(Value);

impl Node {
    /// Its type, for errors: never its content, which may be a password.
    const fn kind(&self) -> Unexpected<'static> {
        match &self.0.kind {
            None | Some(ValueKind::Null(_)) => Unexpected::Unit,
            Some(ValueKind::Bool(_)) => Unexpected::Bool(false),
            Some(ValueKind::Number(_)) => Unexpected::Float(0.0),
            Some(ValueKind::Text(_)) => Unexpected::Str(""),
            Some(ValueKind::List(_)) => Unexpected::Seq,
            Some(ValueKind::Map(_)) => Unexpected::Map,
        }
    }

    fn is_not(&self, expected: &dyn Expected) -> Problem {
        Problem::invalid_type(self.kind(), expected)
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.kind {
            None | Some(ValueKind::Null(_)) => visitor.visit_unit(),
            Some(ValueKind::Bool(truth)) => visitor.visit_bool(truth),
            Some(ValueKind::Number(number)) => visitor.visit_f64(number),
            Some(ValueKind::Text(text)) => visitor.visit_string(text),
            Some(ValueKind::List(list)) => visitor.visit_seq(Items::of(list)),
            Some(ValueKind::Map(map)) => visitor.visit_map(Members::of(map)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.kind {
            None | Some(ValueKind::Null(_)) => visitor.visit_none(),
            Some(_) => visitor.visit_some(self),
        }
    }

    // Most fields have one kind each, and `deserialize_any` is code for all kinds for each visitor.

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.kind {
            Some(ValueKind::Bool(truth)) => visitor.visit_bool(truth),
            _ => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.kind {
            Some(ValueKind::Text(text)) => visitor.visit_string(text),
            _ => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.kind {
            Some(ValueKind::List(list)) => visitor.visit_seq(Items::of(list)),
            _ => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.kind {
            Some(ValueKind::Map(map)) => visitor.visit_map(Members::of(map)),
            _ => Err(self.is_not(&visitor)),
        }
    }

    /// Takes a map only: derived code would take a list for the fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0.kind {
            Some(ValueKind::Text(text)) => visitor.visit_enum(text.into_deserializer()),
            _ => Err(self.is_not(&"a string")),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The problem with a value. It never quotes the value, as serde's own errors would: it may be a password.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Problem {
    /// The path of the value, as far as the error has come up: `.key` and `[0]`.
    path: String,
    message: String,
}

impl Problem {
    const fn new(message: String) -> Self {
        Self { path: String::new(), message }
    }

    #[cold]
    fn at_key(mut self, key: &str) -> Self {
        self.path.insert_str(0, key);
        self.path.insert(0, '.');
        self
    }

    #[cold]
    fn at_position(mut self, position: usize) -> Self {
        self.path = format!("[{position}]{}", self.path);
        self
    }
}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        // The message uses the words of YAML.
        let expected = match expected.to_string() {
            words if words == "a sequence" => "a list".to_owned(),
            words if words == "a boolean" => "true or false".to_owned(),
            words => words,
        };
        let found = match found {
            Unexpected::Unit => "null",
            Unexpected::Bool(_) => "true or false",
            Unexpected::Str(_) => "a string",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a map",
            _ => "a number",
        };
        Self::new(format!("expected {expected}, not {found}"))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown key; expected one of {}", expected.join(", ")))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        let (last, others) = expected.split_last().unwrap_or((&"", &[]));
        Self::new(format!("must be {} or {last}", others.join(", ")))
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new("missing".to_owned()).at_key(key)
    }
}

#[cfg(test)]
mod tests;
