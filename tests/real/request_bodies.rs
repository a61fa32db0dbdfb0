//! Nothing that MetaHub serves takes a body: a request that brings one is refused before Envoy has to hold it, and the
//! registry never sees it.
//!
//! Issue 11: 60 requests with bodies of 7 MB each took 354 MB.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::http::Request;
use metahub_testkit::server::http2::{DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, block, frame};
use metahub_testkit::server::{Answer, Received};
use metahub_testkit::stage::{Stage, stage};
use metahub_testkit::wait_for;

#[test]
fn a_request_with_a_body_is_refused() {
    let Stage { bench, envoy, .. } = &stage().start().unwrap();
    let paths = [
        format!("/metahub/v1/explain?image={REPOSITORY}"),
        format!("/v2/{REPOSITORY}/manifests/latest"),
        format!("/v2/{REPOSITORY}/manifests/{}", bench.digest(&["cpu:broadwell"])),
        format!("/v2/{REPOSITORY}/tags/list"),
        "/v2/".to_owned(),
        "/metahub/v1/health".to_owned(),
    ];
    for path in &paths {
        let get = || Request::get(path).login("qnib-type1", "qnib-type1");
        for body in [&b"x"[..], &[b'x'; 100_000]] {
            let answer = envoy.send(&get().body(body)).unwrap();
            assert_eq!(answer.status, 400, "{path}: {}", answer.text());
            assert!(answer.text().contains("SIZE_INVALID"), "{path}: {}", answer.text());
        }
        assert!(chunked(envoy.port(), path).starts_with("HTTP/1.1 400 "), "{path}");
        let empty = get().header("Content-Length", "0");
        assert_eq!(envoy.send(&empty).unwrap().status, 200, "{path}");
    }
    // All of these tags and digests are known by now. A body without a length is refused before the registry is asked.
    let asked = || envoy.stat("cluster.registry.upstream_rq_total", "").unwrap();
    let before = asked();
    for path in &paths {
        chunked(envoy.port(), path);
    }
    assert_eq!(asked(), before);
}

/// The answer to a request whose body has no length, and no end.
fn chunked(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let login = "cW5pYi10eXBlMTpxbmliLXR5cGUx"; // qnib-type1:qnib-type1
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic {login}\r\n");
    stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n1\r\nx\r\n").as_bytes()).unwrap();
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request without a length that does not end with its headers would reach the registry in chunks, and a front end
/// that refuses them, or waits for their end, would trouble all clients.
#[test]
fn the_registry_hears_of_a_request_when_it_has_ended() {
    let bench = Bench::build();
    let serve = move |request: &Received| {
        let image = bench.images.iter().find(|image| image.manifest.digest() == request.reference());
        Answer::stored(image.map_or(&bench.list, |image| &image.manifest)).acts()
    };
    let stage = stage().server(serve).concurrency(1).start().unwrap();
    let (envoy, upstream) = (&stage.envoy, stage.server());
    let path = format!("/v2/{REPOSITORY}/manifests/latest");
    for _ in 0..2 {
        assert_eq!(envoy.send(&Request::get(&path).login("qnib-type1", "qnib-type1")).unwrap().status, 200);
    }
    let before = upstream.received("/v2/").len();
    let login = b"Basic cW5pYi10eXBlMTpxbmliLXR5cGUx"; // qnib-type1:qnib-type1
    let fields: [(&str, &[u8]); 5] = [
        (":method", b"GET"),
        (":path", path.as_bytes()),
        (":scheme", b"http"),
        (":authority", b"localhost"),
        ("authorization", login),
    ];
    let mut stream = TcpStream::connect(("127.0.0.1", envoy.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut wire = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    wire.extend([frame(SETTINGS, 0, 0, &[]), frame(HEADERS, END_HEADERS, 1, &block(&fields))].concat());
    stream.write_all(&wire).unwrap();
    let active = || envoy.stat("http.clients.downstream_rq_active", "").unwrap();
    wait_for("the request", Duration::from_secs(10), || (active() == 1).then_some(())).unwrap();
    // The only worker has come to what came later, so all that it does for the request so far is done.
    assert_eq!(envoy.send(&Request::get("/metahub/v1/health")).unwrap().status, 200);
    assert_eq!(upstream.received("/v2/").len(), before, "it has not ended");
    stream.write_all(&frame(DATA, END_STREAM, 1, &[])).unwrap();
    let mut answer = Vec::new();
    while !answer.windows(15).any(|window| window == b"\"schemaVersion\"") {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).unwrap();
        assert_ne!(length, 0, "the connection ended");
        answer.extend_from_slice(&piece[..length]);
    }
    let received = upstream.received("/v2/");
    let asked: Vec<&str> = received[before..].iter().map(|request| request.method.as_str()).collect();
    assert_eq!(asked, ["HEAD"]);
    assert_eq!(received[before].header("transfer-encoding"), None);
}
