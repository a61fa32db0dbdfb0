//! Any bytes as a configuration: an error names a field and shows no secret, and a `google.protobuf.Struct` is read as
//! the JSON of the same document. The rules of its images send machines to nothing but their lines.

use metahub::config::Config;
use metahub::images::Plan;
use metahub::oci::reference::{Repository, Tag};
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::Value as Json;

use super::log_text::harmless;

/// Where a seed or a mutation puts this, it is a password.
const SECRET: &str = "hunter2-hunter2";

pub(crate) fn check(bytes: &[u8]) {
    let parsed = parse(bytes);
    if let Err(message) = &parsed {
        assert!(!message.contains(SECRET), "{message}");
    }
    let Ok(document) = serde_json::from_slice::<Json>(bytes) else { return };
    // A level is one of JSON and three of messages; where the limits are does not matter here. An empty Struct has no
    // bytes.
    let members = document.as_object().map_or(0, serde_json::Map::len);
    if members == 0 || depth(&document) > 20 {
        return;
    }
    let from_struct = parse(&structure(&document).encode_to_vec());
    assert_eq!(parse(document.to_string().as_bytes()), from_struct, "{document}");
}

/// The configuration's hash, or the error.
fn parse(bytes: &[u8]) -> Result<String, String> {
    let environment = |name: &str| (name == "SECRET").then(|| SECRET.to_owned());
    let config = Config::parse(bytes, &environment).map_err(|error| error.to_string())?;
    plans(&config);
    Ok(config.hash().to_owned())
}

/// Applies the rules of an image for each machine type.
fn plans(config: &Config) {
    let repository = Repository::parse("team/app").expect("a repository");
    let Some(rules) = config.images().of(&repository) else { return };
    for machine_type in config.allowed_machine_types(None) {
        let _ = rules.repository(&machine_type);
        for tag in ["latest", "1.0-a", "1.0-a-rocm", "1.0-x-a", "a"] {
            let tag = Tag::parse(tag).expect("a tag");
            let Some(rule) = rules.rule(&tag) else { continue };
            let lines = rule.lines(&tag);
            match rule.plan(&tag, &machine_type) {
                Plan::AsItIs => assert!(lines.is_empty(), "{tag:?} has lines and stands for itself"),
                Plan::NothingFits(message) => assert!(harmless(&message), "{message}"),
                Plan::Search(mut search) => {
                    while let Some(next) = search.next(|_| None) {
                        assert!(lines.iter().any(|line| line.tag.as_ref() == Some(&next)), "{next:?} is of no line");
                    }
                }
            }
        }
    }
}

/// How deep maps and lists are nested in each other.
fn depth(document: &Json) -> usize {
    match document {
        Json::Array(list) => 1 + list.iter().map(depth).max().unwrap_or_default(),
        Json::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

fn structure(document: &Json) -> Struct {
    let fields = document.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), message(value)));
    Struct { fields: fields.collect() }
}

fn message(value: &Json) -> Value {
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(*truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(list) => Kind::ListValue(ListValue { values: list.iter().map(message).collect() }),
        Json::Object(_) => Kind::StructValue(structure(value)),
    };
    Value { kind: Some(kind) }
}
