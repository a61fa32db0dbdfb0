//! Passwords: computed once, limited when guessed, revoked at once.

use std::time::Duration;

use serde_json::{Value, json};

use super::observe::{Watch, assert_error, assert_no_vm_died, fault_lines};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::Edit as _;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::stage::{Stage, stage};

/// `htpasswd -nbB -C 10 dear dear`: about 60 ms of one worker.
pub(super) const DEAR: &str = "$2y$10$H6zxzp1yVurLcsuV9e4CueCKQ0dJFzcMLWTram07J.FxlXwrXX2RO";

/// Adds the account `everything`, which sees indexes as they are; its password is its name.
pub(super) fn add_unfiltered(config: &mut Value) {
    let hash = bcrypt::hash("everything", 4).unwrap();
    config.add("accounts.everything", json!({ "password": hash, "machine_type": "unfiltered" }));
}

/// With the accounts `dear` and `other`, whose expensive passwords are their names.
fn start() -> Stage {
    let accounts = |config: &mut Value| {
        config.add("accounts.dear", json!({ "password": DEAR, "machine_type": "type1" }));
        let hash = bcrypt::hash("other", 4).unwrap();
        config.add("accounts.other", json!({ "password": hash, "machine_type": "type2" }));
    };
    stage().config(accounts).start().unwrap()
}

fn ask(stage: &Stage, user: &str, password: &str) -> Response {
    stage.send(&Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login(user, password))
}

fn assert_serves(stage: &Stage, user: &str, password: &str) {
    let answer = ask(stage, user, password);
    assert_eq!((answer.status, &answer.body), (200, &stage.bench.image(&["cpu:broadwell"]).manifest.bytes));
}

/// A docker pull sends about ten requests, to either worker: all but the first are cheap.
#[test]
fn a_password_is_computed_once() {
    let stage = start();
    // Connections, compiled code and the decoy are none of the password's cost.
    (0..10).for_each(|_| assert_eq!(ask(&stage, "qnib-type1", "qnib-type1").status, 200));
    let start = stage.envoy.cpu_time().unwrap();
    assert_serves(&stage, "dear", "dear");
    let first = stage.envoy.cpu_time().unwrap() - start;
    (0..40).for_each(|_| assert_serves(&stage, "dear", "dear"));
    let next = stage.envoy.cpu_time().unwrap() - start - first;
    assert!(first >= Duration::from_millis(40), "the first took {first:?}: is this the expensive hash?");
    assert!(next < 3 * first, "the first took {first:?}, the next 40 took {next:?}");
    assert_no_vm_died(&stage.envoy);
}

/// containerd sends a wrong password six times at once, which must not lock the account.
#[test]
fn a_burst_of_one_wrong_password_locks_nobody_out() {
    let stage = start();
    let watch = Watch::begin(&stage.envoy);
    std::thread::scope(|scope| {
        let burst: Vec<_> = (0..6).map(|_| scope.spawn(|| ask(&stage, "dear", "wrong"))).collect();
        for attempt in burst {
            let answer = attempt.join().unwrap();
            assert_error(&answer, 401, "UNAUTHORIZED", &["wrong password"], true, "a burst");
        }
    });
    assert_eq!(watch.counted()["unauthorized"], 6);
    assert_serves(&stage, "dear", "dear");
    // And again once it is remembered, ten times over: a wrong password that is known costs and counts nothing.
    for _ in 0..60 {
        assert_eq!(ask(&stage, "dear", "wrong").status, 401);
    }
    assert_serves(&stage, "dear", "dear");
    assert_no_vm_died(&stage.envoy);
}

#[test]
fn guessing_is_limited_and_hurts_nobody_else() {
    let stage = start();
    assert_serves(&stage, "qnib-type1", "qnib-type1");
    let guess = |number: usize| ask(&stage, "qnib-type1", &format!("guess {number}"));
    let limited = (0..40).map(guess).find(|answer| answer.status != 401);
    let limited = limited.expect("40 guesses within seconds are not limited");
    assert_error(&limited, 429, "TOOMANYREQUESTS", &["too many wrong passwords"], true, "guessing");
    let seconds: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&seconds), "{seconds}");
    let lines = fault_lines(&stage.envoy);
    assert!(lines.last().unwrap().contains("429 login \"qnib-type1\""), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("guess ")), "a password is in the log: {lines:#?}");

    assert_serves(&stage, "qnib-type1", "qnib-type1");
    assert_eq!(ask(&stage, "other", "other").status, 200, "another account, not remembered yet");
    assert_eq!(ask(&stage, "qnib-type1", "").status, 429, "not looked at");
    assert_no_vm_died(&stage.envoy);
}

/// A new hash line forgets the logins of the old one, in all workers at once.
#[test]
fn rotation_revokes_at_once() {
    let stage = start();
    (0..10).for_each(|_| assert_serves(&stage, "dear", "dear"));
    let old = stage.envoy.config();
    let fresh = bcrypt::hash("fresh", 4).unwrap();
    let both = old.changed(|config| {
        config.remove("accounts.dear.password");
        config.add("accounts.dear.passwords", json!([DEAR, fresh]));
    });
    assert!(stage.envoy.reload(&both).unwrap());
    assert_serves(&stage, "dear", "dear");
    assert_serves(&stage, "dear", "fresh");

    let new = old.changed(|config| config.set("accounts.dear.password", fresh));
    assert!(stage.envoy.reload(&new).unwrap());
    for _ in 0..5 {
        assert_error(&ask(&stage, "dear", "dear"), 401, "UNAUTHORIZED", &["wrong password"], true, "the old password");
        assert_serves(&stage, "dear", "fresh");
    }
    // A removed account is refused, although its login was remembered.
    assert!(stage.envoy.reload(&old.changed(|config| config.rename("accounts.dear", "gone"))).unwrap());
    assert_eq!(ask(&stage, "dear", "dear").status, 401);
    assert_no_vm_died(&stage.envoy);
}
