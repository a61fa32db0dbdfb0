//! An upstream that refuses: its challenges never reach a client, its limits do.

use std::collections::BTreeMap;

use super::rows::{FEATURES, LOGIN, Row, Stage, manifest, sound_index};
use crate::real::observe::{PROTOCOLS, Watch, assert_error, assert_no_vm_died};
use metahub_testkit::http::Request;
use metahub_testkit::server::Answer;
use metahub_testkit::stage::stage;

/// The realm to which a hostile registry would make clients send their passwords.
const EVIL: &str = r#"Bearer realm="http://evil.example/token",service="evil",scope="repository:x:pull""#;

/// The path of a blob that upstream answers 401 to.
const BLOB: &str = "/v2/qnib/bench/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn challenge() -> Answer {
    Answer::new(401).header("www-authenticate", EVIL).header("www-authenticate", "Basic realm=\"evil\"").body("evil")
}

fn row(name: &'static str, index: Answer, status: u16, code: &'static str, says: &'static [&'static str]) -> Row {
    Row { name, index: index.acts(), child: None, status, code, says, counter: "upstream_failed" }
}

#[test]
fn refusals_become_errors_of_our_own() {
    let child = |name, answer: Answer, status, code, says| Row {
        index: sound_index(),
        child: Some(answer.acts()),
        ..row(name, Answer::new(200), status, code, says)
    };
    let html = "<html>Internal Server Error</html>";
    let rows = [
        row("internal", Answer::new(500).body(html), 503, "UNAVAILABLE", &["is not available (500)"]),
        row("down-for-now", Answer::new(503).header("retry-after", "7"), 503, "UNAVAILABLE", &["(503)"]),
        child("child-denied", Answer::new(403), 403, "DENIED", &["denies access to sha256:", "(403)"]),
        child(
            "child-redirect",
            Answer::new(307).header("location", "http://evil.example/"),
            503,
            "UNAVAILABLE",
            &["307"],
        ),
        child("child-internal", Answer::new(500).body(html), 503, "UNAVAILABLE", &["answered 500 for sha256:"]),
        child(
            "child-limited",
            Answer::new(429).header("retry-after", "9"),
            429,
            "TOOMANYREQUESTS",
            &["limits requests (429)"],
        ),
        // The last one is a refusal of MetaHub as a whole, and its message differs from that of a fault of one image.
        child("child-challenge", challenge(), 403, "DENIED", &["refuses MetaHub's access (401)"]),
    ];
    let stage = Stage::set(&rows);
    let (challenged, rows) = rows.split_last().unwrap();
    stage.check(rows);
    let watch = Watch::begin(&stage.envoy);
    let answer = stage.envoy.send(&manifest("fault/child-challenge").login(LOGIN, LOGIN)).unwrap();
    assert_error(&answer, challenged.status, challenged.code, challenged.says, true, challenged.name);
    assert_eq!(answer.header("www-authenticate"), None);
    assert!(matches!(watch.lines(1).as_slice(), [line] if line.contains("403 the registry") && line.contains(LOGIN)));
    for (name, seconds) in [("down-for-now", "7"), ("child-limited", "9")] {
        let answer = stage.envoy.send(&manifest(&format!("fault/{name}")).login(LOGIN, LOGIN)).unwrap();
        assert_eq!(answer.header("retry-after"), Some(seconds), "{name}");
    }
}

/// A client that got upstream's challenge would send its password to the host that the challenge names.
#[test]
fn upstreams_challenges_never_reach_a_client() {
    let stage = stage().server(|_| challenge().acts()).config(crate::real::logins::add_unfiltered).start().unwrap();
    let envoy = &stage.envoy;
    let digest = stage.bench.digest(FEATURES);
    let by_digest = format!("/v2/qnib/bench/manifests/{digest}");
    let rows = [
        ("/v2/qnib/bench/manifests/latest", LOGIN),
        ("/v2/qnib/bench/manifests/latest", "everything"),
        (&by_digest, LOGIN),
        (BLOB, LOGIN),
        ("/v2/qnib/bench/tags/list", LOGIN),
        (&BLOB.replace("blobs", "referrers"), LOGIN),
    ];
    for (path, login) in rows {
        for protocol in PROTOCOLS {
            for method in ["GET", "HEAD"] {
                let context = format!("{method} {path} as {login} over {protocol:?}");
                let watch = Watch::begin(envoy);
                let answer = protocol.send(envoy, &Request::new(method, path).login(login, login)).unwrap();
                let says = ["refuses MetaHub's access (401)", "ask the operator of MetaHub"];
                assert_error(&answer, 403, "DENIED", &says, method == "GET", &context);
                let everything = answer.headers.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned());
                assert!(!everything.chain([answer.text()]).any(|value| value.contains("evil")), "{context}");
                let lines = watch.lines(1);
                assert!(
                    matches!(lines.as_slice(), [line] if line.contains("403 the registry")),
                    "{context}: {lines:?}"
                );
                assert_eq!(watch.counted()["upstream_failed"], 1, "{context}");
            }
        }
    }
    for request in stage.server().received("") {
        assert_eq!(request.header("authorization"), None, "{}: a client's password went upstream", request.path);
    }
    assert_no_vm_died(envoy);
}

/// Upstream's answer to the client's own request reaches the client unchanged, body included.
#[test]
fn limits_and_not_found_pass() {
    let word = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull limit, see https://registry.example/limit"}]}"#;
    let limited = Answer::new(429).header("content-type", "application/json").header("retry-after", "42").body(word);
    let absent = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    let absent = Answer::new(404).header("content-type", "application/json").body(absent);
    let denied = Answer::new(403).header("content-type", "application/json").body("{\"errors\":[]}");
    let rows = [
        row("limited", limited, 429, "", &["pull limit"]),
        row("absent", absent, 404, "", &["manifest unknown"]),
        row("denied", denied, 403, "", &["errors"]),
    ];
    let stage = Stage::set(&rows);
    for row in &rows {
        for protocol in PROTOCOLS {
            let watch = Watch::begin(&stage.envoy);
            let path = format!("/v2/fault/{}/manifests/latest", row.name);
            let get = protocol.send(&stage.envoy, &Request::get(&path).login(LOGIN, LOGIN)).unwrap();
            let head = protocol.send(&stage.envoy, &Request::head(&path).login(LOGIN, LOGIN)).unwrap();
            assert_eq!((get.status, head.status), (row.status, row.status), "{}", row.name);
            assert!(get.text().contains(row.says[0]), "{}: {}", row.name, get.text());
            assert_eq!(head.text(), "", "{}", row.name);
            let retry = (row.status == 429).then_some("42");
            assert_eq!((get.header("retry-after"), head.header("retry-after")), (retry, retry), "{}", row.name);
            assert_eq!(watch.counted(), BTreeMap::new(), "{}: no fault of MetaHub's or of the registry's", row.name);
            stage.assert_serves(row.name);
        }
    }
    assert_no_vm_died(&stage.envoy);
}

/// A client that followed the redirect of a tag would get the whole index from there.
#[test]
fn redirects_of_a_tag_are_refused() {
    let rows = [row(
        "moved",
        Answer::new(307).header("location", "https://elsewhere.example/x"),
        502,
        "MANIFEST_INVALID",
        &["redirects manifests (307)"],
    )];
    let stage = Stage::set(&rows);
    for protocol in PROTOCOLS {
        for method in ["GET", "HEAD"] {
            let request = Request::new(method, "/v2/fault/moved/manifests/latest").login(LOGIN, LOGIN);
            let answer = protocol.send(&stage.envoy, &request).unwrap();
            assert_eq!((answer.status, answer.header("location")), (502, None), "{method} {protocol:?}");
            assert!(method == "HEAD" || answer.text().contains(rows[0].says[0]), "{}", answer.text());
        }
    }
    assert_no_vm_died(&stage.envoy);
}
