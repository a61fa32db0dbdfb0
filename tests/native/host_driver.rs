//! The driver between a proxy and the flow: it holds requests, lets them go on, and handles failed calls into the
//! proxy.

use log::Level;
use metahub::host::FilterStatus::{self, Continue, Hold, Replied};
use metahub::host::flights::Outcome as CalloutOutcome;
use metahub::host::log_lines::collect;
use metahub::text::headers::HeaderChange;
use serde_json::json;

use super::driver::{basic, configuration, parse};
use super::envoy::Envoy;
use super::scripted_registry::{HeaderList, Response, ScriptedRegistry, child, header_list};

fn demo() -> ScriptedRegistry {
    ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:broadwell"])])
}

fn get(path: &str) -> HeaderList {
    let authorization = basic("qnib-type1", "qnib-type1");
    header_list(&[(":method", "GET"), (":path", path), ("authorization", &authorization)])
}

const TAG: &str = "/v2/qnib/bench/manifests/latest";
const BLOB: &str = "/v2/qnib/bench/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn nothing_is_decided_before_a_request_is_known_to_have_no_body() {
    let (config, upstream) = (parse(&configuration()), demo());
    for path in [TAG, BLOB] {
        let envoy = Envoy::new(&config, &get(path), &upstream);
        assert_eq!(envoy.driver.on_request_headers(&envoy, false), Hold, "{path}");
        assert_eq!(envoy.driver.on_request_body(&envoy, 0, false), Hold, "{path}");
        assert!(envoy.changes.borrow().is_empty() && envoy.outcome.borrow().counters.is_empty(), "{path}");
        let status = envoy.driver.on_request_body(&envoy, 0, true);
        let length = HeaderChange::Set("content-length", "0".to_owned());
        assert_eq!(envoy.changes.borrow().first(), Some(&length), "{path}");
        assert_eq!(status, if path == TAG { Hold } else { Continue }, "{path}");
        envoy.settle(status);
        assert_eq!(envoy.outcome.borrow().status, if path == TAG { 200 } else { 0 }, "{path}");
    }
}

#[test]
fn a_body_is_refused_before_the_decision_and_while_it_waits() {
    let (config, upstream) = (parse(&configuration()), demo());
    for end in [false, true] {
        let envoy = Envoy::new(&config, &get(TAG), &upstream);
        assert_eq!(envoy.driver.on_request_headers(&envoy, end), Hold);
        let (status, lines) = collect(|| envoy.driver.on_request_body(&envoy, 5, false));
        assert_eq!((status, envoy.outcome.borrow().status), (Replied, 400));
        assert!(matches!(lines.as_slice(), [line] if line.level == Level::Warn && line.text.contains("must not have")));
        // The answer that it waited for has no effect, and neither has the rest of its body.
        if end {
            envoy.settle(Hold);
        }
        assert_eq!(envoy.driver.on_request_body(&envoy, 5, true), Continue);
        assert_eq!(envoy.outcome.borrow().status, 400);
    }
}

/// Issue 11: a request that Envoy answers itself hung while a token was awaited.
#[test]
fn what_envoy_answers_itself_passes() {
    let (config, upstream) = (parse(&configuration()), demo());
    for end in [false, true] {
        let envoy = Envoy::new(&config, &get(TAG), &upstream);
        assert_eq!(envoy.driver.on_request_headers(&envoy, end), Hold);
        *envoy.response.borrow_mut() = header_list(&[(":status", "408"), ("content-type", "text/plain")]);
        assert_eq!(envoy.driver.on_response_headers(&envoy, false), Continue);
        assert_eq!(envoy.driver.on_response_body(&envoy, 7, true), Continue);
        assert_eq!(envoy.response.borrow().len(), 2, "as it was");
        // Nothing of its request may go on; without an exchange it is not answered again either.
        if end {
            envoy.settle(Hold);
        } else {
            assert_eq!(envoy.driver.on_request_body(&envoy, 0, false), Hold);
        }
        assert!(!envoy.has_replied());
    }
}

/// Issue 11: refusals of what called itself gRPC were 200.
#[test]
fn an_answer_to_what_calls_itself_grpc_keeps_its_status() {
    let (config, upstream) = (parse(&configuration()), demo());
    let grpc = |path: &str| [get(path), header_list(&[("content-type", "application/grpc+proto")])].concat();
    let own = header_list(&[(":status", "200"), ("grpc-status", "14"), ("grpc-message", "x"), ("content-type", "y")]);
    // Envoy's own answer, MetaHub's own, and upstream's, which has no such header.
    for (path, response, expected) in [
        (BLOB, own.clone(), vec![(":status", "503")]),
        (TAG, own.clone(), vec![(":status", "200")]),
        ("/v2/qnib/bench/nothing", own, vec![(":status", "404")]),
        (
            BLOB,
            header_list(&[(":status", "200"), ("content-type", "y")]),
            vec![(":status", "200"), ("content-type", "y")],
        ),
    ] {
        let envoy = Envoy::new(&config, &grpc(path), &upstream);
        envoy.settle(envoy.driver.on_request_headers(&envoy, true));
        envoy.went_on();
        *envoy.response.borrow_mut() = response;
        assert_eq!(envoy.driver.on_response_headers(&envoy, true), Continue, "{path}");
        assert_eq!(*envoy.response.borrow(), header_list(&expected), "{path}");
    }
}

#[test]
fn where_a_call_into_envoy_fails_the_client_gets_503() {
    let mut document = configuration();
    document["registries"]["registry"]["token_service"] =
        json!({ "cluster": "auth", "realm": "https://auth.example/token", "service": "hub" });
    let (accounts, with_tokens, mut upstream) = (parse(&configuration()), parse(&document), demo());
    upstream.by_digest.insert("token".into(), Some(Response::new(200, "application/json", r#"{"token":"t"}"#)));
    let rows = [
        (&with_tokens, BLOB, "resume_request", Hold),
        (&accounts, BLOB, "change_header", Replied),
        (&accounts, TAG, "reply", Hold),
        (&accounts, "/v2/", "reply", Replied),
    ];
    for (config, path, fails, expected) in rows {
        let envoy = Envoy::new(config, &get(path), &upstream);
        envoy.fails.set((fails, 1));
        let (status, lines) = collect(|| {
            let status = envoy.driver.on_request_headers(&envoy, true);
            envoy.settle(status);
            status
        });
        assert_eq!((status, envoy.outcome.borrow().status), (expected, 503), "{path} {fails}");
        let errors: Vec<&str> =
            lines.iter().filter(|line| line.level == Level::Error).map(|line| line.text.as_str()).collect();
        assert_eq!(errors, [format!("503 a call into Envoy failed: {fails:?}")], "{path}");
        assert_eq!(envoy.driver.on_request_body(&envoy, 1, true), Continue, "it is over");
    }
}

/// The client's request waits, or a response that says that the tag has moved; and a callout was sent already, or not.
#[test]
fn what_a_full_worker_takes_no_callout_of_is_answered_and_not_held() {
    let (config, mut upstream) = (parse(&configuration()), demo());
    for known in [false, true] {
        if known {
            collect(|| Envoy::new(&config, &get(TAG), &upstream).run());
            let moved = ScriptedRegistry::with_list(&[child(&["cpu:haswell"])]);
            (upstream.index, upstream.by_digest) = (moved.index, moved.by_digest);
        }
        for sent in [false, true] {
            let envoy = Envoy::new(&config, &get(TAG), &upstream);
            envoy.fails.set(("call_out", u32::from(!sent)));
            let (status, _) = collect(|| {
                let status = envoy.driver.on_request_headers(&envoy, true);
                if !known {
                    return status;
                }
                envoy.went_on();
                *envoy.response.borrow_mut() = upstream.index.as_ref().map(Response::list).unwrap();
                envoy.driver.on_response_headers(&envoy, true)
            });
            assert_eq!(status, if sent { Hold } else { Replied }, "{known} {sent}");
            if sent {
                collect(|| envoy.driver.on_callout(&envoy, &CalloutOutcome::Overfull));
            }
            assert!(envoy.has_replied(), "{known} {sent}");
            let outcome = envoy.outcome.borrow();
            assert_eq!((outcome.status, outcome.header("retry-after")), (503, "1"), "{known} {sent}");
            assert_eq!(outcome.counters, ["metahub_overloaded"], "{known} {sent}");
        }
    }
}

#[test]
fn where_envoy_takes_no_answer_at_all_the_request_is_held_for_ever_and_never_goes_on() {
    let (config, upstream) = (parse(&configuration()), demo());
    let envoy = Envoy::new(&config, &get("/v2/"), &upstream);
    envoy.fails.set(("reply", u32::MAX));
    let (status, lines): (FilterStatus, _) = collect(|| envoy.driver.on_request_headers(&envoy, true));
    assert_eq!((status, lines.len(), envoy.has_replied()), (Replied, 1, false));
}

#[test]
fn a_response_is_held_until_it_is_decided() {
    let (config, upstream) = (parse(&configuration()), demo());
    let mut upstream = upstream;
    let envoy = Envoy::new(&config, &get(TAG), &upstream);
    collect(|| envoy.run());
    // The tag is known now; upstream's HEAD says that it has moved, and a callout asks where to.
    let moved = ScriptedRegistry::with_list(&[child(&["cpu:haswell"])]);
    (upstream.index, upstream.by_digest) = (moved.index, moved.by_digest);
    let envoy = Envoy::new(&config, &get(TAG), &upstream);
    assert_eq!(envoy.driver.on_request_headers(&envoy, true), Continue);
    envoy.went_on();
    *envoy.response.borrow_mut() = upstream.index.as_ref().map(Response::list).unwrap();
    assert_eq!(envoy.driver.on_response_headers(&envoy, true), Hold);
    assert_eq!(envoy.driver.on_response_body(&envoy, 10, false), Hold, "headers would go on with the body");
    envoy.settle(Hold);
    assert!(envoy.has_replied());
}
