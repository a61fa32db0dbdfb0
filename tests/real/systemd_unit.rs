//! The unit of docs/getting-started.md: systemd knows each of its lines, and Envoy accepts its command line.

use std::process::Command;

use metahub_testkit::envoy::binary;
use metahub_testkit::root;
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::temp::TempDir;

/// Where the page installs Envoy.
const ENVOY: &str = "/usr/local/bin/envoy";

/// The page's unit.
fn unit() -> String {
    let page = include_str!("../../docs/getting-started.md");
    let (_, rest) = page.split_once("```text\n[Unit]\n").expect("the unit in docs/getting-started.md");
    let (text, _) = rest.split_once("```").expect("its end");
    assert_eq!(text.matches(ENVOY).count(), 1, "{text}");
    format!("[Unit]\n{text}")
}

/// All that a program prints, and whether it succeeded.
fn output(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

#[test]
fn systemd_knows_each_line() {
    if reason_to_skip("the systemd unit", &["systemd-analyze"], false).unwrap().is_some() {
        return;
    }
    let directory = TempDir::new("unit").unwrap();
    let path = directory.join("metahub.service");
    let verify = |unit: &str| {
        std::fs::write(&path, unit).unwrap();
        output(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path))
    };
    let unit = unit().replace(ENVOY, &binary().unwrap().display().to_string());
    assert_eq!(verify(&unit), (true, String::new()));
    let (_, said) = verify(&unit.replace("RestartSec=", "RestartSecs="));
    assert!(said.contains("RestartSecs"), "a wrong line is not noticed: {said:?}");
}

#[test]
fn envoy_accepts_the_command_line() {
    let unit = unit();
    assert!(unit.contains("\nWorkingDirectory=/opt/metahub\n"), "{unit}");
    let (_, arguments) = unit.split_once(&format!("\nExecStart={ENVOY} ")).expect("a command line with Envoy");
    let arguments = arguments.lines().next().unwrap().split_whitespace();
    // The repository has what the page copies into the working directory.
    let (accepted, said) =
        output(Command::new(binary().unwrap()).args(arguments).args(["--mode", "validate"]).current_dir(root()));
    assert!(accepted, "{said}");
}
