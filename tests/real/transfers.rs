//! Ways in which upstream may transfer a sound answer: chunks, trailers, HTTP/2, slowly, and large ones.

use serde_json::Value;

use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};

use super::observe::{PROTOCOLS, assert_no_vm_died, fault_lines};
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Builder, Envoy, http_of_cluster};
use metahub_testkit::http::Request;
use metahub_testkit::server::{Act, Answer, Received};
use metahub_testkit::stage::{self, stage};

/// The largest manifest that is read.
const LIMIT: usize = 4 * 1024 * 1024;

/// The demo repository with this list; it and the images pass through `dress` before they are sent.
fn serving(list: Vec<u8>, dress: impl Fn(Answer) -> Vec<Act> + Send + Sync + 'static) -> stage::Builder {
    let bench = Bench::build();
    let answer = move |request: &Received| {
        let reference = request.reference();
        if reference == "latest" {
            return dress(Answer::document(DOCKER_LIST, list.clone()));
        }
        let image = bench.images.iter().find(|image| image.manifest.digest() == reference);
        image.map_or_else(
            || Answer::new(404).acts(),
            |image| dress(Answer::document(DOCKER_MANIFEST, image.manifest.bytes.clone())),
        )
    };
    stage().server(answer)
}

/// HEAD and GET by tag, over both protocols, bring the right image.
fn assert_selects(envoy: &Envoy, what: &str) {
    let bench = Bench::build();
    for (login, features) in [("qnib-type1", "cpu:broadwell"), ("qnib-type2", "cpu:skylake")] {
        let image = &bench.image(&[features]).manifest;
        for protocol in PROTOCOLS {
            let path = format!("/v2/{REPOSITORY}/manifests/latest");
            let send = |method| protocol.send(envoy, &Request::new(method, &path).login(login, login)).unwrap();
            let (head, get) = (send("HEAD"), send("GET"));
            assert_eq!((head.status, get.status), (200, 200), "{what} over {protocol:?}: {}", get.text());
            assert_eq!(get.body, image.bytes, "{what} over {protocol:?}");
            for answer in [head, get] {
                assert_eq!(answer.header("docker-content-digest"), Some(image.digest().as_str()), "{what}");
                assert_eq!(answer.header("content-length"), Some(image.bytes.len().to_string().as_str()), "{what}");
                assert_eq!(answer.header("transfer-encoding"), None, "{what} over {protocol:?}");
            }
        }
    }
    assert_eq!(fault_lines(envoy), Vec::<String>::new(), "{what}");
    assert_no_vm_died(envoy);
}

fn list() -> Vec<u8> {
    Bench::build().list.bytes
}

/// Envoy reads trailers of HTTP/1.1 only where it is told to.
fn enable_trailers(bootstrap: &mut Value) {
    http_of_cluster(bootstrap, "registry").add("http_protocol_options.enable_trailers", true);
}

#[test]
fn chunks() {
    let stage = serving(list(), |answer| answer.chunked().acts());
    assert_selects(&stage.start().unwrap().envoy, "chunks");
}

/// With trailers the filter never sees the end of the body as such.
#[test]
fn trailers() {
    let stage = serving(list(), |answer| answer.trailers("x-checksum: 1\r\n").acts());
    assert_selects(&stage.bootstrap(enable_trailers).start().unwrap().envoy, "trailers");
}

/// An upstream that speaks HTTP/2 with trailers: another Envoy, which translates.
#[test]
fn trailers_over_http2() {
    let stage = serving(list(), |answer| answer.trailers("x-checksum: 1\r\n").acts());
    let translator = stage.envoy(|envoy| envoy.without_filter()).bootstrap(enable_trailers).start().unwrap();
    let speak_http2 = |bootstrap: &mut Value| {
        http_of_cluster(bootstrap, "registry").rename("http_protocol_options", "http2_protocol_options");
    };
    let envoy = Builder::before(translator.envoy.port()).bootstrap(speak_http2).start().unwrap();
    assert_selects(&envoy, "trailers over HTTP/2");
    assert!(envoy.stat("cluster.registry.upstream_cx_http2_total", "").unwrap() > 0, "HTTP/2 was not spoken");
}

/// Indexes up to the size that clients accept are held whole, whichever pieces they come in.
#[test]
fn an_index_of_four_megabytes() {
    for (what, chunked) in [("with a length", false), ("in chunks", true)] {
        let mut bytes = list();
        bytes.resize(LIMIT, b' ');
        let stage = serving(bytes, move |answer| if chunked { answer.chunked().acts() } else { answer.acts() });
        assert_selects(&stage.start().unwrap().envoy, what);
    }
}

/// An upstream that sends single bytes first, and closes its connection after each answer.
#[test]
fn drops_and_closed_connections() {
    let stage = serving(list(), |answer| {
        let bytes = answer.header("connection", "close").bytes();
        let (first, rest) = bytes.split_at(200);
        let mut acts: Vec<Act> = first.chunks(1).map(|byte| Act::Send(byte.to_vec())).collect();
        acts.extend([Act::Send(rest.to_vec())]);
        acts
    });
    assert_selects(&stage.start().unwrap().envoy, "drops");
}
