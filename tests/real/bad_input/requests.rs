//! Requests that no decent client sends: the answer is a registry's error, and the worker's VM lives on.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::rows::{LOGIN, Stage, manifest};
use crate::real::observe::{PROTOCOLS, Protocol, Watch, assert_error, assert_no_vm_died};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::http::Request;

/// A password that must never be seen in a log, alone or encoded with its user.
const SECRET: &str = "s3cret-Pa55word";

/// `Authorization` values, and their outcomes.
struct Row {
    name: &'static str,
    values: Vec<Vec<u8>>,
    status: u16,
    code: &'static str,
    says: &'static str,
    counter: &'static str,
    /// The part of the log line beside the message; without one there is no line.
    line: Option<&'static str>,
}

fn basic(user: &str, password: &[u8]) -> Vec<u8> {
    let pair = [user.as_bytes(), b":", password].concat();
    format!("Basic {}", STANDARD.encode(pair)).into_bytes()
}

fn unauthorized(name: &'static str, values: &[&[u8]], says: &'static str, line: Option<&'static str>) -> Row {
    let values = values.iter().map(|value| value.to_vec()).collect();
    let counter = if line.is_some() { "unauthorized" } else { "challenged" };
    Row { name, values, status: 401, code: "UNAUTHORIZED", says, counter, line }
}

/// A header that cannot be read as credentials.
fn malformed(name: &'static str, values: &[&[u8]], says: &'static str) -> Row {
    unauthorized(name, values, says, Some("/v2/qnib/bench/manifests/latest: "))
}

fn rows() -> Vec<Row> {
    let good = basic(LOGIN, LOGIN.as_bytes());
    let (secret, wrong) = (SECRET.as_bytes(), "no such account or wrong password");
    vec![
        unauthorized("none", &[], "log in to MetaHub", None),
        unauthorized("empty user and password", &[b"Basic Og=="], "log in to MetaHub", None),
        malformed("twice the same", &[&good, &good], "more than one Authorization header"),
        malformed("a good and a bad one", &[&good, &basic("a", secret)], "more than one Authorization header"),
        malformed("joined", &[&[&good[..], b", ", &good].concat()], "more than one Authorization header"),
        malformed("empty", &[b""], "scheme is not Basic"),
        malformed("another scheme", &[b"Bearer s3cret-Pa55word"], "scheme is not Basic"),
        malformed("not base64", &[b"Basic s3cret-Pa55word!"], "not base64"),
        malformed("no colon", &[format!("Basic {}", STANDARD.encode(SECRET)).as_bytes()], "no colon"),
        malformed("bytes", &[b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8"], "scheme is not Basic"),
        malformed("bytes after the scheme", &[b"Basic \xff\xfe\x80"], "not base64"),
        malformed("encoded bytes", &[&basic(LOGIN, b"\xff\xfe\x80")], "not UTF-8"),
        malformed("control characters", &[&basic("a\nb", secret)], "control character"),
        malformed("empty user", &[&basic("", secret)], "empty user"),
        malformed("long", &[&basic(LOGIN, &[b'a'; 20 * 1024])], "above 16 KiB"),
        unauthorized("unknown account", &[&basic("nobody", secret)], wrong, Some("login \"nobody\"")),
        unauthorized("wrong password", &[&basic(LOGIN, secret)], wrong, Some("login \"qnib-type1\"")),
        unauthorized("empty password", &[&basic(LOGIN, b"")], wrong, Some("login \"qnib-type1\"")),
        unauthorized("letter case", &[&basic("Qnib-type1", LOGIN.as_bytes())], wrong, Some("login \"Qnib-type1\"")),
        unauthorized("unknown type", &[&basic("qnib-type9", secret)], wrong, Some("login \"qnib-type9\"")),
        unauthorized("quotes", &[&basic("a\"b\\", secret)], wrong, Some(r#"login "a\"b\\""#)),
    ]
}

#[test]
fn credentials() {
    let stage = Stage::set(&[]);
    for row in rows() {
        for (protocol, method) in PROTOCOLS.into_iter().flat_map(|protocol| [(protocol, "GET"), (protocol, "HEAD")]) {
            check(&stage, &row, protocol, method);
        }
    }
    assert_no_vm_died(&stage.envoy);
    let log = stage.envoy.log();
    for value in rows().iter().flat_map(|row| &row.values).filter(|value| value.len() > 12) {
        let text = String::from_utf8_lossy(&value[6..]).into_owned();
        assert!(!log.contains(&text), "{text:?} is in Envoy's log");
    }
    assert!(!log.contains(SECRET));
}

fn check(stage: &Stage, row: &Row, protocol: Protocol, method: &str) {
    let context = format!("{method} with {} over {protocol:?}", row.name);
    let watch = Watch::begin(&stage.envoy);
    let path = format!("/v2/{REPOSITORY}/manifests/latest");
    let request =
        row.values.iter().fold(Request::new(method, &path), |request, value| request.header("authorization", value));
    let answer = protocol.send(&stage.envoy, &request).unwrap();
    assert_error(&answer, row.status, row.code, &[row.says], method == "GET", &context);
    stage.assert_serves(&context);
    let lines = watch.lines(usize::from(row.line.is_some()));
    assert_eq!(lines.len(), usize::from(row.line.is_some()), "{context}: {lines:?}");
    for (line, part) in lines.iter().zip(row.line) {
        assert!(line.contains(&format!("{} ", row.status)) && line.contains(part), "{context}: {line}");
        assert!(line.contains(row.says), "{context}: {line}");
    }
    let expected = BTreeMap::from([(row.counter.to_owned(), 1), ("selected".to_owned(), 1)]);
    assert_eq!(watch.counted(), expected, "{context}");
}

/// Clients may send anything beside the credentials, in any header: it never takes the VM down.
#[test]
fn headers_that_are_not_text() {
    let stage = Stage::set(&[]);
    for name in ["accept", "user-agent", "x-anything", "if-none-match", "accept-encoding", "cookie", "range"] {
        for protocol in PROTOCOLS {
            let request = manifest(REPOSITORY).login(LOGIN, LOGIN).header(name, b"\xff\xfe\x80;,=\xc3\x28");
            let answer = protocol.send(&stage.envoy, &request).unwrap();
            assert_eq!(answer.status, 200, "{name} over {protocol:?}: {}", answer.text());
            assert_eq!(answer.header("docker-content-digest"), Some(stage.bench.digest(&["cpu:broadwell"]).as_str()));
        }
    }
    assert_no_vm_died(&stage.envoy);
}

/// 64 KiB of credentials reach the filter; clients of HTTP/2 can send as much (curl, which cannot, is not asked to).
#[test]
fn sixty_four_kilobytes_of_credentials() {
    let stage = Stage::set(&[]);
    let request = manifest(REPOSITORY).header("authorization", basic(LOGIN, &[b'a'; 48 * 1024]));
    for _ in 0..5 {
        let answer = stage.envoy.send(&request).unwrap();
        assert_error(&answer, 401, "UNAUTHORIZED", &["above 16 KiB"], true, "64 KiB");
        stage.assert_serves("64 KiB");
    }
    assert_no_vm_died(&stage.envoy);
}

/// Methods and paths that MetaHub does not serve.
#[test]
fn requests_that_are_not_served() {
    let stage = Stage::set(&[]);
    let rows = [
        ("PUT", "/v2/qnib/bench/manifests/latest", 405, "UNSUPPORTED", "read-only"),
        ("POST", "/v2/qnib/bench/blobs/uploads/", 405, "UNSUPPORTED", "read-only"),
        ("DELETE", "/v2/qnib/bench/manifests/latest", 405, "UNSUPPORTED", "read-only"),
        ("PATCH", "/v2/qnib/bench/blobs/uploads/5e3c", 405, "UNSUPPORTED", "read-only"),
        ("GET", "/v2/_catalog", 404, "UNSUPPORTED", "nothing here"),
        ("GET", "/", 404, "UNSUPPORTED", "nothing here"),
        ("POST", "/v1/search", 404, "UNSUPPORTED", "nothing here"),
        ("GET", "/v2/Upper/manifests/latest", 400, "NAME_INVALID", "not a repository name"),
        ("GET", "/v2/a/manifests/.hidden", 400, "TAG_INVALID", "not a tag"),
        ("GET", "/v2/a/manifests/sha256:abc", 400, "DIGEST_INVALID", "not a digest"),
        ("GET", "/v2/a/blobs/latest", 400, "DIGEST_INVALID", "not a digest"),
    ];
    for (method, path, status, code, says) in rows {
        for protocol in PROTOCOLS {
            let context = format!("{method} {path} over {protocol:?}");
            let watch = Watch::begin(&stage.envoy);
            let answer = protocol.send(&stage.envoy, &Request::new(method, path).login(LOGIN, LOGIN)).unwrap();
            assert_error(&answer, status, code, &[says], true, &context);
            assert_eq!(answer.header("allow"), (status == 405).then_some("GET, HEAD"), "{context}");
            let lines = watch.lines(1);
            let line = format!("{status} {method} {path}: ");
            assert!(matches!(lines.as_slice(), [one] if one.contains(&line)), "{context}: {lines:?}");
            assert_eq!(watch.counted(), BTreeMap::from([("refused".to_owned(), 1)]), "{context}");
        }
    }
    stage.assert_serves("requests that are not served");
    assert_no_vm_died(&stage.envoy);
}
