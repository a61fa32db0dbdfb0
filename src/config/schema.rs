//! JSON Schema of `metahub.yaml`, for the editors of those who write it. `make schema` writes it to
//! `docs/metahub.schema.json`. It is no part of the filter: the feature `schema` belongs to tests and examples.
//!
//! Draft 7, because that is what YAML editors know best. The schema refuses less than MetaHub does: it does not check
//! one field against another (whether an account's machine type exists).

mod page;

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

pub use self::page::page;
use super::raw::{Named, RawConfig};
use crate::hardware::feature::{CPU, ISA, Rule};
use crate::machine_type::{MAX_NAME_LENGTH, RESERVED};

/// Not empty, without colons and control characters.
pub(super) const NAME: &str = "^[^:\\u0000-\\u001f\\u007f-\\u009f]+$";

/// Without control characters.
pub(super) const TEXT: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// A host with an optional port.
pub(super) const HOST: &str = "^[A-Za-z0-9._:\\[\\]-]+$";

/// Scheme and host.
pub(super) const ORIGIN: &str = "^https?://[A-Za-z0-9._:\\[\\]-]+$";

/// Scheme, host and path.
pub(super) const URL: &str = "^https?://[A-Za-z0-9._:\\[\\]-]+(/[!-\"$-~]*)?$";

/// A path, perhaps with a query.
pub(super) const PATH: &str = "^/[!-\"$-~]*$";

/// Seconds, minutes or hours.
pub(super) const DURATION: &str = "^[0-9]+[smh]$";

/// A bcrypt hash of cost 4 to 10.
pub(super) const BCRYPT: &str = "^\\$2[aby]\\$(0[4-9]|10)\\$[./A-Za-z0-9]{53}$";

/// A repository's name.
pub(super) const REPOSITORY: &str = "^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*$";

/// One component of a repository's name.
pub(super) const COMPONENT: &str = "^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*$";

/// A host without a port, or all that a label before it makes.
pub(super) const HOST_NAME: &str = "^((\\*\\.)?[A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])$";

/// A network or an address.
pub(super) const NETWORK: &str = "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$";

/// A pattern for repositories' names.
pub(super) const PATTERN: &str =
    "^(\\*\\*?|[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)(/(\\*\\*?|[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)){0,127}$";

/// A pattern for tags.
pub(super) const TAG_PATTERN: &str = "^([A-Za-z0-9._*-]|\\{[a-z][a-z0-9_]*\\})+$";

/// A template that makes a tag of another one.
pub(super) const TAG_TEMPLATE: &str = "^([A-Za-z0-9._-]|\\{[a-z][a-z0-9_]*\\})+$";

/// A feature that an image asks for.
pub(super) const FEATURE: &str = "^\\s*[!-+\\--9;-~]+(:[!-+\\--~]*)?\\s*$";

/// The schema that `make schema` writes.
#[must_use]
pub fn schema() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.transforms.push(Box::new(schemars::transform::RecursiveTransform(tidy)));
    let mut generator = settings.into_generator();
    let configuration = generator.subschema_for::<RawConfig>();
    let mut root = resource_file(&configuration);
    if let Some(root) = root.as_object_mut() {
        root.insert("definitions".to_owned(), generator.take_definitions(true).into());
    }
    root
}

/// The file that Envoy reads by ECDS. Envoy's own fields are left to Envoy, except for the path to MetaHub's part.
fn resource_file(configuration: &Schema) -> Value {
    let is = |name: &str| json!({ "const": format!("type.googleapis.com/google.protobuf.{name}") });
    let structure = json!({ "properties": { "@type": is("Struct"), "value": configuration } });
    let text = json!({ "properties": {
        "@type": is("StringValue"),
        "value": { "type": "string", "description": "The same configuration as JSON in one string." },
    } });
    let plugin = json!({
        "type": "object",
        "properties": {
            "configuration": {
                "description": "MetaHub's own configuration.",
                "type": "object",
                "required": ["@type", "value"],
                "additionalProperties": false,
                "properties": { "@type": {}, "value": {} },
                "if": { "properties": { "@type": is("StringValue") } },
                "then": text,
                "else": structure,
            },
        },
        "required": ["configuration"],
    });
    let wasm = json!({ "type": "object", "properties": { "config": plugin }, "required": ["config"] });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "MetaHub's metahub.yaml",
        "description": "The Envoy resource with MetaHub's configuration.",
        "type": "object",
        "properties": {
            "version_info": { "type": "string", "description": "Free text; Envoy shows it in /config_dump." },
            "resources": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": { "type": "string", "description": "The name that envoy.yaml subscribes to." },
                        "typed_config": wasm,
                    },
                    "required": ["@type", "name", "typed_config"],
                },
            },
        },
        "required": ["resources"],
    })
}

/// Leaves out details that do not help people who write YAML: formats of Rust's numbers, and where the lines of
/// comments end.
fn tidy(schema: &mut Schema) {
    schema.remove("format");
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// The names that a machine type may have.
pub(super) fn machine_type_names() -> Value {
    json!({ "pattern": "^[a-z0-9][a-z0-9._-]*$", "maxLength": MAX_NAME_LENGTH, "not": { "enum": RESERVED } })
}

/// There is a machine type, or clients may describe machines.
pub(super) fn named_or_described(schema: &mut Schema) {
    let with = |key: &str, value: Value| json!({ "required": [key], "properties": { key: value } });
    let named = with("machine_types", json!({ "minProperties": 1 }));
    let described = with("described_machine_types", json!({ "const": true }));
    schema.insert("anyOf".to_owned(), json!([named, described]));
}

/// User name and password each come from one place.
pub(super) fn from_here_or_the_environment(schema: &mut Schema) {
    let either = |name: &str| one_of(&[name, &format!("{name}_env")]);
    schema.insert("allOf".to_owned(), json!([either("username"), either("password")]));
}

/// An account has one password or several, and at most one of the fields that say which machine types it is.
pub(super) fn one_or_several(schema: &mut Schema) {
    let not_both = json!({ "not": { "required": ["machine_type", "machine_types"] } });
    schema.insert("allOf".to_owned(), json!([one_of(&["password", "passwords"]), not_both]));
}

/// Exactly one of these fields is there; null is absence.
fn one_of(names: &[&str]) -> Value {
    let present = |name: &&str| json!({ "required": [name], "properties": { *name: { "not": { "type": "null" } } } });
    json!({ "oneOf": names.iter().map(present).collect::<Vec<_>>() })
}

/// The rules of features, by key.
pub(super) struct FeatureRules;

impl JsonSchema for FeatureRules {
    fn schema_name() -> Cow<'static, str> {
        "feature_rules".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "not": { "enum": [CPU, ISA] }, "pattern": "^[!-+\\--9;-~]+$" },
            "additionalProperties": { "enum": Rule::CONFIGURABLE.map(Rule::word) },
        })
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("names_of_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use jsonschema::Validator;

    use super::super::tests::{HASH, base, refusals, with};
    use super::*;
    use crate::config::Config;

    /// The part of the schema that is MetaHub's.
    fn validator() -> Validator {
        let schema = schema();
        let configuration = json!({
            "$schema": schema["$schema"], "definitions": schema["definitions"], "$ref": "#/definitions/configuration",
        });
        jsonschema::validator_for(&configuration).unwrap()
    }

    /// Configurations that only MetaHub itself refuses: where one field must fit another, where the environment
    /// decides, and where no pattern expresses the rule well.
    fn not_in_the_schema() -> Vec<(&'static str, Value)> {
        let with_credentials = |authentication: &str| {
            let credentials = json!({ "username": "u", "password": "p", "public": true });
            json!({ "host": "h", "authentication": authentication, "credentials": credentials })
        };
        let mut anonymous_upstream = with_credentials("upstream");
        anonymous_upstream["anonymous"] = json!("type1");
        let mut anonymous = anonymous_upstream.clone();
        anonymous["authentication"] = json!("accounts");
        let limited = |anonymous: &str, names: &[&str]| {
            let (host, authentication) = ("h", "none");
            json!({
                "host": host, "authentication": authentication, "anonymous": anonymous,
                "anonymous_machine_types": names,
            })
        };
        let mut unchecked = with_credentials("none");
        for registry in [&mut anonymous, &mut unchecked] {
            registry["credentials"].as_object_mut().unwrap().remove("public");
        }
        vec![
            ("/machine_types/type1/devices", json!({ "infiniband": "any" })),
            ("/images", json!({ "a/*": [{ "tag": "*" }], "*/b": [{ "tag": "*" }] })),
            ("/images", json!({ "a": [] })),
            ("/images", json!({ "a": [{}] })),
            ("/images", json!({ "a": [{ "tag": "{a}-{a}" }] })),
            ("/images", json!({ "a": [{ "tag": "*", "variants": [{ "tag": "{b}-x" }] }] })),
            ("/images", json!({ "a": [{ "tag": "*", "assume": { "amd64": "v9" } }] })),
            ("/images", json!({ "a": [{ "tag": "*", "repositories": [{ "repository": "b" }] }] })),
            ("/registries/registry/anonymous", json!("type9")),
            ("/registries/registry/anonymous", json!("none")),
            ("/registries/registry", anonymous),
            ("/registries/registry", anonymous_upstream),
            ("/registries/registry/credentials", json!({ "username": "u", "password_env": "ABSENT" })),
            ("/registries/registry", unchecked),
            ("/registries/registry", with_credentials("upstream")),
            ("/registries/registry/accept_jwt", json!(true)),
            ("/registries/registry", json!({ "host": "h", "authentication": "none", "accept_jwt": true })),
            ("/token_key_env", json!("KEY")),
            ("/token_lifetime", json!("29s")),
            ("/token_lifetime", json!("3601s")),
            ("/events", json!({ "cluster": "builds", "host": "h", "header_env": "ABSENT" })),
            ("/cache", json!({ "bytes": 0, "tag_ttl": "1s" })),
            ("/accounts", json!({})),
            ("/accounts/qnib-type1/machine_type", json!("type3")),
            ("/accounts/ops/machine_types", json!(["type1", "type9"])),
            ("/default_machine_type", json!("type3")),
            ("/accounts/ops/machine_types", json!(["type1", "described"])),
            ("/registries/registry", limited("refuse", &["type1"])),
            ("/registries/registry", limited("type1", &["type1", "type9"])),
            ("/machine_type_from", json!({ "path": "metahub" })),
            ("/machine_type_from", json!({ "path": "library" })),
            ("/machine_type_from", json!({ "hosts": { "a..example": "type1" } })),
            ("/machine_type_from", json!({ "hosts": { "a.example": "*" } })),
            ("/machine_type_from", json!({ "hosts": { "a.example": "type9" } })),
            ("/machine_type_from", json!({ "hosts": { "a.example": "type1", "A.example.": "type1" } })),
            ("/machine_type_from", json!({ "addresses": { "10.1.2.3/16": "type1" } })),
            ("/machine_type_from", json!({ "addresses": { "10.0.0.0/33": "type1" } })),
            ("/machine_type_from", json!({ "addresses": { "::ffff:0:0/95": "type1" } })),
            ("/machine_type_from", json!({ "addresses": { "10.0.0.1": "type9" } })),
            ("/machine_type_from", json!({ "addresses": { "10.0.0.1": "type1", "::ffff:10.0.0.1": "type2" } })),
        ]
    }

    #[test]
    fn the_schema_refuses_what_is_refused() {
        let validator = validator();
        let rows = refusals().into_iter().map(|(pointer, value, _)| (pointer, value));
        let accepted: Vec<(&str, Value)> =
            rows.filter(|(pointer, value)| validator.is_valid(&with(pointer, value.clone()))).collect();
        assert_eq!(accepted, not_in_the_schema());
    }

    #[test]
    fn the_schema_accepts_what_is_accepted() {
        let validator = validator();
        let mut documents = vec![base()];
        let rows = [
            (
                "/machine_types/a.b_c-9",
                json!({ "os": null, "features": [" cpu:zen4 ", "a", "a:b:c"], "prefer": ["cpu"] }),
            ),
            ("/machine_types/windows", json!({ "os": "windows", "os_version": "10.0.20348", "architecture": "amd64" })),
            ("/accounts/a\u{e9} b", json!({ "password": HASH.replace("$2y$05", "$2a$10"), "passwords": null })),
            ("/accounts/ops/machine_types", json!([])),
            ("/described_machine_types", json!(true)),
            ("/username_separator", json!("+-+")),
            (
                "/registries/registry",
                json!({
                    "host": "h", "authentication": "none", "anonymous": "type1",
                    "anonymous_machine_types": ["type2", "unfiltered"],
                }),
            ),
            ("/machine_type_from", json!({})),
            ("/machine_type_from", json!({ "header": null, "path": null, "login": null })),
            (
                "/machine_type_from",
                json!({
                    "header": true, "path": "machines--by.name", "login": false,
                    "hosts": {
                        "A_b.Example.": "unfiltered", "*.nodes": "*", "10.0.0.1": "type1", "[2001:DB8::1]": "type1",
                    },
                    "addresses": { "0.0.0.0/0": "type1", "::/0": "type2", "::ffff:10.0.0.0/104": "unfiltered" },
                }),
            ),
            ("/on_no_match", json!(null)),
            ("/on_no_match", json!("unfiltered")),
            ("/on_no_match", json!("deny")),
            ("/index_by_digest", json!("refuse")),
            ("/public_url", json!("http://[::1]:80")),
            ("/token_lifetime", json!("5m")),
            (
                "/images",
                json!({
                    "library/*": [
                        { "tag": ["latest", "10*"], "assume": { "amd64": "v3" } },
                        { "tag": "{version}-{kind}", "variants": [
                            { "tag": "{version}-rocm-{kind}", "architecture": "amd64", "features": ["rocm"] },
                            { "tag": "{tag}", "os": "linux", "architecture": "arm64", "variant": "v8" },
                        ] },
                    ],
                    "a/b": [{ "repositories": [{ "repository": "a/b-rocm", "features": ["gfx:gfx942"] }] }],
                }),
            ),
            ("/feature_rules", json!({ "driver": "at_least", "sm": "compute_capability", "nvcap": "exact" })),
            ("/feature_rules", json!({ "fabric": "same_major", "rocm": "amd_gpu" })),
            (
                "/machine_types/gpus",
                json!({
                    "architecture": "amd64",
                    "features": ["nvcap:8.6", "nvcap:9.0", "gfx:gfx90a:xnack+", "gfx:gfx90a:sramecc+:xnack-"],
                    "devices": { "nvcap": "any", "gfx": "every" },
                }),
            ),
            ("/cache", json!({ "bytes": 4_194_304.0, "tag_ttl": "168h", "serve_stale_on_error": null })),
            ("/cache", json!({ "bytes": "0" })),
            ("/events", json!({ "cluster": "builds", "host": "[::1]:8088", "path": "/a?b=%20", "header_env": null })),
            ("/registries/registry/mode", json!("observe")),
            ("/registries/registry/prefix", json!("hub-cache/dockerhub")),
            ("/registries/registry/anonymous", json!("type1")),
            ("/registries/registry/credentials", json!({ "username": "a", "password": "", "public": true })),
            (
                "/registries/registry/token_service",
                json!({ "cluster": "c", "realm": "http://a:1/b?c=%20", "service": "" }),
            ),
        ];
        documents.extend(rows.map(|(pointer, value)| with(pointer, value)));
        for document in documents {
            Config::parse(document.to_string().as_bytes(), &|_| None).unwrap();
            let problems: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
            assert_eq!(problems, Vec::<String>::new(), "{document}");
        }
    }

    /// Every field tells operators what it is.
    #[test]
    fn every_field_has_a_description() {
        let schema = schema();
        for (name, definition) in schema["definitions"].as_object().unwrap() {
            for (key, field) in definition["properties"].as_object().unwrap() {
                assert!(field["description"].as_str().is_some_and(|text| text.len() > 10), "{name}.{key}");
            }
        }
    }
}
