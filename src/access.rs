//! Who may log in: passwords of `authentication: accounts`, checked once per login and process.
//!
//! bcrypt takes 2 ms and more, a docker pull sends about ten requests, and an Envoy worker does nothing else
//! meanwhile. So a login that was accepted is remembered in Envoy's shared data: in a fixed number of slots (shared
//! data has no deletion), under a keyed digest of the complete credential and the account's hash lines. Another
//! password, another account or a rotated hash never hits. Failures are remembered for ten seconds, because
//! containerd sends a wrong password six times, and counted: a client that guesses soon waits instead of computing.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::{Account, Config, PasswordHash};
use crate::identity::Credentials;
use crate::memory::Memory;
use crate::token::Key;

/// Remembered logins at most, over all workers. One slot takes about 150 bytes.
const SLOTS: u32 = 16_384;
/// How long a wrong password is remembered, and over how long failures are counted, in seconds.
const FAILURE_SECONDS: u64 = 10;
/// Failed checks of one login name in that time, before further passwords are not looked at.
const FAILURES: u32 = 10;
/// Failed checks of all login names in that time. This bounds what guessing can cost: with one password an account,
/// 0.2 s of a worker in ten at cost 5, 5.7 s at cost 10, the dearest that is accepted.
const ALL_FAILURES: u32 = 100;
/// Format of the values in shared data.
const FORMAT: u8 = 1;
/// Where the process keeps the key of its digests.
const KEY: &str = "metahub.key";

/// What came of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is one of the account's.
    Accepted,
    /// It is not, or there is no such account.
    Rejected,
    /// Too many wrong ones lately; this one was not looked at.
    Limited {
        /// When to try again, in seconds.
        retry_after: u64,
    },
}

/// Checks a password. `account` is `None` where the login name stands for no account: that takes as long.
pub fn verify(memory: &dyn Memory, config: &Config, account: Option<&Account>, credentials: &Credentials) -> Verdict {
    let hashes = account.map_or_else(|| config.decoy().map(std::slice::from_ref).unwrap_or_default(), |a| &a.hashes);
    let Some(process_key) = process_key(memory) else {
        // Without randomness nothing can be remembered safely; the password itself can still be checked.
        return check(hashes, credentials);
    };
    let key = login_key(&process_key, account, hashes, credentials);
    // Rejections have slots of their own: a client that guesses must not push out the logins that were accepted.
    let (accepted, rejected) = (slot("metahub.login.", &key, SLOTS), slot("metahub.rejected.", &key, SLOTS));
    let now = memory.now();
    let recalled = |slot: &str| memory.get(slot).and_then(|value| recall(&value, &key, now));
    if account.is_some() && recalled(&accepted) == Some(Verdict::Accepted) {
        return Verdict::Accepted;
    }
    if recalled(&rejected) == Some(Verdict::Rejected) {
        return Verdict::Rejected;
    }
    // The same for names that are accounts and names that are none, so that nobody learns which is which.
    let budgets = [
        Budget::of(memory, &process_key, &credentials.user, FAILURES, now),
        Budget::of(memory, &process_key, "", ALL_FAILURES, now),
    ];
    if let Some(retry_after) = budgets.iter().filter_map(|budget| budget.exhausted(now)).max() {
        return Verdict::Limited { retry_after };
    }
    let verdict = check(hashes, credentials);
    if verdict == Verdict::Accepted {
        memory.set(&accepted, &remember(&key, u64::MAX));
    } else {
        memory.set(&rejected, &remember(&key, now.saturating_add(FAILURE_SECONDS)));
        budgets.iter().for_each(|budget| budget.spend(memory));
    }
    verdict
}

fn check(hashes: &[PasswordHash], credentials: &Credentials) -> Verdict {
    let password = credentials.password.expose();
    if hashes.iter().any(|hash| hash.verifies(password)) { Verdict::Accepted } else { Verdict::Rejected }
}

/// The key of this process's digests, made by whichever worker comes first.
pub(crate) fn process_key(memory: &dyn Memory) -> Option<[u8; 32]> {
    if let Some(key) = memory.get(KEY).and_then(|key| key.try_into().ok()) {
        return Some(key);
    }
    memory.set_once(KEY, &memory.random()?)?.try_into().ok()
}

/// A keyed digest of these parts.
pub(crate) fn digest(process_key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(process_key) else { return [0; 32] };
    for part in parts {
        // Lengths keep ("ab", "c") apart from ("a", "bc").
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Covers the account, the whole credential and every hash line: rotation forgets the logins it revokes. A name that
/// is no account stands for itself.
fn login_key(
    process_key: &[u8; 32],
    account: Option<&Account>,
    hashes: &[PasswordHash],
    credentials: &Credentials,
) -> [u8; 32] {
    let (kind, name) = account.map_or((b"no one", credentials.user.as_str()), |account| (b"login ", account.name()));
    let mut parts = vec![kind.as_slice(), name.as_bytes(), credentials.password.expose().as_bytes()];
    parts.extend(hashes.iter().map(|hash| hash.line().as_bytes()));
    digest(process_key, &parts)
}

/// What changes when an account's passwords do, or when it is another account: tokens of MetaHub's own are bound to it.
pub(crate) fn binding(key: &Key, account: &Account) -> [u8; 32] {
    let mut parts = vec![b"account".as_slice(), account.name().as_bytes()];
    parts.extend(account.hashes.iter().map(|hash| hash.line().as_bytes()));
    key.digest(&parts)
}

/// The name of the slot that a key falls into.
pub(crate) fn slot(prefix: &str, key: &[u8; 32], slots: u32) -> String {
    let [a, b, c, d, ..] = *key;
    format!("{prefix}{}", u32::from_le_bytes([a, b, c, d]) % slots)
}

/// A slot's value: format, until when it is a rejection (for ever: an acceptance), the complete key.
fn remember(key: &[u8; 32], rejected_until: u64) -> Vec<u8> {
    let mut value = vec![FORMAT];
    value.extend_from_slice(&rejected_until.to_le_bytes());
    value.extend_from_slice(key);
    value
}

fn recall(value: &[u8], key: &[u8; 32], now: u64) -> Option<Verdict> {
    let (format, rest) = value.split_first()?;
    let (until, stored) = rest.split_first_chunk::<8>()?;
    if *format != FORMAT || stored != key {
        return None;
    }
    match u64::from_le_bytes(*until) {
        u64::MAX => Some(Verdict::Accepted),
        until if until > now => Some(Verdict::Rejected),
        _ => None,
    }
}

/// Failed checks of one login name, or of all, in the current window. Names that meet in one slot share a budget.
struct Budget {
    slot: String,
    most: u32,
    since: u64,
    failures: u32,
}

impl Budget {
    fn of(memory: &dyn Memory, process_key: &[u8; 32], name: &str, most: u32, now: u64) -> Self {
        let slot = if name.is_empty() {
            "metahub.failures".to_owned()
        } else {
            slot("metahub.failures.", &digest(process_key, &[b"failures", name.as_bytes()]), SLOTS)
        };
        let (since, failures) = memory
            .get(&slot)
            .and_then(|value| Self::recall(&value))
            .filter(|(since, _)| (*since..since.saturating_add(FAILURE_SECONDS)).contains(&now))
            .unwrap_or((now, 0));
        Self { slot, most, since, failures }
    }

    fn recall(value: &[u8]) -> Option<(u64, u32)> {
        let (since, failures) = value.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*since), u32::from_le_bytes(failures.try_into().ok()?)))
    }

    /// Seconds until the next password is looked at, if none is now.
    fn exhausted(&self, now: u64) -> Option<u64> {
        (self.failures >= self.most).then(|| self.since.saturating_add(FAILURE_SECONDS).saturating_sub(now).max(1))
    }

    fn spend(&self, memory: &dyn Memory) {
        let mut value = self.since.to_le_bytes().to_vec();
        value.extend_from_slice(&self.failures.saturating_add(1).to_le_bytes());
        memory.set(&self.slot, &value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::memory::tests::Map;
    use crate::secret::Secret;

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

    fn attempt(memory: &Map, config: &Config, user: &str, password: &str) -> Verdict {
        let credentials = Credentials { user: user.to_owned(), password: Secret::new(password.to_owned()) };
        verify(memory, config, config.accounts.get(user), &credentials)
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
            assert_eq!(attempt(&memory, &config, user, password), Verdict::Rejected, "{user} {password:?}");
        }
    }

    #[test]
    fn rotation_revokes_at_once() {
        let (memory, before, after) = (Map::default(), config(&["old", "kept"]), config(&["new"]));
        assert_eq!(attempt(&memory, &before, "user", "old"), Verdict::Accepted);
        assert_eq!(attempt(&memory, &after, "user", "old"), Verdict::Rejected);
        assert_eq!(attempt(&memory, &after, "user", "new"), Verdict::Accepted);
    }

    #[test]
    fn a_wrong_password_is_computed_once_in_ten_seconds() {
        let (memory, config) = (Map::default(), config(&["one"]));
        for _ in 0..100 {
            assert_eq!(
                attempt(&memory, &config, "user", "wrong"),
                Verdict::Rejected,
                "never limited: it costs nothing"
            );
        }
    }

    #[test]
    fn guessing_is_limited_per_account_and_remembered_logins_go_on() {
        let (memory, config) = (Map::default(), config(&["one", "two"]));
        assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
        for guess in 0..FAILURES {
            assert_eq!(attempt(&memory, &config, "user", &format!("guess {guess}")), Verdict::Rejected);
        }
        memory.now.set(3);
        assert_eq!(attempt(&memory, &config, "user", "another guess"), Verdict::Limited { retry_after: 7 });
        assert_eq!(attempt(&memory, &config, "user", "two"), Verdict::Limited { retry_after: 7 }, "not looked at");
        assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted, "remembered");
        assert_eq!(attempt(&memory, &config, "other", "other"), Verdict::Accepted, "another account");
        memory.now.set(FAILURE_SECONDS);
        assert_eq!(attempt(&memory, &config, "user", "two"), Verdict::Accepted, "the window is over");
    }

    #[test]
    fn names_that_are_no_accounts_are_treated_alike() {
        let (memory, config) = (Map::default(), config(&["one"]));
        for guess in 0..FAILURES {
            for name in ["user", "nobody"] {
                assert_eq!(attempt(&memory, &config, name, &format!("guess {guess}")), Verdict::Rejected);
            }
        }
        for name in ["user", "nobody"] {
            assert!(matches!(attempt(&memory, &config, name, "again"), Verdict::Limited { .. }), "{name}");
        }
        for name in ["other", "somebody"] {
            assert_eq!(attempt(&memory, &config, name, "again"), Verdict::Rejected, "{name}: its own budget");
        }
    }

    #[test]
    fn guessing_under_many_names_is_bounded_and_pushes_nobody_out() {
        let (memory, config) = (Map::default(), config(&["one"]));
        assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
        let mut computed = 0;
        for guess in 0..1000 {
            computed += u32::from(attempt(&memory, &config, &format!("name{guess}"), "x") == Verdict::Rejected);
        }
        assert_eq!(computed, ALL_FAILURES);
        assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted, "remembered");
        assert!(matches!(attempt(&memory, &config, "other", "other"), Verdict::Limited { .. }), "alike for all");
        memory.now.set(FAILURE_SECONDS);
        assert_eq!(attempt(&memory, &config, "other", "other"), Verdict::Accepted);
        assert_eq!(logins(&memory), 2);
    }

    #[test]
    fn a_clock_that_is_set_back_limits_nobody() {
        let (memory, config) = (Map::default(), config(&["one"]));
        memory.now.set(1_000_000);
        for guess in 0..FAILURES {
            attempt(&memory, &config, "user", &format!("guess {guess}"));
        }
        memory.now.set(10);
        assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
    }

    #[test]
    fn damaged_memory_is_as_good_as_none() {
        let (memory, config) = (Map::default(), config(&["one"]));
        assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
        for value in memory.values.borrow_mut().iter_mut().filter(|(key, _)| *key != KEY).map(|(_, value)| value) {
            value.truncate(5);
        }
        assert_eq!(attempt(&memory, &config, "user", "wrong"), Verdict::Rejected);
        assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
    }

    #[test]
    fn without_randomness_passwords_are_still_checked() {
        let (memory, config) = (Map { mute: true, ..Map::default() }, config(&["one"]));
        assert_eq!(attempt(&memory, &config, "user", "one"), Verdict::Accepted);
        assert_eq!(attempt(&memory, &config, "user", "wrong"), Verdict::Rejected);
        assert_eq!(logins(&memory), 0);
    }
}
