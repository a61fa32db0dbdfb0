//! The pages' commands that need no more than what `make run` starts: typed as they stand there, they print what stands
//! there.

use std::process::Command;

use metahub::config::Config;
use metahub_testkit::command::run;
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{Stage, stage};

use crate::native::pages::blocks::{Block, run_by, shipped_configuration};

const PROGRAMS: [&str; 2] = ["curl", "jq"];

/// The commands of a block, each with the lines that it prints.
fn commands(block: &Block) -> Vec<(&str, Vec<&str>)> {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in block.text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command, Vec::new())),
            None => commands.last_mut().unwrap_or_else(|| panic!("{}: no command", block.place)).1.push(line),
        }
    }
    commands
}

/// Runs a command as on the machine where `make run` runs.
fn output(stage: &Stage, command: &str) -> String {
    let command = command.replace("127.0.0.1:8080", &stage.front());
    let mut shell = Command::new("sh");
    shell.args(["-ec", &command]).env("PATH", std::env::var("PATH").unwrap());
    run(&mut shell).unwrap()
}

/// Whether a line is the one that a page shows, where `…` stands for what is left out.
fn is_shown(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        match rest.split_once(part) {
            // The end of the line is left out.
            Some(_) if part.is_empty() => return true,
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

/// Runs the commands of a block, and looks for the lines that the page shows below each.
pub(super) fn assert_prints_what_it_shows(block: &Block, run: &dyn Fn(&str) -> String) {
    // The registry of a stage has another port, so its configuration has another hash.
    let shipped = Config::parse(shipped_configuration().to_string().as_bytes(), &|_| None).unwrap();
    for (command, shown) in commands(block) {
        let output = run(command);
        let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
        let mut from = 0;
        for shown in shown {
            let shown = shown.replace(shipped.hash(), "sha256:…");
            let found = lines.iter().skip(from).position(|line| is_shown(line, &shown));
            assert!(found.is_some(), "{}: $ {command}\nprints no such line:\n{shown}\nbut\n{output}", block.place);
            // Headers have no order; all else is shown in its own.
            if !output.starts_with("HTTP/") {
                from += found.unwrap_or_default() + 1;
            }
        }
    }
}

#[test]
fn commands_print_what_the_pages_show() {
    if reason_to_skip("the pages' commands", &PROGRAMS, false).unwrap().is_some() {
        return;
    }
    let stage = stage().start().unwrap();
    let blocks = run_by("real::pages::commands_print_what_the_pages_show");
    assert!(blocks.len() > 2, "only {} blocks of commands say that they run here", blocks.len());
    for block in blocks {
        assert_prints_what_it_shows(&block, &|command| output(&stage, command));
    }
}
