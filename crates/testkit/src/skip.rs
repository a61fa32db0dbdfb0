//! The one rule for skipping: a test may be skipped if its programs are not installed, and none may be where `CI` is
//! `true`.

use super::command::is_installed;
use super::sandbox::Sandbox;
use super::{Failure, Result};

/// Why `what` cannot run on this machine, if it cannot: it needs these programs, and a sandbox if it is `sandboxed`.
///
/// The reason is also printed. Fails where all must run (`CI=true`): what is skipped there would be a hole in the
/// proof.
pub fn reason_to_skip(what: &str, programs: &[&str], sandboxed: bool) -> Result<Option<String>> {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !is_installed(program)).collect();
    let reason = if !missing.is_empty() {
        format!("{} not installed (scripts/install.sh clients)", missing.join(", "))
    } else if sandboxed && !Sandbox::is_possible() {
        "needs root for namespaces of its own".to_owned()
    } else {
        return Ok(None);
    };
    if std::env::var("CI").as_deref() == Ok("true") {
        return Err(Failure::new(format!("{what}: {reason}, and with CI=true nothing may be skipped")));
    }
    eprintln!("{what} is skipped: {reason}");
    Ok(Some(reason))
}
