//! A request may bring a body where nobody expects one, and it must not push the request on to upstream while the
//! filter still waits for a callout: the client's own `Authorization` would go with it.

use super::stage::Stage;
use crate::support::bench::REPOSITORY;
use crate::support::envoy::Envoy;
use crate::support::http::Request;

#[test]
fn a_body_waits_with_its_request() {
    let Stage { bench, registry: _registry, envoy } = Stage::set(|registry| Envoy::before(registry.port()));
    for body in [&b"x"[..], &[b'x'; 100_000]] {
        let explain =
            Request::get(&format!("/metahub/v1/explain?image={REPOSITORY}")).login("qnib-type1", "qnib-type1");
        let answer = envoy.send(&explain.body(body)).unwrap();
        // The registry itself knows no such path.
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains(&bench.digest(&["cpu:broadwell"])), "{}", answer.text());
        let manifest = Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login("qnib-type1", "qnib-type1");
        let answer = envoy.send(&manifest.body(body)).unwrap();
        assert_eq!(answer.header("docker-content-digest"), Some(bench.digest(&["cpu:broadwell"]).as_str()));
    }
}
