//! The promises of docs/security.md and docs/reliability.md: each test that they name exists, and their statements
//! about the shipped files are true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGES: [&str; 2] = ["docs/security.md", "docs/reliability.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { files(&path, extension) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// The paths of tests that a page has in code form: `real::crash::a_dead_vm_serves_nothing`.
fn named(page: &str) -> BTreeSet<String> {
    let is_path = |span: &&str| {
        span.contains("::") && span.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
    };
    page.split('`').skip(1).step_by(2).filter(is_path).map(str::to_owned).collect()
}

/// Whether this file has the test, and stands where the test's path says.
fn has(file: &Path, test: &str) -> bool {
    let below = file.strip_prefix(root()).unwrap().with_extension("");
    let place: Vec<&str> = below.iter().filter_map(|part| part.to_str()).collect();
    let place = place.get(1..).unwrap_or_default().join("::");
    let place = place.trim_end_matches("::mod");
    let Some((module, name)) = test.rsplit_once("::") else { return false };
    let there = module == place || module.strip_suffix("::tests") == Some(place);
    let is_test = |text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.windows(2).any(|pair| pair[0] == "#[test]" && pair[1] == format!("fn {name}() {{"))
    };
    there && is_test(&fs::read_to_string(file).unwrap())
}

/// The files that may have tests.
fn sources() -> Vec<PathBuf> {
    ["src", "tests"].iter().flat_map(|folder| files(&root().join(folder), "rs")).collect()
}

/// Whether there is a test of this path.
pub(super) fn exists(test: &str) -> bool {
    sources().iter().any(|source| has(source, test))
}

#[test]
fn every_test_that_the_pages_name_exists() {
    let sources = sources();
    for page in PAGES {
        let tests = named(&fs::read_to_string(root().join(page)).unwrap());
        assert!(tests.len() > 10, "{page} names {} tests", tests.len());
        let missing: Vec<&String> =
            tests.iter().filter(|test| !sources.iter().any(|source| has(source, test))).collect();
        assert!(missing.is_empty(), "{page} names tests that are not there: {missing:#?}");
    }
}

#[test]
fn the_admin_port_is_on_loopback() {
    let with_admin: Vec<String> = files(&root().join("envoy"), "yaml")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .filter(|text| text.lines().any(|line| line == "admin:"))
        .collect();
    assert!(with_admin.len() >= 5, "{} files have an admin port", with_admin.len());
    for text in with_admin {
        let (_, admin) = text.split_once("\nadmin:\n").unwrap();
        let address = admin.lines().next().unwrap();
        assert_eq!(address.trim(), "address: { socket_address: { address: 127.0.0.1, port_value: 9901 } }");
        assert!(!text.to_lowercase().contains("%req(authorization)%\""), "an access log shows credentials");
    }
}
