//! Machines that clients describe: in each place, with each kind of authentication, and as many as they like.

use metahub::config::Config;
use metahub::flow::{Arrival, Counter, Effects, Step, WorkerState, begin};
use metahub::store::in_memory::Map;
use metahub::text::headers::Headers;
use serde_json::{Value, json};

use super::driver::{basic, parse, send_headers};
use super::flow_access::{MANIFEST, demo, headers, token};
use super::flow_jwt::jwt;
use super::outcome::Outcome;
use super::scripted_registry::{HeaderList, ScriptedRegistry, child, header_list};

/// `type2` is configured; other machines may be described, in the header too.
pub(super) fn document(authentication: &str) -> Value {
    let account = |fields: Value| {
        let mut account = json!({ "password": bcrypt::hash("pw", 4).unwrap() });
        account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        account
    };
    json!({
        "machine_types": { "type2": { "features": ["ib", "cpu:skylake"] } },
        "described_machine_types": true,
        "machine_type_from": { "header": true },
        "registries": { "registry": {
            "host": "registry.example", "authentication": authentication, "anonymous": "type2",
            "accept_jwt": authentication == "upstream",
        } },
        "accounts": {
            "any": account(json!({})),
            "a-b": account(json!({})),
            "bound": account(json!({ "machine_type": "type2" })),
            "listed": account(json!({ "machine_types": ["type2"] })),
            "free": account(json!({ "machine_types": ["described"] })),
        },
    })
}

fn config(authentication: &str) -> Config {
    parse(&document(authentication))
}

/// A request for the tag with this header.
pub(super) fn with_header(authorization: &str, text: &str) -> HeaderList {
    let mut headers = headers("GET", MANIFEST, authorization);
    headers.extend(header_list(&[("x-metahub-machine-type", text)]));
    headers
}

/// The machine type and its place, or the refusal's status.
pub(super) fn told(outcome: &Outcome) -> String {
    if outcome.status != 200 {
        return outcome.status.to_string();
    }
    format!("{} {}", outcome.header("x-metahub-machine-type"), outcome.header("x-metahub-machine-type-source"))
}

fn by_header(config: &Config, authorization: &str, text: &str) -> String {
    told(&send_headers(config, &with_header(authorization, text), &demo()))
}

pub(super) fn by_login(config: &Config, user: &str) -> String {
    told(&send_headers(config, &headers("GET", MANIFEST, &basic(user, "pw")), &demo()))
}

#[test]
fn a_machine_is_described_with_every_kind_of_authentication() {
    let text = "nvcap:8.6,cpu=IceLake,ib";
    let expected = "cpu=icelake,ib,nvcap=8.6";
    for authentication in ["accounts", "upstream", "none"] {
        let config = config(authentication);
        let login = basic("any", "pw");
        assert_eq!(by_header(&config, &login, text), format!("{expected} header"), "{authentication}");
        let user = "any-cpu=icelake,nvcap=8.6,ib";
        assert_eq!(by_login(&config, user), format!("{expected} login"), "{authentication}");
        let upstream = demo();
        let anonymous = token(&config, "", &upstream);
        assert_eq!(by_header(&config, &anonymous, text), format!("{expected} header"), "{authentication}");
        let ticket = token(&config, &basic(user, "pw"), &upstream);
        let outcome = send_headers(&config, &headers("GET", MANIFEST, &ticket), &upstream);
        assert_eq!(told(&outcome), format!("{expected} login"), "{authentication}");
        // The ticket holds the login alone: a node still says what it is.
        assert_eq!(by_header(&config, &ticket, "cpu=zen4"), "cpu=zen4 header", "{authentication}");
    }
    let config = config("upstream");
    assert_eq!(by_header(&config, &jwt(r#"{"sub":"me"}"#), text), format!("{expected} header"));
    let subject = jwt(r#"{"sub":"me-cpu=icelake,nvcap=8.6,ib"}"#);
    let outcome = send_headers(&config, &headers("GET", MANIFEST, &subject), &demo());
    assert_eq!(told(&outcome), format!("{expected} login"));
    // The registry gets the account alone.
    let outcome = send_headers(&config, &headers("GET", MANIFEST, &basic("me-os=linux,cpu=zen4", "pw")), &demo());
    assert_eq!((told(&outcome), outcome.authorization), ("cpu=zen4 login".into(), Some(Some(basic("me", "pw")))));
}

#[test]
fn accounts_may_be_described_as_their_lists_say() {
    let config = config("accounts");
    // By login, and by header.
    let rows = [
        ("any", "cpu=zen4", "cpu=zen4"),
        ("a-b", "cpu=zen4", "cpu=zen4"),
        ("free", "cpu=zen4", "cpu=zen4"),
        ("free", "cpu=skylake,ib", "type2"),
        ("listed", "cpu=zen4", "403"),
        ("bound", "cpu=zen4", "403"),
        ("bound", "cpu=skylake,ib", "type2"),
        ("nobody", "cpu=zen4", "401"),
    ];
    for (account, text, expected) in rows {
        let at =
            |place: &str| if expected.parse::<u16>().is_ok() { expected.into() } else { format!("{expected} {place}") };
        assert_eq!(by_login(&config, &format!("{account}-{text}")), at("login"), "{account} {text}");
        assert_eq!(by_header(&config, &basic(account, "pw"), text), at("header"), "{account} {text}");
    }
    assert_eq!(by_header(&config, &basic("free", "pw"), "type2"), "403", "a list of described machines names no type");
    let mut document = document("accounts");
    document["registries"]["registry"]["anonymous_machine_types"] = json!(["type2"]);
    let limited = parse(&document);
    let anonymous = token(&limited, "", &demo());
    assert_eq!(by_header(&limited, &anonymous, "cpu=zen4"), "403");
    document["registries"]["registry"]["anonymous_machine_types"] = json!(["described"]);
    let described = parse(&document);
    let anonymous = token(&described, "", &demo());
    assert_eq!(by_header(&described, &anonymous, "cpu=zen4"), "cpu=zen4 header");
}

#[test]
fn descriptions_are_refused_in_words() {
    let config = config("none");
    let many: Vec<String> = (0..100).map(|number| format!("f{number}")).collect();
    let many = format!("cpu=zen4,{}", many.join(","));
    let rows = [
        ("cpu=zen4,cpu=zen3", 400, "has cpu twice"),
        (&many, 400, "has more than 32 features"),
        ("cpu=zen99", 400, "has cpu:zen99, which archspec does not know"),
        ("cpu=zen4,a|b", 400, "may only have letters, digits"),
        ("nvcap=8.6", 400, "describes no machine: architecture: required"),
        ("cpu=zen4, Type2", 400, "names a machine type and describes a machine, as if a proxy had joined two headers"),
        ("type2,cpu=zen4", 400, "names a machine type and describes a machine"),
    ];
    for (text, status, reason) in rows {
        let outcome = send_headers(&config, &with_header(&basic("x", "pw"), text), &demo());
        assert_eq!(outcome.status, status, "{text}");
        assert!(outcome.message().contains(reason), "{text}: {}", outcome.message());
    }
    for text in ["cpu=zen4\u{1}", "cpu=zen4\u{e9}", &format!("cpu=zen4,{}", "a,".repeat(1024))] {
        assert_eq!(by_header(&config, &basic("x", "pw"), text), "400", "{text:?}");
    }
    assert_eq!(
        by_header(&config, &basic("x", "pw"), "cpu=zen4,type=type2,type22"),
        "cpu=zen4,type22,type=type2 header"
    );
    let mut raw = with_header(&basic("x", "pw"), "");
    raw.last_mut().unwrap().1 = b"cpu=zen4,\xff".to_vec();
    assert_eq!(send_headers(&config, &raw, &demo()).status, 400, "not UTF-8");
    // Where machines may not be described, such a text is no name, and a login has none in it.
    let mut document = document("none");
    document["described_machine_types"] = json!(false);
    document["accounts"].as_object_mut().unwrap().remove("free");
    let off = parse(&document);
    assert_eq!(
        (by_header(&off, &basic("x", "pw"), "cpu=zen4"), by_login(&off, "x-cpu=zen4")),
        ("400".into(), "403".into())
    );
}

#[test]
fn no_machine_type_need_be_configured() {
    let document = json!({
        "described_machine_types": true,
        "machine_type_from": { "header": true },
        "registries": { "registry": { "host": "registry.example", "authentication": "none" } },
    });
    for machine_types in [None, Some(json!({}))] {
        let mut document = document.clone();
        document.as_object_mut().unwrap().extend(machine_types.map(|none| ("machine_types".to_owned(), none)));
        assert_eq!(by_header(&parse(&document), &basic("x", "pw"), "cpu=zen4"), "cpu=zen4 header");
    }
}

/// What one of them has found out serves the other, with one HEAD.
#[test]
fn machines_that_are_alike_share_what_is_cached() {
    let (config, upstream) = (config("none"), demo());
    let pull = |text: &str| {
        let outcome = send_headers(&config, &with_header(&basic("x", "pw"), text), &upstream);
        (told(&outcome), outcome.callouts.len(), outcome.asked)
    };
    let head = Some("HEAD".to_owned());
    assert_eq!(pull("type2").1, 2);
    assert_eq!(pull("cpu=skylake,ib"), ("type2 header".into(), 0, head.clone()));
    assert_eq!(pull("cpu=icelake"), ("cpu=icelake header".into(), 0, head.clone()), "the index is there");
    assert_eq!(pull("architecture=x86_64,cpu=ice-lake,cpu=x").0, "400");
    assert_eq!(pull("CPU:ICELAKE,os:linux"), ("cpu=icelake header".into(), 0, head));
}

#[test]
fn explain_takes_a_description() {
    let explain = |config: &Config, user: &str, query: &str| {
        let path = format!("/metahub/v1/explain?image=qnib/bench&machine_type={query}");
        send_headers(config, &headers("GET", &path, &basic(user, "pw")), &demo())
    };
    let names = |outcome: &Outcome| -> Value {
        let document: Value = serde_json::from_slice(&outcome.body).unwrap();
        document["machine_types"][0]["names"].clone()
    };
    let config = config("accounts");
    for (query, name) in [
        ("cpu%3Dicelake", "cpu=icelake"),
        ("nvcap%3A8.6%2Ccpu%3Aicelake", "cpu=icelake,nvcap=8.6"),
        ("ib,cpu=skylake", "type2"),
        ("type2", "type2"),
    ] {
        let outcome = explain(&config, "any", query);
        assert_eq!((outcome.status, names(&outcome)), (200, json!([name])), "{query}");
    }
    let outcome = explain(&config, "any", "cpu%3Dicelake,cpu%3Dzen4");
    assert_eq!((outcome.status, outcome.message().as_str()), (400, "machine_type has cpu twice"));
    let outcome = explain(&config, "listed", "cpu%3Dicelake");
    assert_eq!(outcome.status, 403);
    assert!(outcome.message().contains("may not describe machines"), "{}", outcome.message());
    // A question without a machine type is about the configured ones.
    let outcome =
        send_headers(&config, &headers("GET", "/metahub/v1/explain?image=qnib/bench", &basic("any", "pw")), &demo());
    assert_eq!(names(&outcome), json!(["type2"]));
}

/// A machine that nobody has named is in no topic and no event, and its name is cut in lines.
#[test]
fn made_up_machines_are_no_topics_and_no_events() {
    let mut document = document("none");
    document["events"] = json!({ "cluster": "builds", "host": "builds.example" });
    let config = parse(&document);
    let upstream = ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:haswell"])]);
    let pull = |text: &str| send_headers(&config, &with_header(&basic("x", "pw"), text), &upstream);
    let outcome = pull("cpu=skylake,ib");
    assert!(outcome.counters.contains(&"metahub_missing_variant"), "{:?}", outcome.counters);
    assert_eq!((outcome.lines.len(), outcome.events.len()), (1, 1), "a configured one: {:?}", outcome.lines);
    let outcome = pull("cpu=icelake");
    assert!(outcome.counters.contains(&"metahub_missing_variant"), "{:?}", outcome.counters);
    assert_eq!((outcome.lines, outcome.events), (vec![], vec![]));
    let upstream = ScriptedRegistry::with_list(&[child(&["cpu:zen4"])]);
    let features: Vec<String> = (0..20).map(|number| format!("{number}{}", "x".repeat(40))).collect();
    let text = format!("cpu=icelake,{}", features.join(","));
    let outcome = send_headers(&config, &with_header(&basic("x", "pw"), &text), &upstream);
    assert_eq!((outcome.status, outcome.events.len()), (404, 0));
    assert!(outcome.header("x-metahub-machine-type").len() > 800, "the header has all of it");
    assert!(outcome.lines.iter().all(|line| line.len() < 500 && line.contains("...")), "{:?}", outcome.lines);
    let mut through_mirror = with_header(&basic("x", "pw"), &text);
    through_mirror.extend(header_list(&[("user-agent", "spegel")]));
    let outcome = send_headers(&config, &through_mirror, &demo());
    let [line] = outcome.lines.as_slice() else { panic!("{:?}", outcome.lines) };
    assert!(line.contains("through a mirror") && line.len() < 500 && line.contains("..."), "{line}");
}

/// One process and one worker, and the requests of a client.
struct Process {
    config: Config,
    memory: Map,
    worker: WorkerState,
}

impl Process {
    fn start() -> Self {
        Self { config: config("none"), memory: Map::default(), worker: WorkerState::default() }
    }

    fn request(&self, address: &str, headers: &HeaderList) -> Effects {
        let address = || address.parse().ok();
        let arrival = Arrival { cluster: Some("registry"), headers: Headers(headers), address: &address };
        begin(&self.config, &self.memory, &self.worker, arrival)
    }

    fn pull(&self, address: &str, text: &str) -> Effects {
        self.request(address, &with_header(&basic("x", "pw"), text))
    }
}

/// The status of an answer of MetaHub's own; 0 if the registry is asked.
fn status(effects: &Effects) -> u16 {
    if let Step::Reply(reply) = &effects.step { reply.status } else { 0 }
}

#[test]
fn new_descriptions_have_a_budget_and_known_ones_none() {
    let process = Process::start();
    let text = |number: u32| format!("cpu=icelake,number={number}");
    // A fleet of 2,000 nodes with 100 kinds of machines behind one address.
    for number in 0..2_000 {
        assert_eq!(status(&process.pull("10.0.0.1", &text(number % 100))), 0, "{number}");
    }
    (100..128).for_each(|number| assert_eq!(status(&process.pull("10.0.0.1", &text(number))), 0));
    let limited = process.pull("10.0.0.1", &text(128));
    let Step::Reply(reply) = &limited.step else { panic!("{limited:?}") };
    assert_eq!(reply.status, 429);
    assert!(reply.headers.iter().any(|(name, value)| *name == "retry-after" && value == "10"), "{reply:?}");
    let [report] = limited.reports.as_slice() else { panic!("{limited:?}") };
    assert_eq!((report.counter, report.topic.as_deref()), (Counter::DescriptionsLimited, Some("descriptions")));
    let line = report.line.as_deref().unwrap();
    assert!(
        line.starts_with("429 too many new descriptions of machines lately") && line.contains("10.0.0.1"),
        "{line}"
    );
    let again = process.pull("10.0.0.1", &text(129));
    assert_eq!((status(&again), again.reports[0].line.as_deref()), (429, None), "said once, counted always");
    // What is known is never refused, by no worker; nor is a name, or a machine that the configuration has.
    let other = Process { worker: WorkerState::default(), ..process };
    for known in [&text(7), "number=7,cpu:icelake", "type2", "cpu=skylake,ib"] {
        assert_eq!(status(&other.pull("10.0.0.1", known)), 0, "{known}");
    }
    assert_eq!(status(&other.pull("10.0.0.2", &text(128))), 0, "another client");
    // Only tags and questions count.
    for path in ["/v2/", "/v2/qnib/bench/tags/list", "/metahub/v1/machine-types"] {
        let mut headers = headers("GET", path, &basic("x", "pw"));
        headers.extend(header_list(&[("x-metahub-machine-type", "cpu=icelake,other")]));
        assert_ne!(status(&other.request("10.0.0.1", &headers)), 429, "{path}");
    }
    let question = "/metahub/v1/explain?image=qnib/bench&machine_type=cpu%3Dicelake,other";
    assert_eq!(status(&other.request("10.0.0.1", &headers("GET", question, &basic("x", "pw")))), 429);
    other.memory.now.set(10);
    assert_eq!(status(&other.pull("10.0.0.1", &text(129))), 0, "the window is over");
}

/// Thousands of different descriptions leave a configured machine type's tag warm, and memory stops growing.
#[test]
fn made_up_machines_push_nobody_out() {
    let (upstream, mut document) = (demo(), document("none"));
    document["cache"] = json!({ "bytes": "1MiB" });
    let config = parse(&document);
    let pull = |text: &str| send_headers(&config, &with_header(&basic("x", "pw"), text), &upstream);
    assert_eq!(pull("type2").status, 200);
    let size = || {
        let values = upstream.memory.values.borrow();
        values.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    };
    let mut half = 0;
    for number in 0..2_400_u64 {
        // Ten a second, so that the budget does not end it.
        upstream.memory.now.set(1_000_000 + number / 10);
        let outcome = pull(&format!("cpu=icelake,number={number}"));
        assert_eq!((outcome.status, outcome.callouts.len()), (200, 0), "{number}");
        if number == 1_200 {
            half = size();
        }
    }
    let before = upstream.memory.values.borrow().clone();
    let outcome = pull("type2");
    assert_eq!((told(&outcome).as_str(), outcome.callouts.len()), ("type2 header", 0), "still warm");
    assert!(*upstream.memory.values.borrow() == before, "what its tag resolved to was still known");
    assert!(size() < half + 100_000 && size() < 700_000, "{half} {}", size());
}
