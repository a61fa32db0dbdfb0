//! The values of a `google.protobuf.Struct` as serde hands them to derived types, and the messages about wrong ones.

use std::{fmt, iter, vec};

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserialize, Deserializer, Error as _, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::document::{Field, Map, Value, ValueKind};
use super::error::ConfigError;

/// Reads a whole document.
///
/// # Errors
/// [`ConfigError`] for the first field that is unknown, missing or of another type, by its path.
pub(super) fn read<'de, T: Deserialize<'de>>(document: Map) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(members(document)).map_err(|error| {
        let mut field = error.path().to_string();
        let Problem { missing, message } = error.into_inner();
        if let Some(key) = missing {
            field.push('.');
            field.push_str(key);
        }
        ConfigError::new(field, message)
    })
}

type Members<'de> = MapDeserializer<'de, iter::Map<vec::IntoIter<Field>, Member>, Problem>;
type Member = fn(Field) -> (String, Node);

/// The fields of a map, in the order of their keys.
fn members<'de>(map: Map) -> Members<'de> {
    let member: Member = |Field { key, value }| (key, Node(value));
    MapDeserializer::new(map.fields.into_iter().map(member))
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
}

impl IntoDeserializer<'_, Problem> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
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
            Some(ValueKind::List(list)) => visitor.visit_seq(SeqDeserializer::new(list.values.into_iter().map(Node))),
            Some(ValueKind::Map(map)) => visitor.visit_map(members(map)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.kind {
            None | Some(ValueKind::Null(_)) => visitor.visit_none(),
            Some(_) => visitor.visit_some(self),
        }
    }

    /// Takes a map only: derived code would take a list for the fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0.kind {
            Some(ValueKind::Map(map)) => visitor.visit_map(members(map)),
            _ => Err(Problem::invalid_type(self.kind(), &visitor)),
        }
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
            _ => Err(Problem::invalid_type(self.kind(), &"a string")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// The problem with a value. It never quotes the value, as serde's own errors would: it may be a password.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Problem {
    /// The key that is not there, of the map that is wrong.
    missing: Option<&'static str>,
    message: String,
}

impl Problem {
    const fn new(message: String) -> Self {
        Self { missing: None, message }
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
        Self { missing: Some(key), message: "missing".to_owned() }
    }
}

#[cfg(test)]
mod tests;
