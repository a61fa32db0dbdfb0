//! Wrong passwords as an operator sees them: the counters, the log lines, and that both stay few.

use metahub::config::Config;
use metahub::flow::{Arrival, Counter, Effects, Step, WorkerState, begin};
use metahub::text::headers::Headers;

use super::driver::{basic, configuration, parse};
use super::scripted_registry::header_list;
use metahub::store::in_memory::Map;

/// A ping from this address; one that is none is unknown.
fn ping(config: &Config, memory: &Map, address: &str, user: &str, password: &str) -> Effects {
    let headers = header_list(&[(":method", "GET"), (":path", "/v2/"), ("authorization", &basic(user, password))]);
    let address = || address.parse().ok();
    let arrival = Arrival { cluster: Some("registry"), headers: Headers(&headers), address: &address };
    begin(config, memory, &WorkerState::default(), arrival)
}

/// Status, counter and line of a refusal.
fn refusal(effects: &Effects) -> (u16, Counter, Option<&str>) {
    let (Step::Reply(reply), [report]) = (&effects.step, effects.reports.as_slice()) else { panic!("{effects:?}") };
    (reply.status, report.counter, report.line.as_deref())
}

#[test]
fn a_limited_login_is_named_with_its_address() {
    let rows = [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("no address", "an unknown address"),
    ];
    for (address, shown) in rows {
        let (config, memory) = (parse(&configuration()), Map::default());
        let guess = |number: u32| ping(&config, &memory, address, "qnib-type1", &format!("s3cret {number}"));
        for number in 0..10 {
            let effects = guess(number);
            let line = format!("401 login \"qnib-type1\" from {shown}: no such account or wrong password");
            assert_eq!(refusal(&effects), (401, Counter::Unauthorized, Some(line.as_str())));
        }
        let effects = guess(10);
        let line = format!(
            "429 login \"qnib-type1\" from {shown}: too many wrong passwords lately of this login from this address"
        );
        assert_eq!(refusal(&effects), (429, Counter::Limited, Some(line.as_str())));
        let Step::Reply(reply) = effects.step else { panic!() };
        assert!(reply.headers.iter().any(|(name, value)| *name == "retry-after" && value == "10"), "{reply:?}");
        assert_eq!(refusal(&guess(11)), (429, Counter::Limited, None), "said once, counted always");
    }
}

/// 400 guesses a second for ten seconds, of any names, and one wrong password again and again.
#[test]
fn guessing_writes_few_lines_and_silences_nobody_elses() {
    let (config, memory) = (parse(&configuration()), Map::default());
    let has_line = |effects: Effects| refusal(&effects).2.is_some();
    let guesses = (0..4000).filter(|number| {
        memory.now.set(number / 400);
        has_line(ping(&config, &memory, "10.0.0.1", &format!("name{number}"), "guess"))
    });
    assert_eq!(guesses.count(), 33);
    let repeats = (0..1000).filter(|_| has_line(ping(&config, &memory, "10.0.0.2", "qnib-type1", "wrong")));
    assert_eq!(repeats.count(), 6);
    assert!(has_line(ping(&config, &memory, "10.0.0.3", "qnib-type1", "somebody else errs")));
}
