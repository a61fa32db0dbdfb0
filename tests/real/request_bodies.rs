//! Nothing that MetaHub serves takes a body: a request that brings one is refused before Envoy has to hold it, and the
//! registry never sees it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::stage::Stage;
use crate::support::bench::REPOSITORY;
use crate::support::envoy::Envoy;
use crate::support::http::Request;

#[test]
fn a_request_with_a_body_is_refused() {
    let Stage { bench, registry: _registry, envoy } = Stage::set(|registry| Envoy::before(registry.port()));
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
