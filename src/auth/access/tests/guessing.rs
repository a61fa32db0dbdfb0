//! Each budget at its bound, the clients that share it, and the log lines about it.

use super::*;
use crate::auth::access::budget::{AGAIN, CLIENT, FIRST, NAME};

/// The scope and the seconds of a refusal, and whether it is worth a line.
fn limited(verdict: Verdict) -> (Scope, u64, bool) {
    match verdict {
        Verdict::Limited(limit) => (limit.scope, limit.retry_after, limit.is_due),
        verdict => panic!("{verdict:?}"),
    }
}

/// One process, and guesses that all differ.
struct Process {
    memory: Map,
    config: Config,
    guesses: std::cell::Cell<u32>,
}

impl Process {
    fn start() -> Self {
        Self { memory: Map::default(), config: config(&["one", "two"]), guesses: std::cell::Cell::default() }
    }

    fn next(&self) -> u32 {
        self.guesses.set(self.guesses.get() + 1);
        self.guesses.get()
    }

    fn login(&self, address: &str, user: &str, password: &str) -> Verdict {
        attempt_from(address, &self.memory, &self.config, user, password)
    }

    /// A new wrong password for this name.
    fn guess(&self, address: &str, user: &str) -> Verdict {
        self.login(address, user, &format!("guess {}", self.next()))
    }

    /// A wrong password for a name that nobody has used.
    fn guess_any(&self, address: &str) -> Verdict {
        self.guess(address, &format!("name{}", self.next()))
    }

    /// The number of `guesses` that are checked.
    fn looked_at(&self, guesses: u32, address: impl Fn(u32) -> String) -> u32 {
        (0..guesses).map(|number| u32::from(self.guess_any(&address(number)) == REJECTED)).sum()
    }

    fn at(&self, now: u64) {
        self.memory.now.set(now);
    }
}

#[test]
fn a_name_at_one_client_has_a_budget_and_its_owner_elsewhere_logs_in() {
    let process = Process::start();
    assert_eq!(process.login("10.0.0.2", "user", "one"), Verdict::Accepted);
    for _ in 0..NAME {
        assert_eq!(process.guess("10.0.0.2", "user"), REJECTED);
    }
    process.at(3);
    assert_eq!(limited(process.guess("10.0.0.2", "user")), (Scope::Name, 7, true));
    assert_eq!(limited(process.login("10.0.0.2", "user", "two")), (Scope::Name, 7, false), "not looked at");
    assert_eq!(process.login("10.0.0.2", "user", "one"), Verdict::Accepted, "remembered");
    assert_eq!(process.login("10.0.0.2", "other", "other"), Verdict::Accepted, "another name");
    assert_eq!(process.login("10.0.0.3", "user", "wrong"), REJECTED, "the owner errs elsewhere");
    assert_eq!(process.login("10.0.0.3", "user", "two"), Verdict::Accepted, "the owner elsewhere");
    let process = Process::start();
    (0..NAME).for_each(|_| assert_eq!(process.guess("10.0.0.2", "user"), REJECTED));
    process.at(FAILURE_SECONDS - 1);
    assert_eq!(limited(process.login("10.0.0.2", "user", "two")), (Scope::Name, 1, true));
    process.at(FAILURE_SECONDS);
    assert_eq!(process.login("10.0.0.2", "user", "two"), Verdict::Accepted, "the window is over");
}

#[test]
fn names_that_are_no_accounts_are_treated_alike() {
    let process = Process::start();
    for name in ["user", "nobody"] {
        for _ in 0..NAME {
            assert_eq!(process.guess("10.0.0.2", name), REJECTED, "{name}");
        }
        assert_eq!(limited(process.guess("10.0.0.2", name)), (Scope::Name, 10, true), "{name}");
    }
    for name in ["other", "somebody"] {
        assert_eq!(process.guess("10.0.0.2", name), REJECTED, "{name}: its own budget");
    }
}

#[test]
fn a_client_that_guesses_under_many_names_locks_out_itself() {
    let process = Process::start();
    assert_eq!(process.login("10.0.0.2", "user", "one"), Verdict::Accepted);
    assert_eq!(process.looked_at(400, |_| "10.0.0.2".to_owned()), CLIENT);
    assert_eq!(limited(process.login("10.0.0.2", "other", "other")).0, Scope::Client, "what one NAT shares");
    assert_eq!(process.login("10.0.0.2", "user", "one"), Verdict::Accepted, "remembered, and not pushed out");
    for number in 0..200 {
        process.memory.values.borrow_mut().retain(|key, _| !key.starts_with("metahub.login."));
        let verdict = process.login(&format!("10.0.1.{number}"), "other", "other");
        assert_eq!(verdict, Verdict::Accepted, "first logins from other addresses: {number}");
    }
    process.at(FAILURE_SECONDS);
    assert_eq!(process.login("10.0.0.2", "other", "other"), Verdict::Accepted, "the window is over");
}

/// These two addresses were found by trying.
#[test]
fn clients_that_meet_in_one_slot_share_nothing() {
    let process = Process::start();
    assert_eq!(process.looked_at(100, |_| "10.0.0.2".to_owned()), CLIENT);
    assert_eq!(process.guess_any("10.0.1.179"), REJECTED);
    let values = process.memory.values.borrow();
    assert_eq!(values.keys().filter(|key| key.starts_with("metahub.failures.client.")).count(), 1, "they do not meet");
}

/// A client's window may end within that of all.
#[test]
fn one_client_exhausts_nothing_that_others_share() {
    let process = Process::start();
    let guess = |count: u32| process.looked_at(count, |_| "10.0.0.2".to_owned());
    assert_eq!(guess(1), 1);
    process.at(1);
    assert_eq!(process.guess_any("10.0.0.3"), REJECTED);
    process.at(FAILURE_SECONDS - 1);
    assert_eq!(guess(100), CLIENT - 1);
    process.at(FAILURE_SECONDS);
    assert_eq!(guess(100), CLIENT);
    assert_eq!(process.guess_any("10.0.0.3"), REJECTED, "also where somebody has erred lately");
    assert_eq!(process.login("10.0.0.4", "user", "one"), Verdict::Accepted);
}

#[test]
fn clients_that_have_failed_share_a_budget_and_leave_the_reserve_alone() {
    let process = Process::start();
    for address in ["10.0.0.2", "10.0.0.3"] {
        assert_eq!(process.looked_at(100, |_| address.to_owned()), CLIENT, "{address}");
    }
    // 31 failures of each client were not its first. The third client has its first one and the rest of 64.
    assert_eq!(process.looked_at(100, |_| "10.0.0.4".to_owned()), 1 + AGAIN - 2 * (CLIENT - 1));
    process.at(4);
    assert_eq!(limited(process.login("10.0.0.4", "user", "one")), (Scope::Again, 6, false));
    assert_eq!(process.login("10.0.0.5", "user", "one"), Verdict::Accepted, "no failure lately");
    process.at(FAILURE_SECONDS);
    assert_eq!(process.guess_any("10.0.0.4"), REJECTED);
}

#[test]
fn first_failures_of_many_clients_are_bounded() {
    let process = Process::start();
    assert_eq!(process.looked_at(200, |number| format!("10.1.0.{number}")), FIRST);
    process.at(2);
    assert_eq!(limited(process.login("10.0.0.9", "other", "other")), (Scope::First, 8, false));
    assert_eq!(process.login("10.1.0.0", "user", "one"), Verdict::Accepted, "it draws from the other budget");
    process.at(FAILURE_SECONDS);
    assert_eq!(process.login("10.0.0.9", "other", "other"), Verdict::Accepted);
}

/// The cost of all guessing in the process is bounded, no matter which clients guess.
#[test]
fn all_guesses_together_are_bounded() {
    let process = Process::start();
    assert_eq!(process.login("10.0.0.2", "user", "one"), Verdict::Accepted);
    assert_eq!(process.looked_at(400, |number| format!("10.1.0.{}", number % 250)), FIRST + AGAIN);
    assert_eq!(process.login("10.0.0.2", "user", "one"), Verdict::Accepted, "remembered");
}

#[test]
fn addresses_of_one_network_share_a_budget() {
    for (shared, guesser, others) in [
        ("2001:db8::2", "2001:db8::1", ["2001:db8:0:1::1", "10.0.0.1", "unknown"]),
        ("10.0.0.1", "::ffff:10.0.0.1", ["::1", "10.0.0.2", "unknown"]),
        ("unknown", "none either", ["::1", "10.0.0.1", "0.0.0.0"]),
    ] {
        let process = Process::start();
        assert_eq!(process.looked_at(100, |_| guesser.to_owned()), CLIENT, "{guesser}");
        assert_eq!(limited(process.login(shared, "other", "other")).0, Scope::Client, "{guesser} and {shared}");
        for other in others {
            assert_eq!(process.guess_any(other), REJECTED, "{guesser} and {other}");
        }
    }
}

#[test]
fn dear_checks_weigh_more() {
    let of_cost = |cost: u32| {
        let line = format!("$2y${cost:02}$G0ZJwTQx2MUP8Q9yMmMbquMmTyiHnlNFpQiKlRlDTgmbDLmPuHWTi");
        PasswordHash::parse(&line).unwrap()
    };
    for (cost, expected) in [(4, 1), (5, 1), (7, 1), (8, 2), (10, 8)] {
        assert_eq!(weight(&[of_cost(cost)]), expected, "{cost}");
    }
    assert_eq!(weight(&[of_cost(5), of_cost(10), of_cost(9)]), 13, "a wrong password is checked against each");
    assert_eq!(weight(&[of_cost(10), of_cost(10), of_cost(10), of_cost(10)]), CLIENT, "the dearest account");
    let (memory, config) = (Map::default(), config(&["one", "two", "three", "four"]));
    let guess = |address: String, name: &str| {
        let credentials = Credentials { user: name.to_owned(), password: Secret::new("guess".to_owned()) };
        memory.values.borrow_mut().retain(|key, _| !key.starts_with("metahub.rejected."));
        verify(&memory, config.decoy(), config.accounts.get("user"), &credentials, &|| address.parse().ok()) == REJECTED
    };
    // One name after the other for one account of four hashes, as logins of several machine types are.
    let of_one = (0..100).filter(|number| guess("10.0.0.2".to_owned(), &format!("user-type{number}")));
    assert_eq!(of_one.count(), 8);
    let of_all = (0..400).filter(|number| guess(format!("10.1.0.{}", number % 100), &format!("user-type{number}")));
    assert_eq!(8 + of_all.count(), 32);
}

#[test]
fn failures_that_several_workers_count_at_once_are_all_counted() {
    let process = Process::start();
    let client = Client::at("10.0.0.2".parse().ok());
    // Each worker has read the counts before any other has counted.
    let key = ProcessKey::of(&process.memory).unwrap();
    let workers: Vec<_> = (0..8).map(|_| Budgets::of(&process.memory, &key, "user", client)).collect();
    for worker in &workers {
        process.memory.lost.set(3);
        worker.spend(&process.memory, 1);
    }
    let spent = |slot: &str| process.memory.values.borrow()[slot][8..12].to_vec();
    assert_eq!(spent("metahub.failures.first"), 1_u32.to_le_bytes(), "only one was the client's first");
    assert_eq!(spent("metahub.failures.again"), 7_u32.to_le_bytes());
    assert_eq!((0..4).filter(|_| process.guess("10.0.0.2", "user") == REJECTED).count(), 2, "of ten");
}

#[test]
fn a_clock_that_is_set_back_limits_nobody() {
    let process = Process::start();
    process.at(1_000_000);
    (0..NAME).for_each(|_| assert_eq!(process.guess("10.0.0.2", "user"), REJECTED));
    assert_eq!(limited(process.login("10.0.0.2", "user", "one")).0, Scope::Name);
    process.at(10);
    assert_eq!(process.login("10.0.0.2", "user", "one"), Verdict::Accepted);
}

/// Lines that a guesser causes are bounded by the budgets, and silence no line about anybody else.
#[test]
fn a_spent_budget_is_told_once_in_its_window() {
    let process = Process::start();
    let is_due = |address: &str| match process.guess_any(address) {
        Verdict::Rejected { is_due } => is_due,
        Verdict::Limited(limit) => limit.is_due,
        Verdict::Accepted => panic!("a guess"),
    };
    let lines = |address: &str| (0..400).filter(|_| is_due(address)).count();
    assert_eq!(lines("10.0.0.2"), 33, "32 wrong passwords, and that no more are looked at");
    assert_eq!(lines("10.0.0.3"), 33, "another one");
    process.at(FAILURE_SECONDS - 1);
    assert_eq!(lines("10.0.0.2"), 0);
    process.at(FAILURE_SECONDS);
    assert_eq!(lines("10.0.0.2"), 33);
    // A name's budget has a line of its own.
    let process = Process::start();
    let news: Vec<bool> = (0..40)
        .filter_map(|_| match process.guess("10.0.0.2", "user") {
            Verdict::Limited(limit) => Some(limit.is_due),
            _ => None,
        })
        .collect();
    assert_eq!((news.len(), news.iter().filter(|news| **news).count(), news[0]), (30, 1, true));
}
