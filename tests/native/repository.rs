//! The repository is in order: the checks of `make lint` reach all that they are for, git's hook runs them, the
//! changelog has the version at hand, and what CONTRIBUTING.md names exists.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use metahub_testkit::temp::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program at the root, and returns what it prints.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().expect(program);
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether this is a shell script, by its name or by its first line.
fn is_shell_script(name: &str, text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    name.ends_with(".sh") || (first.starts_with("#!") && first.ends_with("sh"))
}

#[test]
fn every_shell_script_is_checked() {
    let tracked = output("git", &["ls-files"]);
    let readable = tracked.lines().filter_map(|name| Some((name, fs::read_to_string(root().join(name)).ok()?)));
    let scripts: Vec<&str> =
        readable.filter(|(name, text)| is_shell_script(name, text)).map(|(name, _)| name).collect();
    assert!(scripts.len() >= 8, "only {scripts:?} were found");
    let commands = output("make", &["--dry-run", "lint"]);
    let check = commands.lines().find(|line| line.contains("bin/shellcheck ")).expect("make lint runs shellcheck");
    let checked: Vec<&str> = check.split_whitespace().collect();
    let missing: Vec<&&str> = scripts.iter().filter(|script| !checked.contains(script)).collect();
    assert!(missing.is_empty(), "make lint does not check {missing:?}");
}

/// Runs a program in a repository of its own, before whose programs on the path stand those in its folder `bin`.
fn run_in(repository: &Path, program: &str, arguments: &[&str]) -> Output {
    let path = format!("{}:{}", repository.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(repository).env("PATH", path);
    // No configuration but the repository's counts, and no repository but this one, should git itself run these tests.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command.output().expect(program)
}

#[test]
fn the_hook_refuses_a_commit_that_lint_refuses() {
    let directory = TempDir::new("hook").unwrap();
    let repository = directory.path();
    fs::create_dir(repository.join("bin")).unwrap();
    for name in [".githooks", "Makefile"] {
        symlink(root().join(name), repository.join(name)).unwrap();
    }
    let git = |arguments: &[&str]| run_in(repository, "git", arguments);
    assert!(git(&["init", "--quiet"]).status.success());
    let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
    let commit = [&identity[..], &["commit", "--quiet", "--allow-empty", "--message", "test"]].concat();
    let make = repository.join("bin/make");

    symlink("/bin/false", &make).unwrap();
    assert!(git(&commit).status.success(), "the hook is opt-in");
    fs::remove_file(&make).unwrap();
    assert!(run_in(repository, "make", &["hooks"]).status.success());

    symlink("/bin/false", &make).unwrap();
    assert!(!git(&commit).status.success(), "what make refuses is not committed");
    fs::remove_file(&make).unwrap();
    symlink("/bin/echo", &make).unwrap();
    let committed = git(&commit);
    let said = [committed.stdout, committed.stderr].concat();
    assert!(committed.status.success());
    assert_eq!(String::from_utf8(said).unwrap(), "--no-print-directory lint\n");
}

/// The versions of the changelog, newest first, each with its date.
fn versions(changelog: &str) -> Vec<(&str, &str)> {
    let headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    headings.map(|heading| heading.split_once(" - ").unwrap_or_else(|| panic!("{heading} has no date"))).collect()
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    parts.iter().map(|part| part.len()).eq([4, 2, 2]) && parts.iter().all(is_number)
}

#[test]
fn the_changelog_has_a_date_for_each_version_but_the_next() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let versions = versions(&changelog);
    let [(current, date), earlier @ ..] = versions.as_slice() else { panic!("no version") };
    assert_eq!(*current, env!("CARGO_PKG_VERSION"), "the newest version is the package's");
    assert!(*date == "unreleased" || is_date(date), "{current}: {date}");
    assert!(!earlier.is_empty() && earlier.iter().all(|(_, date)| is_date(date)), "{earlier:?}");
    let dates: Vec<&str> = earlier.iter().map(|(_, date)| *date).collect();
    assert!(dates.is_sorted_by(|newer, older| newer > older), "{dates:?}");
    let known = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
    let sections: Vec<&str> = changelog.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(sections.iter().all(|section| known.contains(section)), "{sections:?}");
}

/// The pieces of a page in code form: between backquotes, or in a block.
fn code(page: &str) -> Vec<&str> {
    page.split('`').skip(1).step_by(2).collect()
}

#[test]
fn what_contributing_names_exists() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let folders = [".github/", "crates/", "docs/", "fuzz/", "scripts/", "src/", "tests/"];
    let is_path = |span: &&str| folders.iter().any(|folder| span.starts_with(folder)) && !span.contains('*');
    let paths: Vec<&str> = code(&page).into_iter().filter(is_path).collect();
    assert!(paths.len() > 10, "{paths:?}");
    let missing: Vec<&&str> = paths.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "there is no {missing:?}");

    let makefile = include_str!("../../Makefile");
    let targets: Vec<&str> = code(&page).into_iter().filter_map(|span| span.strip_prefix("make ")).collect();
    assert!(targets.len() > 5, "{targets:?}");
    let unknown: Vec<&&str> =
        targets.iter().filter(|name| !makefile.contains(&format!("\n.PHONY: {name}\n"))).collect();
    assert!(unknown.is_empty(), "the Makefile has no {unknown:?}");
}

/// Tests stand in files that their paths name: `native::selection::values::versions` in
/// `tests/native/selection/values.rs`.
#[test]
fn the_tests_that_contributing_names_exist() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let command = page.lines().find_map(|line| line.strip_prefix("cargo test --locked --test metahub ")).unwrap();
    let named = code(&page).into_iter().filter(|span| span.starts_with("native::") && !span.contains(' '));
    let tests: Vec<&str> = named.chain([command]).collect();
    assert!(tests.len() >= 2, "{tests:?}");
    for test in tests {
        let (module, name) = test.rsplit_once("::").unwrap();
        let file = root().join("tests").join(module.replace("::", "/")).with_extension("rs");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{test}: {error}"));
        assert!(text.contains(&format!("#[test]\nfn {name}() {{\n")), "there is no {test}");
    }
}
