//! Configuration bytes → one document, whichever form Envoy hands over.

use super::document::{self, Value};
use super::{ConfigError, protobuf};

/// Reads JSON text, else a binary `google.protobuf.Struct`. The keys of maps are sorted.
pub(super) fn read(bytes: &[u8]) -> Result<Value<'_>, ConfigError> {
    if bytes.trim_ascii().is_empty() {
        return Err(ConfigError::new("", "the plugin configuration is empty"));
    }
    let structure = || protobuf::decode(bytes).map(Value::Map);
    let mut document = if bytes.trim_ascii_start().first() == Some(&b'{') {
        // A Struct begins so too, where its first field has 123 bytes: a line's end, which is the field's tag, and a bracket.
        text(bytes)
            .or_else(|error| if bytes.starts_with(b"\n{") { structure().map_err(|_| error) } else { Err(error) })?
    } else {
        structure().map_err(|_| ConfigError::new("", "neither JSON text nor a google.protobuf.Struct"))?
    };
    document.sort().map_err(|key| ConfigError::new("", format!("the key `{key}` is twice in one map")))?;
    Ok(document)
}

fn text(bytes: &[u8]) -> Result<Value<'_>, ConfigError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ConfigError::new("", format!("not JSON: {error}")))?;
    document::read(text).map_err(|error| ConfigError::new("", format!("not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::value::Kind;
    use serde_json::{Value as Json, json};

    use super::super::document::hash as digest_of;
    use super::*;

    fn message(value: &Json) -> prost_types::Value {
        let kind = match value {
            Json::Null => Kind::NullValue(0),
            Json::Bool(truth) => Kind::BoolValue(*truth),
            Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
            Json::String(text) => Kind::StringValue(text.clone()),
            Json::Array(list) => Kind::ListValue(prost_types::ListValue { values: list.iter().map(message).collect() }),
            Json::Object(_) => Kind::StructValue(object(value)),
        };
        prost_types::Value { kind: Some(kind) }
    }

    fn object(value: &Json) -> prost_types::Struct {
        let fields = value.as_object().unwrap().iter().map(|(key, value)| (key.clone(), message(value)));
        prost_types::Struct { fields: fields.collect() }
    }

    #[test]
    fn a_struct_and_its_json_are_the_same_document() {
        let document = json!({
            "text": "x", "escaped": "\u{e9}\n\"", "whole": 64, "negative": -1, "truth": true,
            "nothing": null, "list": ["cpu:skylake", [], {}], "object": { "": "no key" },
        });
        let binary = object(&document).encode_to_vec();
        let from_struct = read(&binary).unwrap();
        let text = document.to_string();
        assert_eq!(from_struct, read(text.as_bytes()).unwrap());
        assert_eq!(digest_of(&from_struct), digest_of(&read(text.as_bytes()).unwrap()));
    }

    #[test]
    fn a_struct_is_one_whatever_the_length_of_its_first_field() {
        for length in 0..300 {
            let document = json!({ "text": "x".repeat(length) });
            let binary = object(&document).encode_to_vec();
            let read = read(&binary).map_err(|error| format!("{error:?}")).unwrap();
            assert_eq!(digest_of(&read), hash(&document), "{length}");
        }
    }

    fn hash(document: &Json) -> String {
        digest_of(&read(document.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn what_is_neither_is_refused() {
        for bytes in [&b""[..], b"  \n", b"{", b"\xff\xff\xff", b"[]", b"machine_types: {}"] {
            assert!(read(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(1000), "}".repeat(1000));
        assert!(read(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_key_may_not_be_there_twice() {
        let error = read(br#"{"accounts":{"a":1,"b":2,"a":3}}"#).unwrap_err();
        assert!(error.message.contains("`a`"), "{error}");
    }

    #[test]
    fn the_hash_knows_what_differs() {
        let rows = [
            (json!({"a": "b"}), json!({"ab": ""})),
            (json!({"a": []}), json!({"a": {}})),
            (json!({"a": [[], 1]}), json!({"a": [[1]]})),
            (json!({"a": true}), json!({"a": false})),
            (json!({"a": null}), json!({"a": 0})),
            (json!({"a": 1}), json!({"a": "1"})),
        ];
        for (one, other) in rows {
            assert_ne!(hash(&one), hash(&other), "{one} {other}");
        }
        let [one, other] = [r#"{"a": 1, "b": {"c": 2, "d": 3}}"#, r#"{"b": {"d": 3, "c": 2}, "a": 1}"#];
        assert_eq!(digest_of(&read(one.as_bytes()).unwrap()), digest_of(&read(other.as_bytes()).unwrap()));
    }

    #[test]
    fn the_hash_ignores_inline_passwords_only() {
        let with = |password, host| {
            let document =
                json!({"registries": {"r": {"host": host, "credentials": {"username": "u", "password": password}}}});
            hash(&document)
        };
        assert_eq!(with("a", "h"), with("b", "h"));
        assert_ne!(with("a", "h"), with("a", "i"));
        let elsewhere = |password| hash(&json!({"accounts": {"r": {"password": password}}}));
        assert_ne!(elsewhere("a"), elsewhere("b"));
    }
}
