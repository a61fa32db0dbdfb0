//! Logins of `authentication: accounts`: a password is checked once per login and process.
//!
//! bcrypt takes 2 ms and more, a docker pull sends about ten requests, and an Envoy worker does nothing else meanwhile.
//! So a login that was accepted is remembered in Envoy's shared data: in a fixed number of slots (shared data has no
//! deletion), under a keyed digest of the complete credential and the account's hash lines. Another password, another
//! account or a rotated hash never finds it. Failures are remembered for ten seconds, because containerd sends a wrong
//! password six times, and counted: a client that guesses soon waits instead of computing.

mod budget;
mod client;
mod descriptions;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use self::budget::{Budgets, FAILURE_SECONDS};
pub use self::budget::{Limit, Scope};
pub(crate) use self::client::Client;
pub(crate) use self::descriptions::admit;
use crate::auth::account::Account;
use crate::auth::credentials::Credentials;
use crate::auth::password::PasswordHash;
use crate::auth::ticket::{Binding, TicketKey};
use crate::store::keys::{ProcessKey, digest, slot};
use crate::store::resources::{Resources, Store};

/// The most logins that are remembered, over all workers. One slot takes about 150 bytes.
const SLOTS: u32 = 16_384;
/// The most log lines about one wrong password while it is remembered: containerd sends it this often.
const LINES: u8 = 6;
/// A check of one hash weighs 1 up to this cost (8 ms), and twice as much for each step above.
const LIGHT_COST: u32 = 7;
/// Format of the values in shared data.
const FORMAT: u8 = 2;
/// The end of an acceptance: it is remembered for ever.
const FOR_EVER: u64 = u64::MAX;
/// The result of a password check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is one of the account's.
    Accepted,
    /// The password is wrong, or there is no such account.
    Rejected {
        /// Whether to write a log line: only for the first few repeats of the same password.
        is_due: bool,
    },
    /// Too many wrong passwords came lately; this one was not checked.
    Limited(Limit),
}

/// Checks a password. `account` is `None` where the login name stands for no account: a check of `decoy` takes as long.
/// `address` is the client's; it is asked for only where the password is not remembered.
pub fn verify(
    resources: &dyn Resources,
    decoy: Option<&PasswordHash>,
    account: Option<&Account>,
    credentials: &Credentials,
    address: &dyn Fn() -> Option<IpAddr>,
) -> Verdict {
    let hashes = account.map_or_else(|| decoy.map(std::slice::from_ref).unwrap_or_default(), |a| &a.hashes);
    let Some(process_key) = ProcessKey::of(resources) else {
        // Without randomness nothing can be remembered safely; the password itself can still be checked.
        return check(hashes, credentials);
    };
    let key = login_key(&process_key, account, hashes, credentials);
    // Rejections have slots of their own: a client that guesses must not push out the logins that were accepted.
    let (accepted, rejected) = (slot("metahub.login.", &key, SLOTS), slot("metahub.rejected.", &key, SLOTS));
    let recalled = |slot: &str| resources.get(slot).and_then(|value| Remembered::recall(&value, &key));
    if account.is_some() && recalled(&accepted).is_some_and(|login| login.until == FOR_EVER) {
        return Verdict::Accepted;
    }
    if let Some(rejection) = recalled(&rejected).filter(|rejection| rejection.until > resources.now()) {
        return repeated(resources, &rejected, &key, rejection);
    }
    let budgets = Budgets::of(resources, &process_key, &credentials.user, Client::at(address()));
    if let Some(limit) = budgets.limit(resources) {
        return Verdict::Limited(limit);
    }
    let verdict = check(hashes, credentials);
    if verdict == Verdict::Accepted {
        resources.set(&accepted, &Remembered { until: FOR_EVER, lines: 0 }.value(&key));
    } else {
        let until = resources.now().saturating_add(FAILURE_SECONDS);
        resources.set(&rejected, &Remembered { until, lines: 1 }.value(&key));
        budgets.spend(resources, weight(hashes));
    }
    verdict
}

/// A wrong password that comes again. It costs no check and is not counted.
fn repeated(store: &dyn Store, slot: &str, key: &[u8; 32], rejection: Remembered) -> Verdict {
    let is_due = rejection.lines < LINES;
    if is_due {
        let lines = rejection.lines.saturating_add(1);
        store.set(slot, &Remembered { lines, ..rejection }.value(key));
    }
    Verdict::Rejected { is_due }
}

fn check(hashes: &[PasswordHash], credentials: &Credentials) -> Verdict {
    let password = credentials.password.expose();
    if hashes.iter().any(|hash| hash.verifies(password)) {
        Verdict::Accepted
    } else {
        Verdict::Rejected { is_due: true }
    }
}

/// The cost of a check of all these hashes, in checks of a light one.
fn weight(hashes: &[PasswordHash]) -> u32 {
    hashes.iter().map(|hash| 1 << hash.cost().saturating_sub(LIGHT_COST)).sum()
}

/// Covers the account, the whole credential and every hash line: rotation forgets the logins it revokes. A name that
/// is no account stands for itself.
fn login_key(
    process_key: &ProcessKey,
    account: Option<&Account>,
    hashes: &[PasswordHash],
    credentials: &Credentials,
) -> [u8; 32] {
    let (kind, name) = account.map_or((b"no one", credentials.user.as_str()), |account| (b"login ", account.name()));
    let mut parts = vec![kind.as_slice(), name.as_bytes(), credentials.password.expose().as_bytes()];
    parts.extend(hashes.iter().map(|hash| hash.line().as_bytes()));
    digest(process_key, &parts)
}

/// The binding that tickets of this account carry.
pub(crate) fn binding(key: &TicketKey, account: &Account) -> Binding {
    let mut parts = vec![b"account".as_slice(), account.name().as_bytes()];
    parts.extend(account.hashes.iter().map(|hash| hash.line().as_bytes()));
    Binding::new(key.digest(&parts))
}

/// The remembered result of a password check.
#[derive(Clone, Copy)]
struct Remembered {
    /// The end of a rejection, in seconds since the Unix epoch; [`FOR_EVER`] for an acceptance.
    until: u64,
    /// The number of log lines that were written about it.
    lines: u8,
}

impl Remembered {
    /// A slot's value: format, end, lines, the complete key.
    fn value(self, key: &[u8; 32]) -> Vec<u8> {
        let mut value = vec![FORMAT];
        value.extend_from_slice(&self.until.to_le_bytes());
        value.push(self.lines);
        value.extend_from_slice(key);
        value
    }

    /// The result in a slot's value, if it is of this key.
    fn recall(value: &[u8], key: &[u8; 32]) -> Option<Self> {
        let (format, rest) = value.split_first()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (lines, stored) = rest.split_first()?;
        (*format == FORMAT && stored == key).then(|| Self { until: u64::from_le_bytes(*until), lines: *lines })
    }
}
