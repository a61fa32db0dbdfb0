//! `docs/metahub.schema.json`: it agrees with the configuration's types, and the shipped files agree with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use metahub::config::Config;
use metahub::hardware::feature::Rule;
use serde_json::{Value, json};

/// The start of a file's first line, which tells editors the path of the schema.
const HEAD: &str = "# yaml-language-server: $schema=";

fn text(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shipped() -> Value {
    serde_json::from_str(&text("docs/metahub.schema.json")).unwrap()
}

/// All files of this name in `envoy/` and its folders.
fn files(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("envoy").unwrap().map(|entry| entry.unwrap().path());
    let files = entries.chain([PathBuf::from("envoy")]).map(|folder| folder.join(name));
    files.filter(|file| file.exists()).collect()
}

/// The problems of `document`.
fn problems(schema: &Value, document: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.iter_errors(document).map(|error| error.to_string()).collect()
}

/// The part of the schema that is MetaHub's.
pub(super) fn configuration() -> Value {
    let schema = shipped();
    json!({
        "$schema": schema["$schema"], "definitions": schema["definitions"], "$ref": "#/definitions/configuration",
    })
}

pub(super) fn require(schema: &Value, document: &Value, what: &str) {
    assert_eq!(problems(schema, document), Vec::<String>::new(), "{what}");
}

#[test]
fn the_shipped_schema_is_what_the_types_say() {
    assert_eq!(shipped(), metahub::config::schema(), "run: make schema");
    assert!(jsonschema::meta::is_valid(&shipped()));
}

#[test]
fn the_shipped_page_is_what_the_types_say() {
    let page = metahub::config::page();
    assert!(text("docs/configuration.md") == page, "run: make schema");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").map(str::trim).collect())
        .collect();
    for row in &rows {
        assert!(row.len() == 4 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
    let schema = shipped();
    let keys = schema["definitions"].as_object().unwrap().values();
    let keys: usize = keys.map(|definition| definition["properties"].as_object().unwrap().len()).sum();
    assert_eq!(rows.len(), keys, "a key is missing or twice on the page");
    for rule in Rule::CONFIGURABLE.map(Rule::word) {
        assert!(page.contains(&format!("`{rule}`")), "{rule}");
    }
}

#[test]
fn shipped_configurations_fit_the_schema_and_name_it() {
    let schema = shipped();
    let files = files("metahub.yaml");
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let yaml = text(&file);
        let name = yaml.lines().next().unwrap().strip_prefix(HEAD).unwrap();
        let named = file.parent().unwrap().join(name).canonicalize().unwrap();
        assert_eq!(named, Path::new("docs/metahub.schema.json").canonicalize().unwrap(), "{}", file.display());
        let document: Value = serde_saphyr::from_str(&yaml).unwrap();
        require(&schema, &document, &file.display().to_string());
        let value = &document["resources"][0]["typed_config"]["config"]["configuration"]["value"];
        Config::parse(value.to_string().as_bytes(), &|_| Some("from outside".to_owned())).unwrap();
    }
}

/// The tables of keys that operators read.
#[test]
fn the_page_names_every_key_and_every_rule() {
    let page = text("docs/configuration.md");
    let named: BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .flat_map(|code| code.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'))
        .collect();
    for (name, definition) in shipped()["definitions"].as_object().unwrap() {
        for key in definition["properties"].as_object().unwrap().keys() {
            assert!(named.contains(key.as_str()), "{name}.{key}");
        }
    }
    for rule in Rule::CONFIGURABLE.map(Rule::word) {
        assert!(named.contains(rule), "{rule}");
    }
}

/// The way from the file to MetaHub's part of it says something, in both forms that Envoy knows.
#[test]
fn what_is_wrong_in_the_file_is_refused() {
    let schema = shipped();
    let good: Value = serde_saphyr::from_str(&text("envoy/metahub.yaml")).unwrap();
    require(&schema, &good, "the shipped file");
    let configuration = "/resources/0/typed_config/config/configuration";
    let string = json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": "{}" });
    let with = |pointer: &str, value: Value| {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        document
    };
    require(&schema, &with(configuration, string), "a configuration as text");
    let below = |path: &str| format!("{configuration}{path}");
    let rows = [
        (String::new(), json!({})),
        ("/resources".to_owned(), json!({})),
        ("/resources/0/typed_config".to_owned(), json!({})),
        ("/resources/0/typed_config/config".to_owned(), json!({})),
        (below(""), json!({})),
        (below("/@type"), json!("type.googleapis.com/google.protobuf.StringValue")),
        (below("/@type"), json!("type.googleapis.com/google.protobuf.BytesValue")),
        (below("/value"), json!("text")),
        (below("/value"), json!({ "machine_types": {} })),
        (below("/value/registries/registry"), json!({ "host": "h" })),
        (below("/value/registries/registry/authentication"), json!("some")),
        (below("/value/machine_types/type1"), json!({ "featurez": [] })),
        (below("/value/machine_types/type1/features"), json!("cpu:skylake")),
        (below("/value/accounts/qnib-type1/password"), json!(1)),
    ];
    for (pointer, value) in rows {
        let document = with(&pointer, value);
        assert_ne!(problems(&schema, &document), Vec::<String>::new(), "{pointer}: {document:#}");
    }
}
