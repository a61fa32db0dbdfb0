//! The pages' code blocks: YAML is read, and configurations by MetaHub itself. Each block of commands says above
//! itself, where only those who edit the page see it, which test runs it or why none does:
//!
//! ```text
//! <!-- run by: real::fleet::explain_says_what_pulls_return -->
//! <!-- not run: needs a cluster -->
//! ```

use std::fs;

use metahub::config::Config;
use pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use serde_json::{Value, json};

use super::{Page, root};
use crate::native::{promises, schema};

/// The languages that blocks may have: what is none of a shell or YAML is looked at by other tests, or is prose.
const SHELLS: [&str; 2] = ["console", "sh"];
const OTHERS: [&str; 5] = ["json", "mermaid", "rust", "text", "toml"];

/// `htpasswd -nbB -C 5 user secret`, for the pages' `$2y$05$…`.
const HASH: &str = "$2y$05$6hmw180ZC1GqMOZ8m7gt7OGqZOgYMJnHYJF6BynRVcllRykpv9b.O";

/// A code block.
pub(crate) struct Block {
    /// Where it begins, for messages.
    pub(crate) place: String,
    language: String,
    pub(crate) text: String,
    /// The comment directly above it.
    mark: Option<String>,
}

fn blocks(page: &Page) -> Vec<Block> {
    let (mut blocks, mut open, mut mark) = (Vec::<Block>::new(), false, None);
    for (event, range) in page.events() {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                let place = page.place(range.start);
                blocks.push(Block { place, language, text: String::new(), mark: mark.take() });
                open = true;
            }
            Event::Text(text) if open => blocks.last_mut().unwrap().text.push_str(&text),
            Event::End(TagEnd::CodeBlock) => open = false,
            Event::Html(html) => mark = Some(html.trim().to_owned()),
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            _ => mark = None,
        }
    }
    blocks
}

/// The blocks of all pages.
fn all() -> Vec<Block> {
    Page::all().iter().flat_map(blocks).collect()
}

/// The blocks whose mark says that this test runs them.
pub(crate) fn run_by(test: &str) -> Vec<Block> {
    let mark = format!("<!-- run by: {test} -->");
    all().into_iter().filter(|block| block.mark.as_deref() == Some(&mark)).collect()
}

/// The configuration in `envoy/metahub.yaml`.
pub(crate) fn shipped_configuration() -> Value {
    let document = serde_saphyr::from_str(&fs::read_to_string(root().join("envoy/metahub.yaml")).unwrap()).unwrap();
    let mut found = Vec::new();
    configurations(&document, &mut found);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// The problem with the mark of a block of commands.
fn problem(mark: Option<&str>) -> Option<String> {
    let comment = mark.and_then(|mark| mark.strip_prefix("<!-- ")?.strip_suffix(" -->"));
    match comment.and_then(|comment| comment.split_once(": ")) {
        Some(("run by", test)) => (!promises::exists(test)).then(|| format!("there is no test {test}")),
        Some(("not run", reason)) => reason.trim().is_empty().then(|| "says no reason".to_owned()),
        _ => Some("has neither <!-- run by: … --> nor <!-- not run: … --> in the line above it".to_owned()),
    }
}

#[test]
fn every_block_has_a_language() {
    let known = |language: &str| language == "yaml" || SHELLS.contains(&language) || OTHERS.contains(&language);
    let unknown = all().into_iter().filter(|block| !known(&block.language));
    let problems: Vec<String> = unknown.map(|block| format!("{}: {:?}", block.place, block.language)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn commands_are_run_or_say_why_not() {
    let blocks: Vec<Block> = all().into_iter().filter(|block| SHELLS.contains(&block.language.as_str())).collect();
    assert!(blocks.len() > 5, "only {} were found", blocks.len());
    let of = |block: &Block| problem(block.mark.as_deref()).map(|problem| format!("{}: {problem}", block.place));
    let problems: Vec<String> = blocks.iter().filter_map(of).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn wrong_marks_are_noticed() {
    let rows = [
        ("<!-- not run: needs a cluster -->\n```sh\ntrue\n```", true),
        ("- item\n\n  <!-- not run: needs a cluster -->\n  ```sh\n  true\n  ```", true),
        ("<!-- run by: native::pages::blocks::wrong_marks_are_noticed -->\n```sh\ntrue\n```", true),
        ("<!-- run by: native::pages::blocks::no_such_test -->\n```sh\ntrue\n```", false),
        ("<!-- not run: needs a cluster -->\n\nText.\n\n```sh\ntrue\n```", false),
        ("<!-- not run:  -->\n```sh\ntrue\n```", false),
        ("<!-- not run -->\n```sh\ntrue\n```", false),
        ("```sh\ntrue\n```", false),
    ];
    for (text, right) in rows {
        let page = Page { path: root().join("page.md"), text: format!("# Page\n\n{text}\n") };
        let blocks = blocks(&page);
        assert_eq!((blocks.len(), blocks[0].text.as_str().trim()), (1, "true"), "{text}");
        assert_eq!(problem(blocks[0].mark.as_deref()).is_none(), right, "{text}");
    }
}

/// The documents of a block, with `HASH` for the hashes that the page leaves out.
pub(crate) fn documents(block: &Block) -> Vec<Value> {
    let yaml = block.text.replace("$2y$05$…", HASH);
    let documents = serde_saphyr::from_multiple(&yaml);
    documents.unwrap_or_else(|error| panic!("{}: {error}\n{yaml}", block.place))
}

/// The configurations that are somewhere in a document: in Envoy's form, or a part of one alone.
fn configurations(document: &Value, found: &mut Vec<Value>) {
    match document {
        Value::Array(items) => items.iter().for_each(|item| configurations(item, found)),
        Value::Object(members) if document["@type"] == "type.googleapis.com/google.protobuf.Struct" => {
            found.extend(members.get("value").cloned());
        }
        Value::Object(members) => members.values().for_each(|member| configurations(member, found)),
        _ => {}
    }
}

/// The parts of a configuration on a page, each a whole one.
pub(crate) fn configurations_of(page: &str) -> Vec<Value> {
    let blocks = all().into_iter().filter(|block| block.language == "yaml" && block.place.starts_with(page));
    blocks.flat_map(|block| documents(&block)).map(whole).collect()
}

/// Keys of 32 characters, and headers.
fn environment(variable: &str) -> Option<String> {
    let header = variable.ends_with("_HEADER").then(|| "Authorization: Bearer k".to_owned());
    header.or_else(|| Some("k".repeat(32)))
}

/// A part of a configuration, with what it needs to be a whole one.
fn whole(part: Value) -> Value {
    let types = ["generic", "gpu1", "type1", "type2"].map(|name| (name.to_owned(), json!({ "architecture": "amd64" })));
    let mut document = json!({
        "machine_types": serde_json::Map::from_iter(types),
        "registries": { "registry": { "host": "registry.example", "authentication": "accounts" } },
        "accounts": { "node": { "password": HASH } },
    });
    let Value::Object(part) = part else { panic!("{part} is no part of a configuration") };
    document.as_object_mut().unwrap().extend(part);
    document
}

#[test]
fn yaml_is_read_and_configurations_are_accepted() {
    let schema = schema::configuration();
    let keys = schema["definitions"]["configuration"]["properties"].as_object().unwrap();
    let is_part =
        |document: &Value| document.as_object().is_some_and(|members| members.keys().all(|key| keys.contains_key(key)));
    let (mut read, mut accepted) = (0, 0);
    for block in all().iter().filter(|block| block.language == "yaml") {
        for document in documents(block) {
            read += 1;
            let mut found = Vec::new();
            configurations(&document, &mut found);
            found.extend(is_part(&document).then(|| whole(document)));
            for configuration in found {
                schema::require(&schema, &configuration, &block.place);
                let parsed = Config::parse(configuration.to_string().as_bytes(), &environment);
                parsed.unwrap_or_else(|error| panic!("{}: {error}", block.place));
                accepted += 1;
            }
        }
    }
    assert!(read > 8 && accepted > 6, "only {read} documents and {accepted} configurations were found");
}

/// The hash that operators compare is the one of the shipped file.
#[test]
fn the_pages_show_the_shipped_configurations_hash() {
    let shipped = Config::parse(shipped_configuration().to_string().as_bytes(), &|_| None).unwrap();
    let mut shown = 0;
    for block in all() {
        for before in ["configuration in force: 3 machine types, ", "\"configuration\":\""] {
            for (_, after) in block.text.match_indices(before).map(|(at, _)| block.text.split_at(at + before.len())) {
                assert!(after.starts_with(shipped.hash()), "{}: the hash is {}", block.place, shipped.hash());
                shown += 1;
            }
        }
    }
    assert!(shown > 0, "no page shows it");
}
