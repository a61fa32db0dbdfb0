//! The configuration's keys as a page for people: `make schema` writes it to `docs/configuration.md`.
//!
//! It says what the schema says. Two habits of the fields' comments make its columns: `Default: …` stands at the end of
//! a comment, and each value of a choice has a comment of its own.

use serde::de::value::Error;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::Value;

use super::super::raw::{
    RawAccount, RawCache, RawConfig, RawCredentials, RawEvents, RawMachineType, RawRegistry, RawTokenService,
};
use super::super::raw_images::{RawImageRule, RawVariant, RawVariantRepository};
use super::super::raw_machine_type_from::RawMachineTypeFrom;

/// The text above the tables.
const HEAD: &str = "# Configuration

MetaHub's configuration is what `metahub.yaml` has below `configuration.value`. This page lists its keys. It is
generated from the types that read them: `make schema` writes it, and `make check` fails where it differs.

Unknown keys are refused, and every refusal names its field: `machine_types.type2.features[1]: nvcap:abc: expected a
compute capability such as 8.6`. Keys are also checked against each other: a machine type that an account names must
exist.

Editors that know JSON Schema (VS Code with the YAML extension, and others with its language server) complete and check
the file by [metahub.schema.json](metahub.schema.json), which the first line of each shipped file names.
";

/// The keys of one map, with an example.
struct Section {
    heading: &'static str,
    /// Its name in the schema.
    definition: &'static str,
    /// In the order of the type.
    keys: &'static [&'static str],
    example: &'static str,
}

fn sections() -> [Section; 12] {
    let section = |heading, definition, keys, example| Section { heading, definition, keys, example };
    [
        section("## The top level", "configuration", keys::<RawConfig>(), TOP_LEVEL),
        section("## machine_types", "machine_type", keys::<RawMachineType>(), MACHINE_TYPES),
        section("## machine_type_from", "machine_type_from", keys::<RawMachineTypeFrom>(), MACHINE_TYPE_FROM),
        section("## registries", "registry", keys::<RawRegistry>(), REGISTRIES),
        section("### token_service", "token_service", keys::<RawTokenService>(), TOKEN_SERVICE),
        section("### credentials", "credentials", keys::<RawCredentials>(), CREDENTIALS),
        section("## accounts", "account", keys::<RawAccount>(), ACCOUNTS),
        section("## images", "image_rule", keys::<RawImageRule>(), IMAGES),
        section("### variants", "image_variant", keys::<RawVariant>(), VARIANTS),
        section("### repositories", "image_repository", keys::<RawVariantRepository>(), REPOSITORIES),
        section("## cache", "cache", keys::<RawCache>(), CACHE),
        section("## events", "events", keys::<RawEvents>(), EVENTS),
    ]
}

const TOP_LEVEL: &str = r#"machine_types:
  type1: { features: ["cpu:broadwell"] }
  type2: { features: ["cpu:skylake", "driver:550"] }
registries:
  registry: { host: registry.example, authentication: accounts }
accounts:
  ops: { password: "$2y$05$…" } # logs in as ops-type1 or ops-type2
default_machine_type: type1
feature_rules: { fabric: at_least }
cache: { bytes: 256MiB }
"#;

const MACHINE_TYPES: &str = r#"machine_types:
  gpu1: { features: ["cpu:icelake", "nvcap:8.6", infiniband] }
  type1: { features: ["cpu:zen4", "nvcap:8.9"], prefer: [cpu] }
  gpus: { features: ["cpu:zen4", "nvcap:8.6", "nvcap:9.0"], devices: { nvcap: any } }
  type2: { architecture: arm64, variant: v8.2 }
  generic: { architecture: amd64 }
  windows1: { os: windows, os_version: 10.0.20348, architecture: amd64 }
"#;

const MACHINE_TYPE_FROM: &str = r#"machine_type_from:
  header: true
  path: machines
  hosts: { gpu1.hub.example: gpu1, "*.nodes.hub.example": "*" }
  addresses: { "10.1.0.0/16": gpu1, "10.1.2.3": type1, "2001:db8::/32": type2 }
"#;

const REGISTRIES: &str = r#"registries:
  registry: { host: "registry.example:5000", authentication: accounts, anonymous: generic }
  private: { host: private.example, authentication: upstream, accept_jwt: true }
"#;

const TOKEN_SERVICE: &str = r#"registries:
  docker_hub:
    host: registry-1.docker.io
    authentication: none
    default_namespace: library
    token_service: { cluster: docker_hub_auth, realm: "https://auth.docker.io/token", service: registry.docker.io }
"#;

const CREDENTIALS: &str = r#"registries:
  registry:
    host: registry.example
    authentication: accounts
    credentials: { username: metahub, password_env: REGISTRY_PASSWORD }
"#;

const ACCOUNTS: &str = r#"accounts:
  node-gpu: { password: "$2y$05$…", machine_type: gpu1 } # a login bound to one machine type
  ops: # logs in as ops-type1 or ops-type2
    passwords: ["$2y$05$…", "$2y$05$…"] # the old and the new one
    machine_types: [type1, type2]
    repositories: ["library/*", "qnib/**"]
  ci: { password: "$2y$05$…", machine_type: unfiltered } # gets whole indexes
"#;

const IMAGES: &str = r#"images:
  ollama/ollama:
  - { tag: ["*-rc*", nightly] } # as they are
  - tag: "*"
    variants: [{ tag: "{tag}-rocm", features: ["gfx:gfx942"] }, { tag: "{tag}" }]
  library/almalinux:
  - { tag: ["10", "10.*", latest], assume: { amd64: v3 } }
"#;

const VARIANTS: &str = r#"images:
  pytorch/pytorch:
  - tag: "{version}-{kind}"
    variants:
    - { tag: "{version}-cuda12.8-cudnn9-{kind}", features: ["nvcap:8.0", "cuda:12.8"] }
    - { tag: "{version}-cpu-{kind}", architecture: amd64, variant: v3 }
"#;

const REPOSITORIES: &str = r#"images:
  vllm/vllm-openai:
  - repositories:
    - { repository: vllm/vllm-openai-rocm, architecture: amd64, features: ["gfx:gfx942"] }
"#;

const CACHE: &str = "cache: { bytes: 1GiB, tag_ttl: 30s, serve_stale_on_error: 2h }
";

const EVENTS: &str = r#"events:
  cluster: builds
  host: "builds.example:8088"
  path: /events
  header_env: METAHUB_EVENTS_HEADER # Authorization: Bearer …
"#;

/// The page that `make schema` writes to `docs/configuration.md`.
#[must_use]
pub fn page() -> String {
    let schema = super::schema();
    let sections = sections();
    let mut page = HEAD.to_owned();
    for section in &sections {
        let Section { heading, example, .. } = section;
        let definition = schema.pointer(&format!("/definitions/{}", section.definition)).unwrap_or(&Value::Null);
        let about = text(definition, "description");
        page.push_str(&format!("\n{heading}\n\n{about}\n\n| key | type | default | meaning |\n|---|---|---|---|\n"));
        let rows = section.keys.iter().map(|key| row(definition, key, &sections));
        page.extend(rows);
        page.push_str(&format!("\n```yaml\n{example}```\n"));
    }
    page
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// One key's line of a table.
fn row(definition: &Value, key: &str, sections: &[Section]) -> String {
    let field = definition.pointer(&format!("/properties/{key}")).unwrap_or(&Value::Null);
    let (meaning, default) =
        text(field, "description").split_once(" Default: ").unwrap_or((text(field, "description"), ""));
    let is_required = items(definition, "required").any(|required| required == key);
    let default = if is_required { "required" } else { default.trim_end_matches('.') };
    let choices = choices(field).into_iter().filter(|choice| choice.get("description").is_some());
    let choices = choices.map(|choice| format!(" `{}`: {}", text(choice, "const"), text(choice, "description")));
    format!("| `{key}` | {} | {default} | {meaning}{} |\n", type_of(field, sections), choices.collect::<String>())
}

/// The schemas of a field's values, if it is a choice; null is absence.
fn choices(field: &Value) -> Vec<&Value> {
    let nested = items(field, "anyOf").flat_map(choices);
    items(field, "oneOf").chain(nested).collect()
}

/// The type of a value, in words.
fn type_of(schema: &Value, sections: &[Section]) -> String {
    let reference = text(schema, "$ref").rsplit('/').next().unwrap_or_default();
    if let Some(section) = sections.iter().find(|section| section.definition == reference) {
        let heading = section.heading.trim_start_matches(['#', ' ']);
        return format!("[{}](#{heading})", section.definition.replace('_', " "));
    }
    let quoted = |value: &Value| value.as_str().map(|value| format!("`{value}`"));
    let constants: Vec<String> = items(schema, "oneOf")
        .filter_map(|choice| choice.get("const"))
        .chain(items(schema, "enum"))
        .filter_map(quoted)
        .collect();
    if !constants.is_empty() {
        return constants.join(", ");
    }
    let several: Vec<String> = items(schema, "anyOf")
        .filter(|schema| text(schema, "type") != "null")
        .map(|schema| type_of(schema, sections))
        .collect();
    if !several.is_empty() {
        return several.join(" or ");
    }
    let of = |key: &str| type_of(schema.get(key).unwrap_or(&Value::Null), sections);
    let names = schema.get("type").into_iter().chain(items(schema, "type")).filter_map(Value::as_str);
    match names.into_iter().find(|name| *name != "null") {
        Some("array") => format!("list of {}", of("items")),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("integer") => "number".to_owned(),
        Some("object") => format!("map to {}", of("additionalProperties")),
        Some("string") => "text".to_owned(),
        _ => String::new(),
    }
}

/// The keys of a type, in its order; the schema has them by the alphabet.
fn keys<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut keys: &[&str] = &[];
    // It fails as soon as it has told its keys.
    let _ = T::deserialize(Keys(&mut keys));
    keys
}

/// Takes a type's keys when it asks for a value of itself.
struct Keys<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Keys<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a type with keys"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = keys;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
