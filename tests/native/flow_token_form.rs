//! Tickets by POST: the login comes in a form, which the host holds until it is complete.

use metahub::config::Config;
use metahub::flow::{Exchange, MAX_FORM, Step, WorkerState, begin, read_form};
use metahub::host::FilterStatus::{Continue, Hold};
use metahub::host::log_lines::collect;
use metahub::store::in_memory::Map;
use metahub::text::headers::Headers;
use serde_json::{Value, json};

use super::driver::{arrival, basic, parse};
use super::envoy::Envoy;
use super::flow_access::{BASIC, MANIFEST, TOKEN, demo, get, headers, machine_type, registry};
use super::outcome::Outcome;
use super::scripted_registry::{HeaderList, Response, ScriptedRegistry, header_list};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// A form with a secret in each place that could be shown.
const SECRETS: &str = "username=hunter2-user&password=hunter2&refresh_token=hunter2&client_secret=hunter2";

fn posted(more: &[(&str, &str)]) -> HeaderList {
    [headers("POST", TOKEN, ""), header_list(more)].concat()
}

/// A form with this login, each character as its code.
fn form(user: &str, password: &str) -> String {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let (user, password) = (encode(user), encode(password));
    format!("grant_type=password&service=metahub&client_id=x&username={user}&password={password}&scope=a&scope=b")
}

/// The answer to a form that comes in these pieces. What comes after an answer is not read.
fn post(config: &Config, headers: &HeaderList, pieces: &[&[u8]], upstream: &ScriptedRegistry) -> Outcome {
    let envoy = Envoy::new(config, headers, upstream);
    let ((), lines) = collect(|| {
        let mut status = envoy.driver.on_request_headers(&envoy, pieces.is_empty());
        for (number, piece) in pieces.iter().enumerate() {
            if envoy.has_replied() {
                break;
            }
            assert_eq!(status, Hold);
            envoy.request_body.borrow_mut().extend_from_slice(piece);
            let held = envoy.request_body.borrow().len();
            status = envoy.driver.on_request_body(&envoy, held, number + 1 == pieces.len());
        }
        envoy.settle(status);
    });
    assert!(envoy.has_replied() && envoy.changes.borrow().is_empty(), "it never goes upstream");
    let mut outcome = envoy.outcome.into_inner();
    outcome.lines = lines.into_iter().map(|line| line.text).collect();
    outcome
}

fn log_in(config: &Config, user: &str, password: &str, upstream: &ScriptedRegistry) -> Outcome {
    post(config, &posted(&[FORM]), &[form(user, password).as_bytes()], upstream)
}

fn error(outcome: &Outcome) -> (u16, String, String) {
    let body: Value = serde_json::from_slice(&outcome.body).unwrap();
    assert_eq!(body["error_description"], body["errors"][0]["message"]);
    (outcome.status, body["error"].as_str().unwrap().to_owned(), outcome.code())
}

#[test]
fn a_form_is_as_good_as_a_header() {
    let mut upstream = demo();
    for (authentication, user, password) in
        [("accounts", "qnib-type1", "qnib-type1"), ("none", "x-type1", ""), ("upstream", "me-type1", "p:w& ü+")]
    {
        let config = parse(&registry(authentication, json!({})));
        let outcome = log_in(&config, user, password, &upstream);
        assert_eq!((outcome.status, outcome.header("cache-control")), (200, "no-store"));
        assert_eq!((outcome.counters.as_slice(), outcome.lines.len()), (["metahub_token_issued"].as_slice(), 0));
        assert_eq!(
            outcome.callouts.len(),
            usize::from(authentication == "upstream"),
            "the registry knows the password"
        );
        let body: Value = serde_json::from_slice(&outcome.body).unwrap();
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["access_token", "expires_in", "token", "token_type"], "no refresh token");
        assert_eq!((&body["token"], &body["token_type"]), (&body["access_token"], &json!("Bearer")));
        let bearer = format!("Bearer {}", body["token"].as_str().unwrap());
        let pulled = get(&config, MANIFEST, &bearer, &upstream);
        assert_eq!(machine_type(&pulled), (200, "type1"), "{authentication}");
        assert_eq!(pulled.authorization, Some((authentication == "upstream").then(|| basic("me", password))));
    }
    let config = parse(&registry("upstream", json!({})));
    for (status, expected) in [(401, 401), (500, 503)] {
        upstream.by_digest.insert(String::new(), Some(Response::new(status, "text/plain", "")));
        assert_eq!(log_in(&config, "me-type1", "pw", &upstream).status, expected);
    }
}

#[test]
fn a_wrong_password_is_answered_and_counted_as_everywhere() {
    let (config, upstream) = (parse(&registry("accounts", json!({}))), demo());
    for user in ["qnib-type1", "nobody", "team-type9"] {
        let outcome = log_in(&config, user, "hunter2", &upstream);
        assert_eq!((outcome.status, outcome.header("www-authenticate")), (401, BASIC), "{user}");
        assert_eq!(outcome.counters, ["metahub_unauthorized"]);
        assert_eq!(outcome.message(), "no such account or wrong password");
        let told = format!("{:?} {}", outcome.lines, String::from_utf8_lossy(&outcome.body));
        assert!(told.contains(user) && !told.contains("hunter2"), "{told}");
    }
    for guess in 0..20 {
        log_in(&config, "all", &format!("guess {guess}"), &upstream);
    }
    let limited = log_in(&config, "all", "all", &upstream);
    assert_eq!((limited.status, limited.counters.as_slice()), (429, ["metahub_limited"].as_slice()));
    assert_eq!(get(&config, TOKEN, &basic("all", "all"), &upstream).status, 429, "one budget for both");
}

#[test]
fn a_form_without_a_login_is_refused_and_makes_nobody_anonymous() {
    let unsupported = "unsupported_grant_type";
    let invalid = "invalid_request";
    for authentication in ["accounts", "upstream", "none"] {
        let config = parse(&registry(authentication, json!({})));
        for (form, word) in [
            ("", unsupported),
            ("grant_type=refresh_token", unsupported),
            ("grant_type=authorization_code&code=hunter2", unsupported),
            ("grant_type=client_credentials", unsupported),
            ("", unsupported),
            ("grant_type=password&grant_type=password", invalid),
            ("grant_type=password&username=me-type1", invalid),
            ("grant_type=password&%70assword=x", invalid),
        ] {
            let outcome = post(&config, &posted(&[FORM]), &[format!("{form}&{SECRETS}").as_bytes()], &demo());
            assert_eq!(error(&outcome), (400, word.to_owned(), "UNSUPPORTED".to_owned()), "{form}");
            assert_eq!((outcome.header("cache-control"), outcome.header("www-authenticate")), ("no-store", ""));
            assert_eq!((outcome.counters.as_slice(), outcome.lines.len()), (["metahub_refused"].as_slice(), 1));
            assert!(outcome.lines[0].starts_with("400 POST /metahub/v1/token: "), "{:?}", outcome.lines);
            let told = format!("{:?} {}", outcome.lines, String::from_utf8_lossy(&outcome.body));
            assert!(!told.contains("hunter2"), "{told}");
        }
        for (user, password) in [("", ""), ("", "pw"), ("a:b", "pw"), ("a\n", "pw"), ("a", "p\0w")] {
            let outcome = log_in(&config, user, password, &demo());
            assert_eq!(error(&outcome).0, 400, "{user:?} {password:?}");
            assert!(outcome.callouts.is_empty());
        }
        let bodiless = post(&config, &posted(&[FORM]), &[], &demo());
        assert_eq!(error(&bodiless), (400, unsupported.to_owned(), "UNSUPPORTED".to_owned()));
    }
}

/// All of these are refused before any of the form is held.
#[test]
fn headers_that_do_not_fit_a_form_are_refused() {
    let (config, upstream) = (parse(&registry("accounts", json!({}))), demo());
    let login = basic("qnib-type1", "qnib-type1");
    let rows: [(&[(&str, &str)], u16); 14] = [
        (&[], 415),
        (&[("content-type", "application/json")], 415),
        (&[("content-type", "application/x-www-form-urlencoded2")], 415),
        (&[("content-type", "multipart/form-data; boundary=x")], 415),
        (&[FORM, FORM], 415),
        (&[FORM, ("content-encoding", "gzip")], 415),
        (&[FORM, ("content-encoding", "identity"), ("content-encoding", "br")], 415),
        (&[FORM, ("authorization", &login)], 400),
        (&[FORM, ("authorization", "Bearer x")], 400),
        (&[FORM, ("authorization", "")], 400),
        (&[FORM, ("authorization", &login), ("authorization", &login)], 400),
        (&[FORM, ("content-length", "16385")], 413),
        (&[FORM, ("content-length", "18446744073709551615")], 413),
        (&[("content-type", "application/grpc"), ("content-length", "1")], 415),
    ];
    for (more, status) in rows {
        let envoy = Envoy::new(&config, &posted(more), &upstream);
        let (_, lines) = collect(|| envoy.driver.on_request_headers(&envoy, false));
        assert!(envoy.has_replied(), "{more:?}");
        let outcome = envoy.outcome.into_inner();
        let (got, word, code) = error(&outcome);
        assert_eq!((got, word.as_str()), (status, "invalid_request"), "{more:?}");
        assert_eq!(code, if status == 413 { "SIZE_INVALID" } else { "UNSUPPORTED" }, "{more:?}");
        assert_eq!((outcome.counters.as_slice(), lines.len()), (["metahub_refused"].as_slice(), 1), "{more:?}");
        assert!(!lines[0].text.contains(&login));
    }
    for fits in [
        &[("content-type", "Application/X-WWW-Form-URLencoded ; charset=iso-8859-1")][..],
        &[FORM, ("content-encoding", "identity")],
        &[FORM, ("content-length", "16384")],
        &[FORM, ("transfer-encoding", "chunked")],
        &[FORM, ("accept", "text/html"), ("cookie", "x")],
    ] {
        let outcome = post(&config, &posted(fits), &[form("qnib-type1", "qnib-type1").as_bytes()], &demo());
        assert_eq!(outcome.status, 200, "{fits:?}");
    }
}

#[test]
fn a_registry_without_anonymous_clients_reads_no_form() {
    for authentication in ["accounts", "upstream", "none"] {
        let (config, upstream) = (parse(&registry(authentication, json!({ "anonymous": "refuse" }))), demo());
        let envoy = Envoy::new(&config, &posted(&[FORM]), &upstream);
        let (_, lines) = collect(|| envoy.driver.on_request_headers(&envoy, false));
        let outcome = envoy.outcome.into_inner();
        assert_eq!((outcome.status, outcome.code().as_str(), lines.len()), (405, "UNSUPPORTED", 1));
        assert!(outcome.message().contains("issues no tokens"));
    }
    let config = parse(&registry("accounts", json!({})));
    let headers = posted(&[FORM]);
    for (cluster, status) in [(Some("elsewhere"), 403), (None, 404)] {
        let begun = begin(&config, &Map::default(), &WorkerState::default(), arrival(cluster, &headers));
        assert!(matches!(&begun.step, Step::Reply(reply) if reply.status == status), "{cluster:?} {begun:?}");
    }
}

/// A form that just fits, and one byte more.
#[test]
fn a_form_is_bounded_however_it_comes() {
    let config = parse(&registry("none", json!({})));
    let of = |length: usize| {
        let form = "grant_type=password&username=x-type1&password=";
        format!("{form}{}", "p".repeat(length - form.len())).into_bytes()
    };
    for size in [1, 7, 4096, 100_000] {
        for (length, status) in [(MAX_FORM, 200), (MAX_FORM + 1, 413), (3 * MAX_FORM, 413)] {
            let form = of(length);
            let pieces: Vec<&[u8]> = form.chunks(size).collect();
            // Trailers end a form as an empty piece does.
            for ending in [&[][..], &[&b""[..]]] {
                let outcome = post(&config, &posted(&[FORM]), &[&pieces[..], ending].concat(), &demo());
                assert_eq!(outcome.status, status, "{length} in pieces of {size}");
            }
        }
    }
    // Trailers say nothing of a size.
    for (length, status) in [(MAX_FORM, 200), (MAX_FORM + 1, 413)] {
        let (headers, upstream) = (posted(&[FORM]), demo());
        let envoy = Envoy::new(&config, &headers, &upstream);
        assert_eq!(envoy.driver.on_request_headers(&envoy, false), Hold);
        *envoy.request_body.borrow_mut() = of(length);
        collect(|| envoy.driver.on_request_body(&envoy, 0, true));
        assert_eq!(envoy.outcome.borrow().status, status);
    }
}

/// A form that is too long is refused at the piece that makes it so.
#[test]
fn no_more_is_held_than_can_be_read() {
    let (config, upstream, headers) = (parse(&registry("none", json!({}))), demo(), posted(&[FORM]));
    let envoy = Envoy::new(&config, &headers, &upstream);
    assert_eq!(envoy.driver.on_request_headers(&envoy, false), Hold);
    assert_eq!(envoy.driver.on_request_body(&envoy, MAX_FORM, false), Hold);
    collect(|| envoy.driver.on_request_body(&envoy, MAX_FORM + 1, false));
    assert_eq!(envoy.outcome.borrow().status, 413);
    assert_eq!(envoy.driver.on_request_body(&envoy, 1, true), Continue, "it is over");
}

/// Envoy answers 408 to a client that never sends the rest.
#[test]
fn a_form_without_an_end_is_for_envoy_to_answer() {
    let (config, upstream, headers) = (parse(&registry("none", json!({}))), demo(), posted(&[FORM]));
    let envoy = Envoy::new(&config, &headers, &upstream);
    assert_eq!(envoy.driver.on_request_headers(&envoy, false), Hold);
    assert_eq!(envoy.driver.on_request_body(&envoy, 10, false), Hold);
    *envoy.response.borrow_mut() = header_list(&[(":status", "408"), ("content-type", "text/plain")]);
    assert_eq!(envoy.driver.on_response_headers(&envoy, false), Continue);
    assert_eq!(envoy.driver.on_response_body(&envoy, 7, true), Continue);
    assert!(!envoy.has_replied() && envoy.driver.inspect(Exchange::is_done));
}

#[test]
fn forms_that_have_no_end_leave_room_for_others() {
    let (config, memory, worker) = (parse(&registry("none", json!({}))), Map::default(), WorkerState::default());
    let headers = posted(&[FORM]);
    let hold = |bytes: usize| {
        let begun = begin(&config, &memory, &worker, arrival(Some("registry"), &headers));
        assert!(matches!(begun.step, Step::Hold) && begun.exchange.awaits_form());
        begun.exchange.hold_form(bytes, Headers(&headers))
    };
    let mut held: Vec<_> = (0..1024).map(|_| hold(MAX_FORM)).collect();
    assert!(held.iter().all(|effects| matches!(effects.step, Step::Hold)));
    let refused = hold(1);
    let Step::Reply(reply) = &refused.step else { panic!("{refused:?}") };
    assert!(reply.status == 503 && reply.headers.iter().any(|(name, value)| name == "retry-after" && value == "1"));
    assert_eq!(refused.reports[0].counter.name(), "metahub_overloaded");
    // A form that comes in one piece is not held.
    let begun = begin(&config, &memory, &worker, arrival(Some("registry"), &headers));
    let whole = form("x-type1", "");
    let at = arrival(Some("registry"), &headers);
    let read = read_form(begun.exchange, &config, &memory, at, whole.as_bytes());
    assert!(matches!(&read.step, Step::Reply(reply) if reply.status == 200), "{read:?}");
    held.pop();
    assert!(matches!(hold(MAX_FORM).step, Step::Hold), "there is room again");
}
