//! Passwords: checked once, remembered, forgotten when they must be.

mod describing;
mod guessing;

use serde_json::json;

use super::*;
use crate::auth::secret::Secret;
use crate::config::Config;
use crate::store::in_memory::Map;

fn config(passwords: &[&str]) -> Config {
    let hashes: Vec<_> = passwords.iter().map(|password| bcrypt::hash(password, 4).unwrap()).collect();
    let other = bcrypt::hash("other", 4).unwrap();
    let document = json!({
        "machine_types": { "type1": { "features": ["cpu:skylake"] } },
        "registries": { "r": { "host": "h", "authentication": "accounts" } },
        "accounts": { "user": { "passwords": hashes }, "other": { "password": other } },
    });
    Config::parse(document.to_string().as_bytes(), &|_| None).unwrap()
}

const REJECTED: Verdict = Verdict::Rejected { is_due: true };

/// A login attempt, always from the same client.
fn attempt(memory: &Map, config: &Config, user: &str, password: &str) -> Verdict {
    attempt_from("10.0.0.1", memory, config, user, password)
}

/// A login attempt from this address; a text that is no address stands for an unknown one.
fn attempt_from(address: &str, memory: &Map, config: &Config, user: &str, password: &str) -> Verdict {
    let credentials = Credentials { user: user.to_owned(), password: Secret::new(password.to_owned()) };
    verify(memory, config.decoy(), config.accounts.get(user), &credentials, &|| address.parse().ok())
}

fn logins(memory: &Map) -> usize {
    memory.values.borrow().keys().filter(|key| key.starts_with("metahub.login.")).count()
}

#[test]
fn accepts_each_password_and_remembers() {
    let (memory, config) = (Map::default(), config(&["one", "two"]));
    for _ in 0..2 {
        assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
        assert_eq!(attempt(&memory, &config, "user", "two"), Verdict::Accepted);
    }
    assert_eq!(logins(&memory), 2, "one slot a login");
}

#[test]
fn a_remembered_login_admits_nobody_else() {
    let (memory, config) = (Map::default(), config(&["one"]));
    assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
    for (user, password) in [("user", "One"), ("user", ""), ("user", "one "), ("other", "one"), ("nobody", "one")] {
        assert_eq!(attempt(&memory, &config, user, password), REJECTED, "{user} {password:?}");
    }
}

#[test]
fn rotation_revokes_at_once() {
    let (memory, before, after) = (Map::default(), config(&["old", "kept"]), config(&["new"]));
    assert_eq!(attempt(&memory, &before, "user", "old"), Verdict::Accepted);
    assert_eq!(attempt(&memory, &after, "user", "old"), REJECTED);
    assert_eq!(attempt(&memory, &after, "user", "new"), Verdict::Accepted);
}

#[test]
fn a_wrong_password_is_computed_once_in_ten_seconds() {
    let (memory, config) = (Map::default(), config(&["one"]));
    for number in 0..100 {
        let is_due = number < LINES;
        assert_eq!(
            attempt(&memory, &config, "user", "wrong"),
            Verdict::Rejected { is_due },
            "{number}: never limited, it costs nothing"
        );
    }
    memory.now.set(FAILURE_SECONDS);
    assert_eq!(attempt(&memory, &config, "user", "wrong"), REJECTED, "it is looked at again, and said again");
}

/// Asking for the address costs a call into Envoy.
#[test]
fn the_address_is_asked_for_where_a_password_is_checked() {
    let (memory, config, asked) = (Map::default(), config(&["one"]), std::cell::Cell::new(0));
    let verify = |password: &str| {
        let credentials = Credentials { user: "user".to_owned(), password: Secret::new(password.to_owned()) };
        let address = || {
            asked.set(asked.get() + 1);
            None
        };
        verify(&memory, config.decoy(), config.accounts.get("user"), &credentials, &address)
    };
    assert_eq!((verify("one"), asked.get()), (Verdict::Accepted, 1));
    assert_eq!((verify("one"), asked.get()), (Verdict::Accepted, 1), "remembered");
    assert_eq!((verify("wrong"), asked.get()), (REJECTED, 2));
    assert_eq!((verify("wrong"), asked.get()), (REJECTED, 2), "remembered too");
}

#[test]
fn damaged_memory_is_as_good_as_none() {
    let (memory, config) = (Map::default(), config(&["one"]));
    assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
    for value in
        memory.values.borrow_mut().iter_mut().filter(|(key, _)| *key != crate::store::keys::KEY).map(|(_, value)| value)
    {
        value.truncate(5);
    }
    assert_eq!(attempt(&memory, &config, "user", "wrong"), REJECTED);
    assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
}

#[test]
fn without_randomness_passwords_are_still_checked() {
    let (memory, config) = (Map { mute: true, ..Map::default() }, config(&["one"]));
    assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
    assert_eq!(attempt(&memory, &config, "user", "wrong"), REJECTED);
    assert_eq!(logins(&memory), 0);
}
