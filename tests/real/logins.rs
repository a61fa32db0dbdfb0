//! Passwords: computed once, limited when guessed, revoked at once.

use serde_json::{Value, json};

use super::observe::{Watch, assert_error, assert_no_vm_died, fault_lines};
use super::stage::Stage;
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Builder, Envoy};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::registry::Registry;

/// `htpasswd -nbB -C 10 dear dear`: about 60 ms of one worker.
pub(super) const DEAR: &str = "$2y$10$H6zxzp1yVurLcsuV9e4CueCKQ0dJFzcMLWTram07J.FxlXwrXX2RO";

/// Adds the account `everything`, which sees indexes as they are; its password is its name.
pub(super) fn add_unfiltered(config: &mut Value) {
    let hash = bcrypt::hash("everything", 4).unwrap();
    config.add("accounts.everything", json!({ "password": hash, "machine_type": "unfiltered" }));
}

/// Envoy before the demo repository; the accounts `dear` and `other` have expensive passwords, which are their names.
fn before(registry: &Registry) -> Builder {
    Envoy::before(registry.port()).config(|config| {
        config.add("accounts.dear", json!({ "password": DEAR, "machine_type": "type1" }));
        let hash = bcrypt::hash("other", 4).unwrap();
        config.add("accounts.other", json!({ "password": hash, "machine_type": "type2" }));
    })
}

impl Stage {
    fn ask(&self, user: &str, password: &str) -> Response {
        let request = Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login(user, password);
        self.envoy.send(&request).unwrap()
    }

    fn assert_serves(&self, user: &str, password: &str) {
        let answer = self.ask(user, password);
        assert_eq!((answer.status, &answer.body), (200, &self.bench.image(&["cpu:broadwell"]).manifest.bytes));
    }

    /// Processor time that Envoy has used, in ticks of 10 ms. Unlike the clock's it does not depend on what else runs.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.envoy.id())).unwrap();
        // Behind the name, which may contain anything: state, then ten numbers, then user and system time.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

/// A docker pull sends about ten requests, to either worker: all but the first are cheap.
#[test]
fn a_password_is_computed_once() {
    let stage = Stage::set(before);
    // Connections, compiled code and the decoy are none of the password's cost.
    (0..10).for_each(|_| assert_eq!(stage.ask("qnib-type1", "qnib-type1").status, 200));
    let start = stage.ticks();
    stage.assert_serves("dear", "dear");
    let first = stage.ticks() - start;
    (0..40).for_each(|_| stage.assert_serves("dear", "dear"));
    let next = stage.ticks() - start - first;
    assert!(first >= 4, "the first took {first} ticks: is this the expensive hash?");
    assert!(next < 3 * first, "the first took {first} ticks, the next 40 took {next}");
    assert_no_vm_died(&stage.envoy);
}

/// containerd sends a wrong password six times at once. That is no reason to lock the account.
#[test]
fn a_burst_of_one_wrong_password_locks_nobody_out() {
    let stage = Stage::set(before);
    let watch = Watch::begin(&stage.envoy);
    std::thread::scope(|scope| {
        let burst: Vec<_> = (0..6).map(|_| scope.spawn(|| stage.ask("dear", "wrong"))).collect();
        for attempt in burst {
            let answer = attempt.join().unwrap();
            assert_error(&answer, 401, "UNAUTHORIZED", &["wrong password"], true, "a burst");
        }
    });
    assert_eq!(watch.counted()["unauthorized"], 6);
    stage.assert_serves("dear", "dear");
    // And again once it is remembered, ten times over: a wrong password that is known costs and counts nothing.
    for _ in 0..60 {
        assert_eq!(stage.ask("dear", "wrong").status, 401);
    }
    stage.assert_serves("dear", "dear");
    assert_no_vm_died(&stage.envoy);
}

#[test]
fn guessing_is_limited_and_hurts_nobody_else() {
    let stage = Stage::set(before);
    stage.assert_serves("qnib-type1", "qnib-type1");
    let guess = |number: usize| stage.ask("qnib-type1", &format!("guess {number}"));
    let limited = (0..40).map(guess).find(|answer| answer.status != 401);
    let limited = limited.expect("40 guesses within seconds are not limited");
    assert_error(&limited, 429, "TOOMANYREQUESTS", &["too many wrong passwords"], true, "guessing");
    let seconds: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&seconds), "{seconds}");
    let lines = fault_lines(&stage.envoy);
    assert!(lines.last().unwrap().contains("429 login \"qnib-type1\""), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("guess ")), "a password is in the log: {lines:#?}");

    stage.assert_serves("qnib-type1", "qnib-type1");
    assert_eq!(stage.ask("other", "other").status, 200, "another account, not remembered yet");
    assert_eq!(stage.ask("qnib-type1", "").status, 429, "not looked at");
    assert_no_vm_died(&stage.envoy);
}

/// A new hash line forgets the logins of the old one, in all workers at once.
#[test]
fn rotation_revokes_at_once() {
    let stage = Stage::set(before);
    (0..10).for_each(|_| stage.assert_serves("dear", "dear"));
    let old = stage.envoy.config();
    let fresh = bcrypt::hash("fresh", 4).unwrap();
    let both = old.changed(|config| {
        config.remove("accounts.dear.password");
        config.add("accounts.dear.passwords", json!([DEAR, fresh]));
    });
    assert!(stage.envoy.reload(&both).unwrap());
    stage.assert_serves("dear", "dear");
    stage.assert_serves("dear", "fresh");

    let new = old.changed(|config| config.set("accounts.dear.password", fresh));
    assert!(stage.envoy.reload(&new).unwrap());
    for _ in 0..5 {
        assert_error(&stage.ask("dear", "dear"), 401, "UNAUTHORIZED", &["wrong password"], true, "the old password");
        stage.assert_serves("dear", "fresh");
    }
    // An account that is gone is gone, whatever was remembered of it.
    assert!(stage.envoy.reload(&old.changed(|config| config.rename("accounts.dear", "gone"))).unwrap());
    assert_eq!(stage.ask("dear", "dear").status, 401);
    assert_no_vm_died(&stage.envoy);
}
