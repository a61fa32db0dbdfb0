//! The `Authorization` that goes upstream, token services, and the results of their refusals.

use metahub::text::headers::HeaderChange;
use serde_json::{Value, json};

use super::driver::{basic, configuration, parse, send};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry, child};

const MANIFEST: &str = "/v2/qnib/bench/manifests/latest";

fn demo() -> ScriptedRegistry {
    ScriptedRegistry::with_list(&[child(&[]), child(&["cpu:broadwell"])])
}

/// The registry with this authentication, and these fields.
fn registry(authentication: &str, fields: Value) -> Value {
    let mut document = configuration();
    let registry = &mut document["registries"]["registry"];
    registry["authentication"] = json!(authentication);
    registry.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    document
}

fn token_service() -> Value {
    json!({ "token_service": { "cluster": "auth", "realm": "https://auth.example/token", "service": "hub" } })
}

fn token(body: &str) -> Response {
    Response::new(200, "application/json", body)
}

fn header<'a>(headers: &'a [(&'static str, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
}

#[test]
fn passwords_go_to_the_registry_that_owns_them_machine_types_never() {
    let config = parse(&registry("upstream", json!({})));
    let upstream = demo();
    let outcome = send(&config, "GET", MANIFEST, "me-type1", "p:w", &upstream);
    assert_eq!(outcome.status, 200);
    assert_eq!(outcome.header("x-metahub-machine-type"), "type1");
    let sent = basic("me", "p:w");
    assert_eq!(outcome.authorization, Some(Some(sent.clone())));
    assert_eq!(header(&outcome.callouts[0].headers, "authorization"), Some(sent.as_str()), "for the child too");
    let ping = ScriptedRegistry { index: Some(token("{}")), ..ScriptedRegistry::default() };
    let outcome = send(&config, "GET", "/v2/", "me-type1", "pw", &ping);
    assert_eq!((outcome.status, outcome.authorization), (200, Some(Some(basic("me", "pw")))), "a ping is verified");
}

#[test]
fn logins_without_account_or_machine_type_get_nothing() {
    let config = parse(&registry("upstream", json!({})));
    let mut upstream = demo();
    upstream.by_digest.insert(String::new(), Some(token("{}")));
    for user in ["-type1", "me", "me-type7"] {
        let outcome = send(&config, "GET", MANIFEST, user, "pw", &upstream);
        assert_eq!((outcome.status, outcome.asked), (403, None), "{user}");
        assert!(outcome.callouts.iter().all(|callout| header(&callout.headers, ":path") == Some("/v2/")), "{user}");
    }
}

/// An answer before the registry has accepted the password must not depend on which machine types there are.
#[test]
fn a_wrong_password_learns_no_machine_type() {
    for fields in [json!({}), token_service()] {
        let config = parse(&registry("upstream", fields));
        let mut upstream =
            ScriptedRegistry { index: Some(Response::new(401, "text/plain", "")), ..ScriptedRegistry::default() };
        upstream.by_digest.insert(String::new(), Some(Response::new(401, "text/plain", "")));
        upstream.by_digest.insert("token".into(), Some(token(r#"{"token":"t","expires_in":300}"#)));
        upstream.by_digest.insert("latest".into(), Some(Response::new(401, "text/plain", "")));
        for path in [
            MANIFEST,
            "/v2/",
            "/v2/a/tags/list",
            "/metahub/v1/machine-types",
            "/metahub/v1/explain?image=a",
            "/metahub/v1/explain?image=a&machine_type=type1",
            "/metahub/v1/explain?image=a&machine_type=type7",
        ] {
            let answers = ["me-type1", "me-type7", "me", "-type1", "-type7"].map(|user| {
                let outcome = send(&config, "GET", path, user, "wrong", &upstream);
                (outcome.status, outcome.headers, outcome.body)
            });
            assert_eq!(answers[0].0, 401, "{path}");
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{path}: {answers:?}");
        }
    }
}

#[test]
fn a_refused_login_is_challenged_by_metahub() {
    let config = parse(&registry("upstream", json!({})));
    let refused =
        Response::new(401, "application/json", "{}").with("www-authenticate", "Bearer realm=\"https://evil.example\"");
    let upstream = ScriptedRegistry { index: Some(refused), ..ScriptedRegistry::default() };
    for path in [MANIFEST, "/v2/", "/v2/a/tags/list"] {
        let outcome = send(&config, "GET", path, "me-type1", "hunter2", &upstream);
        assert_eq!((outcome.status, outcome.header("www-authenticate")), (401, "Basic realm=\"MetaHub\""), "{path}");
        assert!(
            matches!(outcome.lines.as_slice(), [line] if line.contains("\"me-type1\"") && !line.contains("hunter2"))
        );
    }
}

#[test]
fn shared_credentials_are_metahubs() {
    let credentials = json!({ "credentials": { "username": "hub", "password": "secret" } });
    let config = parse(&registry("accounts", credentials));
    let outcome = send(&config, "GET", MANIFEST, "qnib-type1", "qnib-type1", &demo());
    assert_eq!((outcome.status, outcome.authorization), (200, Some(Some(basic("hub", "secret")))));
    let outcome = send(&config, "GET", MANIFEST, "qnib-type1", "wrong", &demo());
    assert_eq!((outcome.status, outcome.authorization), (401, None), "only for accounts");
    let refused = ScriptedRegistry { index: Some(Response::new(401, "text/plain", "")), ..ScriptedRegistry::default() };
    let outcome = send(&config, "GET", MANIFEST, "qnib-type1", "qnib-type1", &refused);
    assert_eq!((outcome.status, outcome.code().as_str()), (403, "DENIED"), "not the client's fault");
    assert_eq!(outcome.counters, ["metahub_upstream_failed"]);
    assert!(!String::from_utf8(outcome.body).unwrap().contains("secret"));
}

#[test]
fn a_token_is_asked_for_once() {
    let config = parse(&registry("upstream", token_service()));
    let mut upstream = demo();
    upstream.by_digest.insert("token".into(), Some(token(r#"{"token":"t1","expires_in":300}"#)));
    let outcome = send(&config, "GET", MANIFEST, "me-type1", "pw", &upstream);
    assert_eq!((outcome.status, outcome.authorization), (200, Some(Some("Bearer t1".into()))));
    let [exchange, index, child] = outcome.callouts.as_slice() else { panic!("{:?}", outcome.callouts) };
    assert_eq!(exchange.cluster, "auth");
    assert_eq!(header(&exchange.headers, ":authority"), Some("auth.example"));
    assert_eq!(header(&exchange.headers, ":path"), Some("/token?service=hub&scope=repository%3Aqnib%2Fbench%3Apull"));
    assert_eq!(header(&exchange.headers, "authorization"), Some(basic("me", "pw").as_str()));
    for callout in [index, child] {
        assert_eq!(header(&callout.headers, "authorization"), Some("Bearer t1"));
    }
    let exchanges = |outcome: &Outcome| outcome.callouts.iter().filter(|callout| callout.cluster == "auth").count();
    let again = send(&config, "GET", MANIFEST, "me-type2", "pw", &upstream);
    assert_eq!(exchanges(&again), 0, "one account, one repository: one token, whatever the machine type");
    assert_eq!(exchanges(&send(&config, "GET", MANIFEST, "me-type1", "wrong", &upstream)), 1, "another password");
    assert_eq!(exchanges(&send(&config, "GET", MANIFEST, "you-type1", "pw", &upstream)), 1, "another account");
    assert_eq!(
        exchanges(&send(&config, "GET", "/v2/other/tags/list", "me-type1", "pw", &upstream)),
        1,
        "another scope"
    );
}

#[test]
fn without_credentials_the_token_is_anonymous() {
    let mut upstream = demo();
    upstream.by_digest.insert("token".into(), Some(token(r#"{"token":"anonymous"}"#)));
    let config = parse(&registry("none", token_service()));
    let outcome = send(&config, "GET", MANIFEST, "x-type1", "whatever", &upstream);
    assert_eq!((outcome.status, outcome.authorization), (200, Some(Some("Bearer anonymous".into()))));
    assert_eq!(header(&outcome.callouts[0].headers, "authorization"), None);
}

#[test]
fn a_token_that_upstream_refuses_is_renewed_by_going_round_once() {
    let config = parse(&registry("upstream", token_service()));
    let blob = "/v2/a/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (status, path) in [(401, blob), (400, blob), (401, "/v2/a/tags/list?n=1")] {
        let mut upstream = demo();
        upstream.by_digest.insert("token".into(), Some(token(r#"{"token":"t","expires_in":300}"#)));
        assert_ne!(send(&config, "GET", path, "me-type1", "pw", &upstream).status, 307);
        upstream.memory.now.set(100);
        upstream.index = Some(Response::new(status, "application/json", "{}"));
        let digest = path.rsplit('/').next().unwrap().to_owned();
        upstream.by_digest.insert(digest, upstream.index.clone());
        let outcome = send(&config, "GET", path, "me-type1", "pw", &upstream);
        assert_eq!(outcome.status, 307, "{path}");
        let again = outcome.header("location").to_owned();
        let separator = if path.contains('?') { '&' } else { '?' };
        assert_eq!(again, format!("{path}{separator}metahub-retry=1"));
        assert_eq!(outcome.counters, ["metahub_token_refused"]);
        let exchanges = send(&config, "GET", &again, "me-type1", "pw", &upstream);
        assert_eq!(exchanges.callouts[0].cluster, "auth", "the token is a new one");
        let last = send(&config, "GET", &again, "me-type1", "pw", &upstream);
        let end = if status == 400 { (400, "") } else { (401, "Basic realm=\"MetaHub\"") };
        assert_eq!((last.status, last.header("www-authenticate")), end, "no loop: {path}");
    }
}

/// A callout can be repeated: a token that ended costs the client nothing.
#[test]
fn a_callout_whose_token_is_refused_is_repeated_with_another_one() {
    let config = parse(&registry("upstream", token_service()));
    let rows = [
        (MANIFEST, 401),
        (MANIFEST, 400),
        ("/metahub/v1/explain?image=qnib/bench", 401),
        ("/metahub/v1/explain?image=qnib/bench&metahub-retry=1", 400),
        ("/metahub/v1/machine-types", 401),
        ("/v2/a/manifests/latest", 401),
    ];
    for (path, status) in rows {
        let mut upstream = demo();
        upstream.by_digest.insert(String::new(), Some(token("{}")));
        upstream.by_digest.insert("latest".into(), upstream.index.clone());
        upstream.by_digest.insert("token".into(), Some(token(r#"{"token":"old","expires_in":300}"#)));
        assert_eq!(send(&config, "GET", path, "me-type1", "pw", &upstream).status, 200, "{path}");
        upstream.memory.now.set(100);
        upstream.refuses = Some(("Bearer old".into(), status));
        upstream.by_digest.insert("token".into(), Some(token(r#"{"token":"new","expires_in":300}"#)));
        let outcome = send(&config, "GET", path, "me-type1", "pw", &upstream);
        let shown: Vec<_> = outcome
            .callouts
            .iter()
            .map(|callout| (callout.cluster.as_str(), header(&callout.headers, "authorization").unwrap_or_default()))
            .collect();
        let me = basic("me", "pw");
        // A known tag is asked for with the client's own request, which is followed by a callout.
        let own = usize::from(path == MANIFEST || path == "/v2/a/manifests/latest");
        let expected = [("registry", "Bearer old"), ("auth", &me), ("registry", "Bearer new")];
        assert_eq!(shown, expected[own..], "{path}");
        assert_eq!((outcome.status, outcome.asked.is_some()), (200, own == 1), "{path}");
        assert!(outcome.counters.contains(&"metahub_token_refused"), "{:?}", outcome.counters);
        // The new one is kept, and no loop comes of one that is refused as well.
        upstream.refuses = Some(("Bearer new".into(), 401));
        let last = send(&config, "GET", path, "me-type1", "pw", &upstream);
        assert_eq!((last.status, last.callouts.len()), (401, 3 - own), "{path}");
        assert_eq!(last.header("www-authenticate"), "Basic realm=\"MetaHub\"", "{path}");
    }
}

/// Registries answer 400 to bad requests too, and all clients that may use the token share it.
/// Issue 11: such an answer made the token forgotten.
#[test]
fn a_bad_request_of_one_client_costs_the_others_no_token() {
    let config = parse(&registry("upstream", token_service()));
    let path = "/v2/a/tags/list?n=bad";
    let mut upstream = demo();
    upstream.by_digest.insert("token".into(), Some(token(r#"{"token":"shared","expires_in":3600}"#)));
    let good = send(&config, "GET", "/v2/a/tags/list", "me-type1", "pw", &upstream);
    assert_eq!(good.authorization, Some(Some("Bearer shared".into())));
    upstream.index = Some(Response::new(400, "application/json", "{}"));
    let bad = send(&config, "GET", path, "me-type1", "pw", &upstream);
    assert_eq!(bad.status, 400, "a token of this minute has not expired");
    upstream.memory.now.set(1000);
    upstream.by_digest.insert("token".into(), Some(token(r#"{"token":"newer","expires_in":3600}"#)));
    let bad = send(&config, "GET", path, "me-type1", "pw", &upstream);
    assert_eq!((bad.status, bad.callouts.len()), (307, 0));
    let good = send(&config, "GET", "/v2/a/tags/list", "me-type1", "pw", &upstream);
    assert_eq!(good.authorization, Some(Some("Bearer shared".into())), "an old one is doubted, and not forgotten");
    // The client that follows is the one that waits for another token, and no more than once a minute.
    let again = format!("{path}&metahub-retry=1");
    let clusters =
        |outcome: &Outcome| outcome.callouts.iter().map(|callout| callout.cluster.clone()).collect::<Vec<_>>();
    let followed = send(&config, "GET", &again, "me-type1", "pw", &upstream);
    assert_eq!((followed.status, clusters(&followed)), (400, vec!["auth".to_owned()]));
    for path in [path, &again] {
        let bad = send(&config, "GET", path, "me-type1", "pw", &upstream);
        assert_eq!((bad.status, bad.callouts.len()), (400, 0), "{path}");
        assert_eq!(bad.authorization, Some(Some("Bearer newer".into())));
    }
}

/// A token that was never good must be asked for anew by the next request.
#[test]
fn a_new_token_that_is_refused_is_not_kept() {
    let config = parse(&registry("upstream", token_service()));
    for path in [MANIFEST, "/v2/a/tags/list", "/metahub/v1/explain?image=a", "/metahub/v1/machine-types"] {
        let mut upstream =
            ScriptedRegistry { index: Some(Response::new(401, "text/plain", "")), ..ScriptedRegistry::default() };
        upstream.refuses = Some(("Bearer bad".into(), 401));
        upstream.by_digest.insert("token".into(), Some(token(r#"{"token":"bad","expires_in":300}"#)));
        for _ in 0..2 {
            let outcome = send(&config, "GET", path, "me-type1", "pw", &upstream);
            assert_eq!((outcome.status, outcome.callouts[0].cluster.as_str()), (401, "auth"), "{path}");
        }
    }
}

/// A good login that lacks a permission is told so; asking for its password again would not help.
#[test]
fn a_token_that_is_not_good_enough_is_no_wrong_password() {
    let challenge = "Bearer realm=\"https://evil.example\",service=\"hub\",error=\"insufficient_scope\"";
    let refused = Response::new(401, "application/json", "{}").with("www-authenticate", challenge);
    let mut upstream = ScriptedRegistry { index: Some(refused.clone()), ..ScriptedRegistry::default() };
    upstream.by_digest.insert("token".into(), Some(token(r#"{"token":"t","expires_in":300}"#)));
    upstream.by_digest.insert("latest".into(), Some(refused));
    for path in ["/v2/a/manifests/latest", "/v2/b/tags/list", "/metahub/v1/explain?image=c"] {
        let config = parse(&registry("upstream", token_service()));
        let outcome = send(&config, "GET", path, "me-type1", "pw", &upstream);
        assert_eq!((outcome.status, outcome.code().as_str()), (403, "DENIED"), "{path}");
        assert_eq!(outcome.header("www-authenticate"), "");
        assert!(outcome.lines[0].contains("\"me-type1\""), "{:?}", outcome.lines);
    }
}

#[test]
fn faults_of_the_token_service_are_registry_errors() {
    let rows = [
        ("upstream", Some(Response::new(401, "text/plain", "")), 401, "UNAUTHORIZED"),
        ("none", Some(Response::new(401, "text/plain", "")), 403, "DENIED"),
        ("upstream", Some(Response::new(403, "text/plain", "")), 403, "DENIED"),
        ("upstream", Some(Response::new(429, "text/plain", "").with("retry-after", "9")), 429, "TOOMANYREQUESTS"),
        ("upstream", Some(Response::new(500, "text/plain", "")), 503, "UNAVAILABLE"),
        (
            "upstream",
            Some(Response::new(302, "text/plain", "").with("location", "https://evil.example")),
            503,
            "UNAVAILABLE",
        ),
        ("upstream", Some(token("garbage")), 503, "UNAVAILABLE"),
        ("upstream", Some(token(&format!(r#"{{"token":"{}"}}"#, "x".repeat(100_000)))), 503, "UNAVAILABLE"),
        ("upstream", Some(token(r#"{"token":"a"}"#).with("content-encoding", "gzip")), 503, "UNAVAILABLE"),
        ("upstream", None, 503, "UNAVAILABLE"),
    ];
    for (authentication, response, status, code) in rows {
        let config = parse(&registry(authentication, token_service()));
        let mut upstream = demo();
        upstream.by_digest.insert("token".into(), response.clone());
        for path in [MANIFEST, "/v2/a/tags/list", "/metahub/v1/explain?image=a"] {
            let outcome = send(&config, "GET", path, "me-type1", "hunter2", &upstream);
            assert_eq!((outcome.status, outcome.code().as_str()), (status, code), "{response:?}");
            assert_eq!(outcome.authorization, None, "nothing went upstream");
            assert!(
                matches!(outcome.lines.as_slice(), [line] if line.contains("\"me-type1\"") && !line.contains("hunter2"))
            );
            assert_eq!(outcome.header("retry-after"), if status == 429 { "9" } else { "" });
        }
    }
}

/// A tag of an artifact passes, but not without a token.
#[test]
fn what_has_not_gone_upstream_is_not_counted_as_passed_through() {
    let config = parse(&registry("upstream", token_service()));
    let path = format!("/v2/a/manifests/sha256-{}.sig", "0".repeat(64));
    for (answer, passes) in [(token(r#"{"token":"t"}"#), true), (Response::new(500, "text/plain", ""), false)] {
        let mut upstream = demo();
        upstream.by_digest.insert("token".into(), Some(answer));
        let outcome = send(&config, "GET", &path, "me-type1", "pw", &upstream);
        assert_eq!(outcome.asked.is_some(), passes);
        assert_eq!(outcome.counters.contains(&"metahub_passed_through"), passes, "{:?}", outcome.counters);
    }
}

#[test]
fn machine_types_are_for_those_whom_the_registry_knows() {
    let config = parse(&registry("upstream", json!({})));
    for (status, expected) in [(200, 200), (401, 401), (503, 503)] {
        let mut upstream = ScriptedRegistry::default();
        upstream.by_digest.insert(String::new(), Some(Response::new(status, "application/json", "{}")));
        let outcome = send(&config, "GET", "/metahub/v1/machine-types", "me", "pw", &upstream);
        assert_eq!(outcome.status, expected);
        assert_eq!(header(&outcome.callouts[0].headers, "authorization"), Some(basic("me", "pw").as_str()));
    }
}

#[test]
fn short_names_get_the_default_namespace() {
    let config = parse(&registry("accounts", json!({ "default_namespace": "library" })));
    let path = |outcome: &Outcome| {
        let changed = outcome.changes.iter().find_map(|change| match change {
            HeaderChange::Set(":path", path) => Some(path.clone()),
            _ => None,
        });
        changed.or_else(|| header(&outcome.callouts.first()?.headers, ":path").map(str::to_owned))
    };
    let rows = [
        ("/v2/nginx/manifests/latest?x=y", Some("/v2/library/nginx/manifests/latest")),
        ("/v2/library/nginx/manifests/latest", Some("/v2/library/nginx/manifests/latest")),
        (
            "/v2/nginx/referrers/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?x=y",
            Some(
                "/v2/library/nginx/referrers/\
                 sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855?x=y",
            ),
        ),
        ("/v2/nginx/tags/list", Some("/v2/library/nginx/tags/list")),
        ("/v2/a/b/tags/list", None),
    ];
    for (asked, sent) in rows {
        let outcome = send(&config, "GET", asked, "qnib-type1", "qnib-type1", &demo());
        assert_eq!(path(&outcome).as_deref(), sent, "{asked}");
    }
    let outcome = send(&config, "GET", "/v2/nginx/manifests/latest", "qnib-type1", "qnib-type1", &demo());
    assert!(header(&outcome.callouts[1].headers, ":path").unwrap().starts_with("/v2/library/nginx/manifests/sha256:"));
    let config = parse(&registry("accounts", json!({ "default_namespace": "tags" })));
    let outcome = send(&config, "GET", "/v2/tags/tags/list", "qnib-type1", "qnib-type1", &demo());
    assert_eq!(path(&outcome).as_deref(), Some("/v2/tags/tags/tags/list"), "checked and sent are the same repository");
    let mut document = registry("accounts", json!({ "default_namespace": "library" }));
    document["accounts"]["team"]["repositories"] = json!(["library/*"]);
    let team = |path| send(&parse(&document), "GET", path, "team-type1", "team", &demo()).status;
    assert_eq!((team("/v2/nginx/manifests/latest"), team("/v2/qnib/nginx/manifests/latest")), (200, 403));
}
