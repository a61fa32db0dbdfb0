//! The memory that a worker holds at once is bounded.

use metahub::flow::{Event, Step, WorkerState, begin};
use metahub::oci::digest::Digest;

use super::driver::{arrival, basic, configuration, exchange, parse, send};
use super::flow_lies::{IMAGE, demo};
use super::scripted_registry::{ScriptedRegistry, header_list};

#[test]
fn a_worker_that_is_full_says_so() {
    let config = parse(&configuration());
    let memory = ScriptedRegistry::default().memory;
    let authorization = basic("qnib-type1", "qnib-type1");
    for path in ["/v2/a/manifests/latest", "/metahub/v1/explain?image=a"] {
        let headers = header_list(&[(":method", "GET"), (":path", path), ("authorization", &authorization)]);
        let state = begin(&config, &memory, &WorkerState::default(), arrival(Some("registry"), &headers)).exchange;
        let effects = state.advance(&memory, &Event::Overfull);
        let Step::Reply(reply) = effects.step else { panic!("{path}: {:?}", effects.step) };
        assert_eq!(reply.status, 503, "{path}");
        assert!(reply.headers.iter().any(|(name, value)| name == "retry-after" && value == "1"), "{path}");
        let [report] = effects.reports.as_slice() else { panic!("{path}: {:?}", effects.reports) };
        // One line an hour, or a thousand refusals would fill the log.
        let noted = (report.counter.name(), report.line.is_some(), report.topic.as_deref());
        assert_eq!(noted, ("metahub_overloaded", true, Some("overfull")), "{path}");
    }
}

/// Issue 11: 960 explanations at once took all memory of the VM.
#[test]
fn explanations_are_bounded() {
    let (config, worker) = (parse(&configuration()), WorkerState::default());
    let memory = ScriptedRegistry::default().memory;
    let authorization = basic("qnib-type1", "qnib-type1");
    let headers =
        header_list(&[(":method", "GET"), (":path", "/metahub/v1/explain?image=a"), ("authorization", &authorization)]);
    let explain = || begin(&config, &memory, &worker, arrival(Some("registry"), &headers));
    let under_way: Vec<_> = (0..16).map(|_| explain()).collect();
    assert!(under_way.iter().all(|effects| matches!(effects.step, Step::CallOut(_))));
    let Step::Reply(reply) = explain().step else { panic!("one too many") };
    assert_eq!(reply.status, 429);
    assert!(reply.headers.iter().any(|(name, _)| name == "retry-after"));
    drop(under_way);
    assert!(matches!(explain().step, Step::CallOut(_)), "there is room again");
}

#[test]
fn explain_takes_documents_from_the_cache_as_a_pull_does() {
    let (config, upstream) = (parse(&configuration()), demo());
    let digest = Digest::of(&upstream.index.as_ref().unwrap().body).to_string();
    for reference in [":latest", &format!("@{digest}")] {
        let path = format!("/metahub/v1/explain?image=qnib/bench{reference}");
        let explain = || send(&config, "GET", &path, "qnib-type1", "qnib-type1", &upstream);
        exchange(&config, "GET", IMAGE, "qnib-type1", &upstream);
        let asked: Vec<String> = explain().callouts.iter().map(|callout| callout.headers[0].1.clone()).collect();
        assert_eq!(asked.first().map(String::as_str), Some("HEAD"), "{reference}");
    }
}
