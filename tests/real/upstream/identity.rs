//! An account's answers are not given to another account.

use std::time::Duration;

use serde_json::json;

use super::{Stage, assert_pulls, blob, code, manifest, password};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::token_service::Mood;
use metahub_testkit::wait_for;

#[test]
fn a_token_serves_nobody_else() {
    let stage = Stage::with_tokens(json!({ "authentication": "upstream" }));
    assert_pulls(&stage, "alice");
    let layer = blob(REPOSITORY, &stage.bench.images[0].layer);
    for path in [manifest(REPOSITORY), layer.clone(), "/v2/".to_owned()] {
        for (login, wrong) in [("alice-type1", "hunter2-wrong"), ("bob-type1", password("alice")), ("eve-type1", "x")] {
            let answer = stage.ask("GET", &path, login, wrong);
            assert_eq!((answer.status, code(&answer).as_str()), (401, "UNAUTHORIZED"), "{login} {path}");
        }
    }
    assert_pulls(&stage, "bob");
    stage.assert_discreet(&["hunter2-wrong"]);
}

/// The registry's operator takes an account's permission away: that counts as soon as its token ends.
#[test]
fn a_lost_permission_counts_within_the_lifetime_of_a_token() {
    let stage = Stage::with_tokens(json!({ "authentication": "upstream" }));
    stage.tokens().set(Mood::Issue(2));
    for user in ["alice", "bob"] {
        assert_eq!(stage.get(&manifest(REPOSITORY), user, "type1").status, 200);
    }
    stage.tokens().deny("bob");
    // After two seconds nothing is served with the earlier token; this is checked below.
    let refused = || (stage.get(&manifest(REPOSITORY), "bob", "type1").status == 403).then_some(());
    let _ = wait_for("bob's token to end", Duration::from_millis(2100), refused);
    let layer = blob(REPOSITORY, &stage.bench.images[0].layer);
    for path in [manifest(REPOSITORY), layer] {
        let mut denied = stage.get(&path, "bob", "type1");
        if denied.status == 307 {
            denied = stage.get(denied.header("location").unwrap(), "bob", "type1");
        }
        assert_eq!((denied.status, code(&denied).as_str()), (403, "DENIED"), "{path}: {}", denied.text());
        assert_eq!(stage.get(&path, "alice", "type1").status, 200);
    }
}
