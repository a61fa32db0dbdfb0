//! Limits on the wrong passwords that are checked in ten seconds: for one login name at one client, for one client, and
//! for all clients together. And a limit on the new descriptions of machines that one client sends in them.
//!
//! The budget of all clients has two parts: a client that has not failed lately draws from a reserve. One client can
//! exhaust neither part, so it cannot lock out the others. Counts are kept in a fixed number of slots under keyed
//! digests, so that nobody can aim at another client's count. Where two counts share a slot, the earlier one is
//! forgotten.

use std::fmt;

use super::client::Client;
use crate::store::keys::{ProcessKey, digest, slot};
use crate::store::resources::Resources;

/// How long a wrong password is remembered, and over how long failures are counted, in seconds.
pub(super) const FAILURE_SECONDS: u64 = 10;
/// Slots for the counts of clients, and as many for those of login names.
const SLOTS: u32 = 16_384;
/// Failed checks of one login name at one client.
pub(super) const NAME: u32 = 10;
/// The most that failed checks of one client may weigh. No single check weighs more: the most expensive account has
/// four hashes of cost 10.
pub(super) const CLIENT: u32 = 32;
/// The most that failed checks of all clients may weigh, without the first one of each client. A client can spend its
/// budget twice in this window, at the end of its own and at the start of the next; that must not exhaust this one.
pub(super) const AGAIN: u32 = 2 * CLIENT;
/// The most that the first failed checks of all clients may weigh.
pub(super) const FIRST: u32 = 64;
/// The new descriptions of one client. A fleet behind one address may have a hundred kinds of machines, and workers
/// that meet one at the same time count it twice.
pub(super) const DESCRIPTIONS: u32 = 128;
/// The number of attempts to write a count. A check goes uncounted if other workers are faster each time.
pub(super) const TRIES: u32 = 16;

/// The reason why a password was not checked, or a machine not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The time after which the client may try again, in seconds.
    pub retry_after: u64,
    /// The budget that is spent.
    pub scope: Scope,
    /// Whether this is the first time in the window that a budget refuses something: it is worth one log line.
    pub is_due: bool,
}

/// The clients that share a budget, as log lines name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One login name at one client.
    Name,
    /// One client.
    Client,
    /// All clients that have failed lately.
    Again,
    /// All clients that have not failed lately.
    First,
    /// One client that describes machines.
    Descriptions,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "of this login from this address",
            Self::Client | Self::Descriptions => "from this address",
            Self::Again => "from all addresses that have failed lately",
            Self::First => "from all addresses",
        })
    }
}

/// The budgets that a failed check is counted in.
pub(super) struct Budgets([Budget; 3]);

impl Budgets {
    /// The budgets of a login name at a client. They are the same for accounts and unknown names, so that nobody learns
    /// which is which.
    pub(super) fn of(resources: &dyn Resources, process_key: &ProcessKey, user: &str, client: Client) -> Self {
        let client = client.bytes();
        let name = digest(process_key, &[b"failures of a name", user.as_bytes(), &client]);
        let at = digest(process_key, &[b"failures of a client", &client]);
        let client = Budget::read(resources, Scope::Client, slot("metahub.failures.client.", &at, SLOTS), at);
        let all = Budget::of_all(resources, client.count.spent == 0);
        let name = Budget::read(resources, Scope::Name, slot("metahub.failures.name.", &name, SLOTS), name);
        Self([name, client, all])
    }

    /// The limit that keeps passwords from being checked now, if a budget is spent.
    pub(super) fn limit(&self, resources: &dyn Resources) -> Option<Limit> {
        limit(&self.0, resources)
    }

    /// Counts a failed check of this weight. A check is counted only after it has failed: right passwords must not use
    /// up, even for a moment, a budget that nodes share which log in at the same time. So a client may fail in each
    /// worker that has a check under way; only one of these failures counts as its first.
    pub(super) fn spend(&self, resources: &dyn Resources, weight: u32) {
        let [name, client, _] = &self.0;
        let spend = |budget: &Budget, weight: u32| {
            budget.write(resources, |count| Count { spent: count.spent.saturating_add(weight), ..count })
        };
        spend(name, 1);
        let is_first = spend(client, weight).is_some_and(|before| before.spent == 0);
        spend(&Budget::of_all(resources, is_first), weight);
    }
}

/// Counts a new description of a client.
///
/// # Errors
/// [`Limit`] if the client has sent too many lately.
pub(super) fn spend_description(
    resources: &dyn Resources,
    process_key: &ProcessKey,
    client: Client,
) -> Result<(), Limit> {
    let key = digest(process_key, &[b"descriptions of a client", &client.bytes()]);
    let name = slot("metahub.descriptions.client.", &key, SLOTS);
    let budget = Budget::read(resources, Scope::Descriptions, name, key);
    match limit(std::slice::from_ref(&budget), resources) {
        Some(limit) => Err(limit),
        None => {
            budget.write(resources, |count| Count { spent: count.spent.saturating_add(1), ..count });
            Ok(())
        }
    }
}

/// The limit that applies now, if one of these budgets is spent.
fn limit(budgets: &[Budget], resources: &dyn Resources) -> Option<Limit> {
    let now = resources.now();
    let spent = || budgets.iter().filter(|budget| budget.count.spent >= budget.most());
    let retry_after = spent().map(|budget| budget.count.ends().saturating_sub(now).max(1)).max()?;
    let scope = spent().next()?.scope;
    let is_due = spent().any(|budget| !budget.count.told);
    for budget in spent().filter(|budget| !budget.count.told) {
        budget.write(resources, |count| Count { told: true, ..count });
    }
    Some(Limit { retry_after, scope, is_due })
}

/// One budget, as it was when it was read.
struct Budget {
    scope: Scope,
    slot: String,
    key: [u8; 32],
    count: Count,
}

impl Budget {
    fn read(resources: &dyn Resources, scope: Scope, slot: String, key: [u8; 32]) -> Self {
        let count = Count::current(resources.get(&slot).as_deref(), &key, resources.now());
        Self { scope, slot, key, count }
    }

    /// The budget that all clients share that have not failed lately, or that have.
    fn of_all(resources: &dyn Resources, is_first: bool) -> Self {
        if is_first {
            Self::read(resources, Scope::First, "metahub.failures.first".to_owned(), [0; 32])
        } else {
            Self::read(resources, Scope::Again, "metahub.failures.again".to_owned(), [0; 32])
        }
    }

    const fn most(&self) -> u32 {
        match self.scope {
            Scope::Name => NAME,
            Scope::Client => CLIENT,
            Scope::Again => AGAIN,
            Scope::First => FIRST,
            Scope::Descriptions => DESCRIPTIONS,
        }
    }

    /// Changes the count that is stored now, because others have counted while a password was checked. Returns the
    /// count before the change; `None` if it could not be written.
    fn write(&self, resources: &dyn Resources, change: impl Fn(Count) -> Count) -> Option<Count> {
        (0..TRIES).find_map(|_| {
            let (value, version) = resources.get_versioned(&self.slot).unzip();
            let before = Count::current(value.as_deref(), &self.key, resources.now());
            resources
                .set_if_unchanged(&self.slot, &change(before).value(&self.key), version.flatten())
                .then_some(before)
        })
    }
}

/// The weight that was spent in a window, which began with the first failure.
#[derive(Clone, Copy)]
struct Count {
    since: u64,
    spent: u32,
    /// Whether a line was written about the spent budget.
    told: bool,
}

impl Count {
    /// The count of this key in a slot, or a new one where there is none of this window. A window that begins in the
    /// future was written before the clock was set back.
    fn current(value: Option<&[u8]>, key: &[u8; 32], now: u64) -> Self {
        let new = Self { since: now, spent: 0, told: false };
        let stored = value.and_then(|value| Self::parse(value, key));
        stored.filter(|count| (count.since..count.ends()).contains(&now)).unwrap_or(new)
    }

    const fn ends(self) -> u64 {
        self.since.saturating_add(FAILURE_SECONDS)
    }

    fn parse(value: &[u8], key: &[u8; 32]) -> Option<Self> {
        let (since, rest) = value.split_first_chunk::<8>()?;
        let (spent, rest) = rest.split_first_chunk::<4>()?;
        let (told, stored) = rest.split_first()?;
        let count = Self { since: u64::from_le_bytes(*since), spent: u32::from_le_bytes(*spent), told: *told != 0 };
        (stored == key).then_some(count)
    }

    /// A slot's value: start, weight, whether it was logged, the complete key.
    fn value(self, key: &[u8; 32]) -> Vec<u8> {
        let mut value = self.since.to_le_bytes().to_vec();
        value.extend_from_slice(&self.spent.to_le_bytes());
        value.push(u8::from(self.told));
        value.extend_from_slice(key);
        value
    }
}
