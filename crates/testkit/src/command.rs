//! Programs that run to their end.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};

use super::{Failure, Result};

/// Runs a program for at most a minute and a half; anything but success is a [`Failure`] with all it printed.
pub fn run(command: &mut Command) -> Result<String> {
    let output = finish(limited(command).stdin(Stdio::null()).spawn()?, command)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// As [`run`], with the output as bytes.
pub fn run_for_bytes(command: &mut Command) -> Result<Vec<u8>> {
    finish(limited(command).stdin(Stdio::null()).spawn()?, command)
}

/// As [`run`], with bytes for the program's standard input.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Result<()> {
    let mut child = limited(command).stdin(Stdio::piped()).spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that has read enough may have ended already.
        let _ = pipe.write_all(input);
    }
    finish(child, command).map(drop)
}

/// The same command under a time limit and with none of our own environment.
fn limited(command: &Command) -> Command {
    let mut limited = Command::new("timeout");
    limited.args(["--kill-after=5", "90"]).arg(command.get_program()).args(command.get_args());
    limited.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    limited.stdout(Stdio::piped()).stderr(Stdio::piped());
    limited
}

fn finish(child: Child, command: &Command) -> Result<Vec<u8>> {
    let output = child.wait_with_output()?;
    if output.status.success() { Ok(output.stdout) } else { Err(Failure::new(describe(command, &output))) }
}

fn describe(command: &Command, output: &Output) -> String {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let mut text = format!("{} {}: {}", command.get_program().to_string_lossy(), words.join(" "), output.status);
    for stream in [&output.stdout, &output.stderr] {
        let _ = write!(text, "\n{}", String::from_utf8_lossy(stream).trim_end());
    }
    text
}

/// Whether `program` is installed.
pub fn is_installed(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; command -v \"$1\"", "sh", program])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Our own search path and the administrators' directories, where daemons live.
pub fn search_path() -> String {
    format!("{}:/usr/local/sbin:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}
