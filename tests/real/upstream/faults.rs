//! A token service that is down, slow or faulty: registry errors, a filter that lives, and a next request that
//! succeeds.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Stage, TALL, blob, code, manifest};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::Edit as _;
use metahub_testkit::http::Request;
use metahub_testkit::http::connection::Connection;
use metahub_testkit::token_service::Mood;
use metahub_testkit::wait_for;

fn say(status: u16, headers: &'static str, body: &str) -> Mood {
    Mood::Say(status, headers, body.to_owned())
}

#[test]
fn a_mad_token_service_makes_registry_errors() {
    let stage = Stage::with_tokens(json!({ "authentication": "upstream" }));
    let huge = format!(r#"{{"token":"{}"}}"#, "x".repeat(100 * 1024));
    let enormous = format!(r#"{{"token":"{}"}}"#, "x".repeat(6 * 1024 * 1024));
    let deep = "[".repeat(100_000);
    let rows = [
        (say(401, "", "{}"), 401, "UNAUTHORIZED"),
        (say(403, "", "{}"), 403, "DENIED"),
        (say(429, "retry-after: 7\r\n", "{}"), 429, "TOOMANYREQUESTS"),
        (say(500, "", "{}"), 503, "UNAVAILABLE"),
        (say(302, "location: http://127.0.0.1:9/\r\n", ""), 503, "UNAVAILABLE"),
        (say(200, "", "garbage"), 503, "UNAVAILABLE"),
        (say(200, "", ""), 503, "UNAVAILABLE"),
        (say(200, "", r#"{"token":"a\r\nx-evil: 1"}"#), 503, "UNAVAILABLE"),
        (say(200, "content-encoding: gzip\r\n", r#"{"token":"a"}"#), 503, "UNAVAILABLE"),
        (say(200, "", &huge), 503, "UNAVAILABLE"),
        (say(200, "", &enormous), 503, "UNAVAILABLE"),
        (say(200, "", &deep), 503, "UNAVAILABLE"),
        (Mood::HangUp, 503, "UNAVAILABLE"),
    ];
    let layer = blob(REPOSITORY, &stage.bench.images[0].layer);
    for (mood, status, expected) in rows {
        let shown = format!("{mood:.40?}").chars().take(80).collect::<String>();
        stage.tokens().set(mood);
        for path in [manifest(REPOSITORY), layer.clone(), "/v2/".to_owned()] {
            let answer = stage.get(&path, "alice", "type1");
            assert_eq!((answer.status, code(&answer).as_str()), (status, expected), "{shown}: {}", answer.text());
            assert_eq!(answer.header("retry-after"), (status == 429).then_some("7"), "{shown}");
        }
        // The tokens expire almost at once, so that the next row asks again.
        stage.tokens().set(Mood::Issue(0));
        for path in [manifest(REPOSITORY), layer.clone()] {
            assert_eq!(stage.get(&path, "alice", "type1").status, 200, "after {shown}");
        }
    }
    assert!(!stage.envoy.log().contains("Wasm VM failed"), "a VM died");
    stage.assert_discreet(&[]);
}

#[test]
fn a_silent_token_service_is_given_up() {
    let stage = Stage::with_tokens(json!({ "authentication": "upstream" }));
    stage.tokens().set(Mood::Silent);
    let started = Instant::now();
    let wait_for_call = || {
        let called = || (!stage.tokens().calls().is_empty()).then_some(());
        wait_for("a call to the token service", Duration::from_secs(5), called).unwrap();
    };
    std::thread::scope(|scope| {
        // A client that goes away while its token is awaited.
        let mut gone = Connection::open(stage.envoy.port()).unwrap();
        gone.begin(&Request::get("/v2/").login("alice-type1", "x")).unwrap();
        wait_for_call();
        drop(gone);
        let waiting = scope.spawn(|| stage.get(&manifest(REPOSITORY), "alice", "type1"));
        wait_for_call();
        // Others are served meanwhile.
        stage.tokens().set(Mood::Issue(300));
        for _ in 0..8 {
            assert_eq!(stage.get(&manifest(REPOSITORY), "bob", "type1").status, 200);
        }
        assert!(started.elapsed().as_secs() < 10, "one who waits holds nobody up");
        let answer = waiting.join().unwrap();
        assert_eq!((answer.status, code(&answer).as_str()), (503, "UNAVAILABLE"), "{}", answer.text());
    });
    assert!(started.elapsed().as_secs() < 20);
    assert_eq!(stage.get(&manifest(REPOSITORY), "alice", "type1").status, 200);
}

#[test]
fn without_a_token_service_there_are_registry_errors() {
    let service = json!({ "cluster": "registry", "realm": "http://tokens.test/token" });
    let fields = json!({ "authentication": "upstream", "token_service": service });
    // A cluster that exists and is not a token service: the registry itself.
    let stage = Stage::with_passwords(fields);
    let answer = stage.get(&manifest(REPOSITORY), "alice", "type1");
    assert_eq!((answer.status, code(&answer).as_str()), (503, "UNAVAILABLE"), "{}", answer.text());
    for (cluster, reason) in [("nowhere", "a cluster that does not exist"), ("registry", "the registry has gone")] {
        let config = stage.envoy.config().changed(|config| {
            config.set("registries.registry.token_service.cluster", cluster);
        });
        assert!(stage.envoy.reload(&config).unwrap());
        let answer = stage.get(&manifest(REPOSITORY), "alice", "type1");
        assert_eq!((answer.status, code(&answer).as_str()), (503, "UNAVAILABLE"), "{reason}: {}", answer.text());
    }
}

/// A service that is slow but not too slow, one that does not say how long a token lasts, and one whose tokens have
/// ended before they were given out.
#[test]
fn slow_and_careless_token_services() {
    let stage = Stage::with_tokens(json!({ "authentication": "upstream" }));
    stage.tokens().set(Mood::Late(Duration::from_secs(2)));
    let started = Instant::now();
    assert_eq!(stage.get(&manifest(REPOSITORY), "alice", "type1").status, 200);
    assert!(started.elapsed() >= Duration::from_secs(2));

    // (Another scope than above.) Without `expires_in` a token lasts a minute: the next request has the same one.
    stage.tokens().set(Mood::NoExpiry);
    drop(stage.exchanges());
    for _ in 0..3 {
        assert_eq!(stage.get(&manifest(TALL), "alice", "type1").status, 200);
    }
    assert_eq!(stage.exchanges(), [format!("repository:{TALL}:pull")]);

    // The registry refuses a token that was never used: the login is refused, and neither MetaHub nor the client loops.
    stage.tokens().set(Mood::Ended);
    let answer = stage.get(&manifest(REPOSITORY), "bob", "type1");
    assert_eq!((answer.status, code(&answer).as_str()), (401, "UNAUTHORIZED"), "{}", answer.text());
    stage.tokens().set(Mood::Issue(300));
    let mut answer = stage.get(&manifest(REPOSITORY), "bob", "type1");
    if answer.status == 307 {
        answer = stage.get(answer.header("location").unwrap(), "bob", "type1");
    }
    assert_eq!(answer.status, 200, "{}", answer.text());
    stage.assert_discreet(&[]);
}
