//! Clients with and without a login on one listener: challenges, MetaHub's tickets, and tokens that clients bring.

use metahub::config::Config;
use serde_json::{Value, json};

use super::driver::{arrival, basic, configuration, parse, send_headers};
use super::outcome::Outcome;
use super::scripted_registry::{HeaderList, Response, ScriptedRegistry, child, header_list};

pub(super) const MANIFEST: &str = "/v2/qnib/bench/manifests/latest";
pub(super) const TOKEN: &str = "/metahub/v1/token?service=metahub&scope=repository:qnib/bench:pull";
const BEARER: &str = "Bearer realm=\"https://hub.example/metahub/v1/token\",service=\"metahub\"";
pub(super) const BASIC: &str = "Basic realm=\"MetaHub\"";
const SECRET: &str = "a sealing key that two replicas share";

/// The registry with this authentication, for anonymous clients too, and with these fields.
pub(super) fn registry(authentication: &str, fields: Value) -> Value {
    let mut document = configuration();
    document["machine_types"]["basic"] = json!({ "architecture": "amd64" });
    let registry = &mut document["registries"]["registry"];
    registry["authentication"] = json!(authentication);
    registry["anonymous"] = json!("basic");
    registry.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    document
}

pub(super) fn token_service() -> Value {
    json!({ "token_service": { "cluster": "auth", "realm": "https://auth.example/token", "service": "hub" } })
}

pub(super) fn demo() -> ScriptedRegistry {
    let mut upstream = ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:broadwell"]), child(&["cpu:skylake"])]);
    upstream.by_digest.insert(String::new(), Some(Response::new(200, "application/json", "{}")));
    upstream.memory.now.set(1_000_000);
    upstream
}

pub(super) fn headers(method: &str, path: &str, authorization: &str) -> HeaderList {
    let mut headers = header_list(&[(":method", method), (":path", path), (":authority", "hub.example")]);
    if !authorization.is_empty() {
        headers.extend(header_list(&[("authorization", authorization)]));
    }
    headers
}

pub(super) fn get(config: &Config, path: &str, authorization: &str, upstream: &ScriptedRegistry) -> Outcome {
    send_headers(config, &headers("GET", path, authorization), upstream)
}

/// `Authorization` with a ticket, given for these credentials.
pub(super) fn token(config: &Config, authorization: &str, upstream: &ScriptedRegistry) -> String {
    let outcome = get(config, TOKEN, authorization, upstream);
    assert_eq!(outcome.status, 200, "{}", String::from_utf8_lossy(&outcome.body));
    assert_eq!(outcome.header("cache-control"), "no-store");
    assert_eq!(outcome.counters, ["metahub_token_issued"]);
    let body: Value = serde_json::from_slice(&outcome.body).unwrap();
    assert_eq!((&body["token"], &body["expires_in"]), (&body["access_token"], &json!(60)));
    let token = body["token"].as_str().unwrap();
    assert!(token.starts_with("mh1."), "{token}");
    format!("Bearer {token}")
}

pub(super) fn machine_type(outcome: &Outcome) -> (u16, &str) {
    (outcome.status, outcome.header("x-metahub-machine-type"))
}

#[test]
fn a_bare_request_is_always_challenged() {
    for authentication in ["accounts", "upstream", "none"] {
        for (anonymous, challenge) in [("basic", BEARER), ("unfiltered", BEARER), ("refuse", BASIC)] {
            let config = parse(&registry(authentication, json!({ "anonymous": anonymous })));
            for path in ["/v2/", MANIFEST, "/v2/a/tags/list", "/metahub/v1/machine-types"] {
                for (method, authorization) in [("GET", ""), ("HEAD", ""), ("GET", "Basic Og==")] {
                    let outcome = send_headers(&config, &headers(method, path, authorization), &demo());
                    let told = (outcome.status, outcome.header("www-authenticate"));
                    assert_eq!(told, (401, challenge), "{authentication} {anonymous} {method} {path}");
                    assert_eq!((outcome.counters, outcome.lines.len()), (vec!["metahub_challenged"], 0));
                }
            }
        }
    }
}

#[test]
fn the_realm_is_https_off_loopback() {
    let mut document = registry("accounts", json!({}));
    let realm = |document: &Value, host: &str, scheme: &str, path: &str| {
        let headers = header_list(&[(":method", "GET"), (":path", path), (":authority", host), (":scheme", scheme)]);
        let outcome = send_headers(&parse(document), &headers, &demo());
        let challenge = outcome.header("www-authenticate");
        challenge.split('"').nth(1).unwrap_or_default().to_owned()
    };
    for (host, scheme, base) in [
        ("hub.example", "http", "https://hub.example"),
        ("127.0.0.1:8080", "http", "http://127.0.0.1:8080"),
        ("localhost", "https", "https://localhost"),
    ] {
        assert_eq!(realm(&document, host, scheme, "/v2/"), format!("{base}/metahub/v1/token"));
    }
    let with_ns = realm(&document, "hub.example", "https", "/v2/?ns=docker.io");
    assert_eq!(with_ns, "https://hub.example/metahub/v1/token?ns=docker.io");
    assert_eq!(realm(&document, "evil\"host", "https", "/v2/"), "MetaHub", "then Basic, which has no URL");
    document["public_url"] = json!("http://outside.example:81");
    assert_eq!(realm(&document, "inside", "https", "/v2/"), "http://outside.example:81/metahub/v1/token");
}

#[test]
fn wrong_credentials_are_answered_with_basic_everywhere() {
    let wrong = basic("qnib-type1", "hunter2");
    let malformed = ["Basic !!!", "Digest x", "Bearer", "Bearer s3cret", "Bearer a,Bearer b"];
    for authentication in ["accounts", "upstream"] {
        let config = parse(&registry(authentication, json!({})));
        for path in ["/v2/", MANIFEST, TOKEN, "/metahub/v1/machine-types"] {
            let mut upstream = demo();
            upstream.index = Some(Response::new(401, "text/plain", ""));
            upstream.by_digest.insert(String::new(), upstream.index.clone());
            for authorization in malformed.iter().copied().chain([wrong.as_str()]) {
                let outcome = get(&config, path, authorization, &upstream);
                let told = (outcome.status, outcome.header("www-authenticate"));
                assert_eq!(told, (401, BASIC), "{authentication} {path} {authorization}");
                assert_eq!(outcome.counters, ["metahub_unauthorized"], "{authentication} {path} {authorization}");
                assert!(!outcome.lines[0].contains("hunter2") && !outcome.lines[0].contains("s3cret"));
            }
        }
    }
}

#[test]
fn tokens_stand_for_their_login() {
    let upstream = demo();
    for (authentication, user, password) in
        [("accounts", "qnib-type1", "qnib-type1"), ("none", "x-type1", ""), ("upstream", "me-type1", "p:w ü")]
    {
        let config = parse(&registry(authentication, json!({})));
        let bearer = token(&config, &basic(user, password), &upstream);
        let outcome = get(&config, MANIFEST, &bearer, &upstream);
        assert_eq!(machine_type(&outcome), (200, "type1"), "{authentication}");
        assert!(!outcome.counters.contains(&"metahub_anonymous"));
        let sent = (authentication == "upstream").then(|| basic("me", password));
        assert_eq!(outcome.authorization, Some(sent.clone()), "the token itself goes nowhere");
        assert!(outcome.callouts.iter().all(|callout| callout.cluster == "registry"));
        let anonymous = token(&config, "", &upstream);
        let outcome = get(&config, MANIFEST, &anonymous, &upstream);
        assert_eq!(machine_type(&outcome), (200, "basic"), "{authentication}");
        assert!(outcome.counters.contains(&"metahub_anonymous"));
        assert_eq!(outcome.authorization, Some(None));
    }
}

#[test]
fn anonymous_clients_get_what_is_configured_for_them() {
    let upstream = demo();
    let config = parse(&registry("accounts", json!({ "anonymous": "unfiltered" })));
    let bearer = token(&config, "", &upstream);
    let outcome = get(&config, MANIFEST, &bearer, &upstream);
    assert_eq!((outcome.status, &outcome.body), (200, &upstream.index.as_ref().unwrap().body), "the whole index");
    let names = |config: &Config, bearer: &str| {
        let body: Value =
            serde_json::from_slice(&get(config, "/metahub/v1/machine-types", bearer, &upstream).body).unwrap();
        body["machine_types"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let all: Vec<String> = names(&config, &bearer);
    assert_eq!(all, ["basic", "type1", "type2"]);
    let config = parse(&registry("upstream", json!({})));
    let own: Vec<String> = names(&config, &token(&config, "", &upstream));
    assert_eq!(own, ["basic"]);
}

/// Where each client brings its own credentials, a client without any gets the images that the registry gives to every
/// client.
#[test]
fn upstream_is_asked_anonymously_for_anonymous_clients() {
    let config = parse(&registry("upstream", token_service()));
    let mut upstream = demo();
    upstream.by_digest.insert("token".into(), Some(Response::new(200, "application/json", r#"{"token":"open"}"#)));
    let bearer = token(&config, "", &upstream);
    let outcome = get(&config, MANIFEST, &bearer, &upstream);
    assert_eq!((outcome.status, outcome.authorization), (200, Some(Some("Bearer open".into()))));
    assert!(outcome.callouts[0].headers.iter().all(|(name, _)| *name != "authorization"), "{:?}", outcome.callouts);

    let config = parse(&registry("upstream", json!({})));
    let mut closed = demo();
    closed.index = Some(Response::new(401, "text/plain", ""));
    let outcome = get(&config, MANIFEST, &token(&config, "", &closed), &closed);
    assert_eq!(
        (outcome.status, outcome.header("www-authenticate")),
        (401, format!("{BEARER},error=\"insufficient_scope\"").as_str())
    );
    assert_eq!(outcome.authorization, Some(None));
}

#[test]
fn tokens_are_given_for_right_passwords_only() {
    let mut upstream = demo();
    let config = parse(&registry("accounts", json!({})));
    for (user, password) in [("qnib-type1", "wrong"), ("nobody", "x"), ("team-type9", "team")] {
        let outcome = get(&config, TOKEN, &basic(user, password), &upstream);
        assert_eq!((outcome.status, outcome.header("www-authenticate")), (401, BASIC), "{user}");
    }
    for guess in 0..20 {
        get(&config, TOKEN, &basic("all", &format!("guess {guess}")), &upstream);
    }
    assert_eq!(get(&config, TOKEN, &basic("all", "all"), &upstream).status, 429, "guessing is limited here too");

    let config = parse(&registry("upstream", json!({})));
    for (status, expected) in [(200, 200), (401, 401), (403, 503), (500, 503)] {
        upstream.by_digest.insert(String::new(), Some(Response::new(status, "text/plain", "")));
        let outcome = get(&config, TOKEN, &basic("me-type1", "pw"), &upstream);
        assert_eq!(outcome.status, expected);
        let [ping] = outcome.callouts.as_slice() else { panic!("{:?}", outcome.callouts) };
        let shown: Vec<_> = ping.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert!(shown.contains(&(":path", "/v2/")) && shown.contains(&("authorization", &basic("me", "pw"))));
        assert_eq!(outcome.counters.contains(&"metahub_token_issued"), expected == 200);
    }
    let config = parse(&registry("upstream", token_service()));
    let mut upstream = demo();
    upstream.by_digest.insert("token".into(), Some(Response::new(401, "text/plain", "")));
    let outcome = get(&config, TOKEN, &basic("me-type1", "pw"), &upstream);
    assert_eq!((outcome.status, outcome.header("www-authenticate")), (401, BASIC), "the token service's word");
}

#[test]
fn the_endpoint_answers_get_whatever_the_scope() {
    let config = parse(&registry("accounts", json!({})));
    for method in ["HEAD", "PUT", "DELETE", "PATCH", "post"] {
        let outcome = send_headers(&config, &headers(method, TOKEN, &basic("qnib-type1", "qnib-type1")), &demo());
        assert_eq!((outcome.status, outcome.header("allow"), outcome.lines.len()), (405, "GET, POST", 0), "{method}");
    }
    for query in ["", "?", "?scope=", "?scope=%zz&scope=\u{1}", "?scope=registry:catalog:*&service=other", "?&&==&a"] {
        let outcome = get(&config, &format!("/metahub/v1/token{query}"), "", &demo());
        assert_eq!(outcome.status, 200, "{query:?}");
    }
    let refusing = parse(&registry("accounts", json!({ "anonymous": "refuse" })));
    assert_eq!(get(&refusing, TOKEN, &basic("qnib-type1", "qnib-type1"), &demo()).status, 405, "there is no need");
    let bearer = token(&config, "", &demo());
    assert_eq!(get(&config, TOKEN, &bearer, &demo()).status, 401, "no token for a token");
}

#[test]
fn tokens_expire_and_are_good_in_one_place_only() {
    let config = parse(&registry("accounts", json!({})));
    let upstream = demo();
    let bearer = token(&config, &basic("qnib-type1", "qnib-type1"), &upstream);
    let invalid = format!("{BEARER},error=\"invalid_token\"");
    let refused = |config: &Config, bearer: &str, lines: usize| {
        let outcome = get(config, MANIFEST, bearer, &upstream);
        assert_eq!((outcome.status, outcome.header("www-authenticate")), (401, invalid.as_str()), "{bearer}");
        assert_eq!((outcome.counters.as_slice(), outcome.lines.len()), (["metahub_token_invalid"].as_slice(), lines));
    };
    upstream.memory.now.set(1_000_089);
    assert_eq!(get(&config, MANIFEST, &bearer, &upstream).status, 200);
    upstream.memory.now.set(1_000_090);
    refused(&config, &bearer, 0);
    upstream.memory.now.set(1_000_000);
    refused(&config, "Bearer mh1.", 1);
    refused(&config, &bearer.replace("mh1.", "mh1.AAAA"), 1);
    refused(&config, &format!("{}A", bearer), 1);
    for (key, value) in [("host", "elsewhere.example"), ("authentication", "none"), ("authentication", "upstream")] {
        refused(&parse(&registry("accounts", json!({ key: value }))), &bearer, 1);
    }
    let mut moved = registry("accounts", json!({}));
    moved["registries"]["other"] = moved["registries"]["registry"].clone();
    let (moved, headers) = (parse(&moved), headers("GET", MANIFEST, &bearer));
    let begun = metahub::flow::begin(
        &moved,
        &upstream.memory,
        &metahub::flow::WorkerState::default(),
        arrival(Some("other"), &headers),
    );
    assert!(matches!(&begun.step, metahub::flow::Step::Reply(reply) if reply.status == 401), "another cluster");
    let refusing = parse(&registry("accounts", json!({ "anonymous": "refuse" })));
    assert_eq!(get(&refusing, MANIFEST, &bearer, &upstream).header("www-authenticate"), BASIC);
}

/// Clients use a token for 60 s at least, whatever they are told.
#[test]
fn a_token_is_honoured_longer_than_its_client_is_told() {
    for (text, seconds) in [("30s", 30), ("1h", 3600)] {
        let mut document = registry("none", json!({}));
        document["token_lifetime"] = json!(text);
        let (config, upstream) = (parse(&document), demo());
        let body: Value = serde_json::from_slice(&get(&config, TOKEN, "", &upstream).body).unwrap();
        assert_eq!(body["expires_in"], json!(seconds));
        let bearer = format!("Bearer {}", body["token"].as_str().unwrap());
        for (age, status) in [(seconds + 29, 200), (seconds + 30, 401)] {
            upstream.memory.now.set(1_000_000 + age);
            assert_eq!(get(&config, MANIFEST, &bearer, &upstream).status, status, "{text} {age}");
        }
    }
}

/// A machine type has no place in a token: it is found out for each request.
#[test]
fn a_token_has_room_for_the_login_alone() {
    for (authentication, user, password, sealed) in [
        ("accounts", "qnib-type1", "qnib-type1", 10),
        ("none", "x-type1", "password", 7),
        ("upstream", "me-type1", "pw", 8 + 3),
    ] {
        let bearer = token(&parse(&registry(authentication, json!({}))), &basic(user, password), &demo());
        // Nonce, expiry, binding, length of the user, and the tag of the seal.
        let bytes: usize = 24 + 8 + 32 + 1 + sealed + 16;
        assert_eq!(bearer.len(), "Bearer mh1.".len() + (bytes * 4).div_ceil(3), "{authentication}");
    }
}

/// The permissions of a token's login are looked up when the token is used.
#[test]
fn rotation_and_lost_permissions_count_at_once() {
    let document = registry("accounts", json!({}));
    let config = parse(&document);
    let upstream = demo();
    let team = token(&config, &basic("team-type2", "team"), &upstream);
    let qnib = token(&config, &basic("qnib-type1", "qnib-type1"), &upstream);
    let path = "/v2/team/app/tags/list";
    assert_eq!(get(&config, path, &team, &upstream).status, 200);
    let rows = [
        ("/accounts/team/repositories", json!(["other/**"]), 403),
        ("/accounts/team/machine_types", json!(["type1"]), 403),
        ("/accounts/team/password", json!(bcrypt::hash("team", 4).unwrap()), 401),
        ("/accounts/other", document["accounts"]["team"].clone(), 200),
    ];
    for (pointer, value, status) in rows {
        let mut changed = document.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.into(), value);
        let changed = parse(&changed);
        let outcome = get(&changed, path, &team, &upstream);
        assert_eq!(outcome.status, status, "{pointer}");
        assert!(status == 200 || outcome.lines[0].contains("team"), "{:?}", outcome.lines);
        assert_eq!(get(&changed, MANIFEST, &qnib, &upstream).status, 200, "{pointer}: the other account");
    }
    let mut gone = document.clone();
    gone["accounts"].as_object_mut().unwrap().remove("team");
    let outcome = get(&parse(&gone), path, &team, &upstream);
    let invalid = format!("{BEARER},error=\"invalid_token\"");
    assert_eq!((outcome.status, outcome.header("www-authenticate")), (401, invalid.as_str()));
}

#[test]
fn replicas_accept_each_others_tokens_with_a_common_key_only() {
    let with_key = |secret: &'static str| {
        let mut document = registry("upstream", json!({}));
        document["token_key_env"] = json!("SEAL");
        Config::parse(document.to_string().as_bytes(), &|_| Some(secret.to_owned())).unwrap()
    };
    let (one, two, other) = (with_key(SECRET), with_key(SECRET), with_key("another key of thirty-two letters"));
    let bearer = token(&one, &basic("me-type1", "pw"), &demo());
    assert_eq!(get(&two, MANIFEST, &bearer, &demo()).status, 200, "memory is not shared");
    assert_eq!(get(&other, MANIFEST, &bearer, &demo()).status, 401);
    assert_eq!(get(&parse(&registry("upstream", json!({}))), MANIFEST, &bearer, &demo()).status, 401);
}

/// A login that was checked needs no look into the process's memory, as long as its configuration is in force.
#[test]
fn a_known_login_is_looked_up_no_more() {
    use metahub::flow::{Step, WorkerState, begin};

    use metahub::store::in_memory::Map;

    let config = parse(&configuration());
    let worker = WorkerState::default();
    let ping = |memory: &Map, worker: &WorkerState, user: &str, password: &str| {
        let headers = headers("GET", "/v2/", &basic(user, password));
        let Step::Reply(reply) = begin(&config, memory, worker, arrival(Some("registry"), &headers)).step else {
            panic!("a ping is answered at once")
        };
        reply.status
    };
    assert_eq!(ping(&Map::default(), &worker, "qnib-type1", "qnib-type1"), 200);
    let empty = Map::default();
    assert_eq!((ping(&empty, &worker, "qnib-type1", "qnib-type1"), empty.len()), (200, 0));
    for (user, password) in [("qnib-type1", "wrong"), ("qnib-type1", ""), ("team-type1", "qnib-type1")] {
        assert_eq!(ping(&empty, &worker, user, password), 401, "{user} {password}");
    }
    assert_eq!(ping(&empty, &WorkerState::default(), "qnib-type1", "qnib-type1"), 200);
    assert!(!empty.is_empty(), "another configuration knows nobody");
    let mut twice = headers("GET", "/v2/", &basic("qnib-type1", "qnib-type1"));
    twice.push(("authorization".to_owned(), basic("qnib-type1", "qnib-type1").into_bytes()));
    let Step::Reply(reply) = begin(&config, &empty, &worker, arrival(Some("registry"), &twice)).step else { panic!() };
    assert_eq!(reply.status, 401, "two headers are for nobody to choose from");
}
