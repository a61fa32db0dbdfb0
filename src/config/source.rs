//! Configuration bytes → one document, whichever form Envoy hands over.

use prost::Message as _;

use super::document::Map;
use super::error::ConfigError;
use super::json;

/// Reads JSON text, else a binary `google.protobuf.Struct`. The keys of maps are sorted.
pub(super) fn read(bytes: &[u8]) -> Result<Map, ConfigError> {
    if bytes.trim_ascii().is_empty() {
        return Err(ConfigError::new("", "the plugin configuration is empty"));
    }
    let mut document = if bytes.trim_ascii_start().first() == Some(&b'{') {
        // A Struct whose first field has 123 bytes begins like this too: with a line feed, which is the field's tag,
        // and a bracket.
        json::read(bytes)
            .or_else(|error| if bytes.starts_with(b"\n{") { Map::decode(bytes).map_err(|_| error) } else { Err(error) })
    } else {
        Map::decode(bytes).map_err(|_| ConfigError::new("", "neither JSON text nor a google.protobuf.Struct"))
    }?;
    document.sort().map_err(|key| ConfigError::new("", format!("the key `{key}` is there twice in one map")))?;
    Ok(document)
}

#[cfg(test)]
pub(super) mod tests {
    use prost::Message as _;
    use prost_types::value::Kind;
    use serde_json::{Value as Json, json};

    use super::super::hash::of as digest_of;
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

    /// The Struct that Envoy makes of YAML.
    pub(in crate::config) fn encoded(document: &Json) -> Vec<u8> {
        object(document).encode_to_vec()
    }

    #[test]
    fn a_struct_and_its_json_are_the_same_document() {
        let document = json!({
            "text": "x", "escaped": "\u{e9}\n\"", "whole": 64, "negative": -1, "truth": true,
            "nothing": null, "list": ["cpu:skylake", [], {}], "object": { "": "no key" },
        });
        let binary = encoded(&document);
        let from_struct = read(&binary).unwrap();
        let text = document.to_string();
        assert_eq!(from_struct, read(text.as_bytes()).unwrap());
        assert_eq!(digest_of(&from_struct), digest_of(&read(text.as_bytes()).unwrap()));
    }

    #[test]
    fn a_struct_is_one_whatever_the_length_of_its_first_field() {
        for length in 0..300 {
            let document = json!({ "text": "x".repeat(length) });
            let binary = encoded(&document);
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
        let deep = |levels| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(read(deep(127).as_bytes()).is_ok());
        assert!(read(deep(128).as_bytes()).is_err());
    }

    #[test]
    fn a_key_may_not_be_there_twice() {
        // {"a": 0, "b": 0, "a": 0} as a Struct: an encoder writes a key once.
        let entry = |key: &str| ["\n\u{e}\n\u{1}", key, "\u{12}\t\u{11}\0\0\0\0\0\0\0\0"].concat();
        let structure = ["a", "b", "a"].map(entry).concat();
        for document in [r#"{"accounts":{"a":1,"b":2,"a":3}}"#, r#"{"a":1,"\u0061":1}"#, &structure] {
            let error = read(document.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "the key `a` is there twice in one map", "{document:?}");
        }
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
