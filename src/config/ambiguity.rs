//! Logins that two pairs of account and machine type would answer to: `a-b` + `c` and `a` + `b-c`.
//!
//! Such a pair exists where one account is another one plus the separator and a rest, and the rest plus the separator
//! and a machine type is a machine type again. (An account of exactly the login's name always wins.) The machine types
//! are looked through once, and each account costs look-ups of its parts: thousands of both are ordinary.

use super::error::ConfigError;
use super::machine_types::MachineTypes;
use crate::auth::account::Account;
use crate::auth::credentials::{MAX_USER, splits};
use std::collections::BTreeMap;

/// Refuses a configuration with an ambiguous login.
///
/// # Errors
/// [`ConfigError`] for the first of the accounts with such a login.
pub(super) fn refuse(
    accounts: &BTreeMap<String, Account>,
    machine_types: &MachineTypes,
    separator: &str,
) -> Result<(), ConfigError> {
    let mut known = None;
    // A login with a longer account name is refused for its length before accounts are looked up.
    for long in accounts.keys().filter(|name| name.len() <= MAX_USER) {
        for (short, rest) in splits(long, separator).filter(|(short, _)| accounts.contains_key(*short)) {
            let composed = known.get_or_insert_with(|| composed(machine_types, separator));
            if let Some((name, suffix)) = composed.get(rest) {
                let message = format!(
                    "the login {long}{separator}{suffix} is ambiguous: account {long} with machine type {suffix}, \
                     or account {short} with machine type {name}; rename one or change username_separator"
                );
                return Err(ConfigError::new(format!("accounts.{long}"), message));
            }
        }
    }
    Ok(())
}

/// The first machine type that is a rest, the separator and another machine type, and that other one, by the rest.
/// Unlike [`splits`], separators may overlap here: `--` stands in `a---b` twice.
fn composed<'a>(machine_types: &'a MachineTypes, separator: &str) -> BTreeMap<&'a str, (&'a str, &'a str)> {
    let mut composed = BTreeMap::new();
    for name in machine_types.keys() {
        for (at, _) in name.char_indices() {
            let Some((rest, behind)) = name.split_at_checked(at) else { continue };
            if let Some(suffix) = behind.strip_prefix(separator).filter(|suffix| machine_types.contains_key(suffix)) {
                composed.entry(rest).or_insert((name, suffix));
            }
        }
    }
    composed
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use super::*;
    use crate::config::Config;

    const HASH: &str = "$2y$05$G0ZJwTQx2MUP8Q9yMmMbquMmTyiHnlNFpQiKlRlDTgmbDLmPuHWTi";

    fn configuration<'a>(
        accounts: impl IntoIterator<Item = &'a str>,
        machine_types: impl IntoIterator<Item = &'a str>,
        separator: &str,
    ) -> String {
        let mut document = "{\"machine_types\":{".to_owned();
        for name in machine_types {
            write!(document, "\"{name}\":{{\"architecture\":\"amd64\"}},").unwrap();
        }
        document.pop();
        document.push_str("},\"registries\":{\"r\":{\"host\":\"h\",\"authentication\":\"none\"}},\"accounts\":{");
        for name in accounts {
            write!(document, "\"{name}\":{{\"password\":\"{HASH}\"}},").unwrap();
        }
        document.pop();
        write!(document, "}},\"username_separator\":\"{separator}\"}}").unwrap();
        document
    }

    fn refusal(document: &str) -> Option<String> {
        Config::parse(document.as_bytes(), &|_| None).err().map(|error| error.to_string())
    }

    /// The rule as it is stated, machine type by machine type; the answer in words.
    fn stated(accounts: &[&str], machine_types: &[&str], separator: &str) -> Option<String> {
        let sorted = |names: &[&str]| {
            let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
            names.sort();
            names
        };
        let (accounts, machine_types) = (sorted(accounts), sorted(machine_types));
        for long in &accounts {
            for (short, rest) in splits(long, separator).filter(|(short, _)| accounts.iter().any(|name| name == short))
            {
                let prefix = format!("{rest}{separator}");
                let clash = machine_types.iter().find_map(|name| {
                    let suffix = name.strip_prefix(&prefix)?;
                    machine_types.iter().any(|name| name == suffix).then_some((name, suffix))
                });
                if let Some((name, suffix)) = clash {
                    return Some(format!("{long}{separator}{suffix} {long} {suffix} {short} {name}"));
                }
            }
        }
        None
    }

    proptest! {
        #[test]
        fn it_is_the_rule_as_stated(
            accounts in subsequence(names(), 1..=10),
            machine_types in subsequence(names(), 1..=10),
            separator in prop_oneof![Just("-"), Just("--"), Just("a")],
        ) {
            let (accounts, machine_types): (Vec<&str>, Vec<&str>) =
                (accounts.iter().map(String::as_str).collect(), machine_types.iter().map(String::as_str).collect());
            let found = refusal(&configuration(accounts.clone(), machine_types.clone(), separator));
            let expected = stated(&accounts, &machine_types, separator);
            prop_assert_eq!(found.is_some(), expected.is_some(), "{:?} {:?}", found, expected);
            for word in expected.iter().flat_map(|words| words.split(' ')) {
                prop_assert!(found.as_deref().unwrap_or_default().contains(word), "{found:?} lacks {word}");
            }
        }
    }

    /// Short names of few letters, so that many are made of others.
    fn names() -> Vec<String> {
        let mut names = vec![String::new()];
        for length in 0..5 {
            let longer: Vec<String> = names.iter().filter(|name| name.len() == length).cloned().collect();
            names.extend(longer.iter().flat_map(|name| ["a", "b", "-"].map(|letter| format!("{name}{letter}"))));
        }
        names.retain(|name| name.starts_with(['a', 'b']));
        names
    }

    /// A comparison machine type by machine type takes 6 s and 13 s here; this takes a hundredth of a second.
    #[test]
    fn many_nested_accounts_and_machine_types_are_no_work() {
        let nested: Vec<String> = (1..=400).map(|length| vec!["a"; length].join("-")).collect();
        let pairs = (0..100).flat_map(|short| (0..100).map(move |rest| format!("u{short}-r{rest}")));
        let pairs: Vec<String> = (0..100).map(|short| format!("u{short}")).chain(pairs).collect();
        let machine_types: Vec<String> = (0..10_000).map(|number| format!("b-{number}")).collect();
        for accounts in [nested, pairs] {
            let document =
                configuration(accounts.iter().map(String::as_str), machine_types.iter().map(String::as_str), "-");
            let config = Config::parse(document.as_bytes(), &|_| None).unwrap();
            let began = Instant::now();
            assert_eq!(refuse(&config.accounts, &config.machine_types, "-"), Ok(()));
            let took = began.elapsed();
            assert!(took < Duration::from_secs(3), "{} accounts: {took:?}", accounts.len());
        }
    }
}
