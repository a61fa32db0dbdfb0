//! What keeps the repository in order: the checks of `make lint` reach all that they are for.

use std::fs;
use std::path::Path;
use std::process::Command;

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
