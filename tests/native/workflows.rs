//! The forge's jobs in `.github/` run the Makefile's commands, as people do, and may do little else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use metahub_testkit::config::{Edit as _, parse};
use serde_json::{Value, json};

/// The targets that people run before a change lands, and those that run each night.
const TARGETS: [&str; 5] = ["advisories", "check", "docs", "fuzz", "test"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The YAML files of a folder below `.github`, with their names.
fn documents(folder: &str) -> Vec<(String, Value)> {
    let entries = fs::read_dir(root().join(".github").join(folder)).unwrap();
    let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(paths.len() >= 2, "{paths:?}");
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let document = parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, document)
    };
    paths.iter().map(read).collect()
}

/// The jobs of all workflows, named `FILE: JOB`.
fn jobs() -> Vec<(String, Value)> {
    let named = |(file, workflow): (String, Value)| {
        let jobs = workflow.at("jobs").as_object().unwrap().clone();
        jobs.into_iter().map(move |(job, value)| (format!("{file}: {job}"), value))
    };
    documents("workflows").into_iter().flat_map(named).collect()
}

/// The targets that the Makefile declares.
fn targets() -> BTreeSet<String> {
    let makefile = include_str!("../../Makefile");
    let declared = makefile.lines().filter_map(|line| line.strip_prefix(".PHONY: "));
    declared.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// The target of a step that runs `make TARGET NAME=value`, and nothing if it runs anything else.
fn target(command: &str) -> Option<&str> {
    let words = command.strip_prefix("make ")?;
    let (target, variables) = words.split_once(' ').unwrap_or((words, ""));
    let is_variable = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or_default();
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase());
        is_name && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    variables.split_whitespace().all(is_variable).then_some(target)
}

/// Whether an action is pinned by its commit.
fn is_pinned(action: &str) -> bool {
    let commit = action.split_once('@').map(|(_, commit)| commit).unwrap_or_default();
    commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[test]
fn jobs_run_what_people_run_and_nothing_else() {
    let declared = targets();
    let mut run = BTreeSet::new();
    for (name, job) in jobs() {
        let steps = job.at("steps").as_array().unwrap();
        let [checkout, step] = steps.as_slice() else { panic!("{name} has {} steps", steps.len()) };
        let action = checkout.at("uses").as_str().unwrap();
        assert!(action.starts_with("actions/checkout@") && is_pinned(action), "{name} uses {action}");
        assert_eq!(checkout.at("with"), &json!({ "persist-credentials": false }), "{name}");
        let command = step.at("run").as_str().unwrap();
        assert_eq!(step, &json!({ "run": command }), "{name}");
        let target = target(command).unwrap_or_else(|| panic!("{name} runs {command:?}"));
        assert!(declared.contains(target), "{name}: the Makefile has no {target}");
        run.insert(target.to_owned());
    }
    assert_eq!(run, BTreeSet::from(TARGETS.map(str::to_owned)));
}

#[test]
fn jobs_may_read_the_repository_and_end() {
    for (file, workflow) in documents("workflows") {
        assert_eq!(workflow.at("permissions"), &json!({ "contents": "read" }), "{file}");
        assert!(!workflow.to_string().contains("secrets"), "{file} names secrets");
        // It would run a stranger's code with the rights of this repository.
        assert!(workflow.at("on").get("pull_request_target").is_none(), "{file}");
    }
    for (name, job) in jobs() {
        assert!(job.get("permissions").is_none(), "{name} has permissions of its own");
        assert!(job.at("timeout-minutes").as_u64().is_some_and(|minutes| minutes <= 120), "{name}");
    }
}

#[test]
fn containers_have_the_toolchain_of_the_repository() {
    let toolchain = include_str!("../../rust-toolchain.toml");
    let version = toolchain.lines().find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"')).unwrap();
    let images: Vec<String> = jobs()
        .iter()
        .filter_map(|(_, job)| Some(job.get("container")?.at("image").as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(images, [format!("rust:{version}-trixie")]);
}

#[test]
fn issue_forms_ask_for_something() {
    for (file, form) in documents("ISSUE_TEMPLATE") {
        for key in ["name", "description"] {
            assert!(form.at(key).as_str().is_some_and(|text| !text.is_empty()), "{file}: {key}");
        }
        let mut required = 0;
        for field in form.at("body").as_array().unwrap() {
            match field.at("type").as_str().unwrap() {
                "markdown" => assert!(field.at("attributes.value").is_string(), "{file}"),
                "input" | "textarea" => {
                    assert!(field.at("id").is_string() && field.at("attributes.label").is_string(), "{file}: {field}");
                    required += usize::from(field.pointer("/validations/required") == Some(&json!(true)));
                }
                other => panic!("{file} has a field of type {other}"),
            }
        }
        assert!(required > 0, "{file} takes an empty form");
    }
}
