//! Configuration bytes → one JSON document, whichever form Envoy hands over.

use prost::Message as _;
use prost_types::value::Kind;
use serde_json::{Map, Number, Value, json};

use super::ConfigError;
use crate::digest::Digest;

/// Reads JSON text, else a binary `google.protobuf.Struct`.
pub(super) fn read(bytes: &[u8]) -> Result<Value, ConfigError> {
    if bytes.trim_ascii().is_empty() {
        return Err(ConfigError::new("", "the plugin configuration is empty"));
    }
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return serde_json::from_slice(bytes).map_err(|error| ConfigError::new("", format!("not JSON: {error}")));
    }
    let document = prost_types::Struct::decode(bytes)
        .map_err(|_| ConfigError::new("", "neither JSON text nor a google.protobuf.Struct"))?;
    Ok(from_struct(document))
}

fn from_struct(document: prost_types::Struct) -> Value {
    Value::Object(document.fields.into_iter().map(|(key, value)| (key, from_value(value))).collect::<Map<_, _>>())
}

fn from_value(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => from_number(number),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::BoolValue(truth)) => Value::Bool(truth),
        Some(Kind::StructValue(document)) => from_struct(document),
        Some(Kind::ListValue(list)) => Value::Array(list.values.into_iter().map(from_value).collect()),
    }
}

/// A Struct knows doubles only; whole ones become integers again.
fn from_number(number: f64) -> Value {
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&number) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within range")]
        return json!(number as u64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// sha256 of the document with sorted keys. Inline upstream passwords stay out: the hash is public, and they may be
/// short enough to guess.
pub(super) fn hash(document: &Value) -> String {
    let mut document = document.clone();
    if let Some(registries) = document.get_mut("registries").and_then(Value::as_object_mut) {
        for registry in registries.values_mut() {
            if let Some(password) = registry.pointer_mut("/credentials/password") {
                *password = Value::Null;
            }
        }
    }
    Digest::of(document.to_string().as_bytes()).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: Kind) -> prost_types::Value {
        prost_types::Value { kind: Some(kind) }
    }

    fn object(fields: Vec<(&str, prost_types::Value)>) -> prost_types::Struct {
        prost_types::Struct { fields: fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }
    }

    #[test]
    fn a_struct_and_its_json_are_the_same_document() {
        let list = prost_types::ListValue { values: vec![value(Kind::StringValue("cpu:skylake".into()))] };
        let document = object(vec![
            ("text", value(Kind::StringValue("x".into()))),
            ("whole", value(Kind::NumberValue(64.0))),
            ("broken", value(Kind::NumberValue(0.5))),
            ("truth", value(Kind::BoolValue(true))),
            ("nothing", value(Kind::NullValue(0))),
            ("list", value(Kind::ListValue(list))),
            ("object", value(Kind::StructValue(object(vec![])))),
        ]);
        let text =
            br#" {"text":"x","whole":64,"broken":0.5,"truth":true,"nothing":null,"list":["cpu:skylake"],"object":{}}"#;
        let from_struct = read(&document.encode_to_vec()).unwrap();
        assert_eq!(from_struct, read(text).unwrap());
        assert_eq!(hash(&from_struct), hash(&read(text).unwrap()));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for bytes in [&b""[..], b"  \n", b"{", b"\xff\xff\xff", b"[]", b"machine_types: {}"] {
            assert!(read(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn the_hash_ignores_inline_passwords_only() {
        let with = |password, host| json!({"registries": {"r": {"host": host, "credentials": {"password": password}}}});
        assert_eq!(hash(&with("a", "h")), hash(&with("b", "h")));
        assert_ne!(hash(&with("a", "h")), hash(&with("a", "i")));
    }
}
