//! Passwords: computed once, limited when guessed, revoked at once.

use crate::support::envoy::replace;

/// Adds the account `everything`, which sees indexes as they are; its password is its name.
pub(super) fn with_unfiltered(config: String) -> String {
    let hash = bcrypt::hash("everything", 4).unwrap();
    with_account(&config, &format!("everything: {{ password: \"{hash}\", machine_type: unfiltered }}"))
}

/// Adds a line below `accounts:`.
pub(super) fn with_account(config: &str, line: &str) -> String {
    replace(config, "          accounts:\n", &format!("          accounts:\n            {line}\n"), 1)
}
