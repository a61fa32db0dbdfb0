//! A registry that closes a kept-alive connection at the moment of a request: the request is sent once more.
//!
//! It cannot be told from a registry that breaks the first attempt of each request, so the upstream here does that.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::observe::{PROTOCOLS, assert_no_vm_died, fault_lines};
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::http::Request;
use metahub_testkit::server::{Act, Answer, Received};
use metahub_testkit::stage::stage;

/// The demo repository, and each request with another method or path reset once.
fn serve() -> impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static {
    let (bench, attempts) = (Bench::build(), Mutex::new(BTreeMap::<String, u32>::new()));
    move |request| {
        let mut attempts = attempts.lock().unwrap();
        let attempt = attempts.entry(format!("{} {}", request.method, request.path)).or_default();
        *attempt += 1;
        if *attempt % 2 == 1 {
            return vec![Act::Reset];
        }
        let documents = bench.images.iter().flat_map(|image| [&image.manifest, &image.layer]);
        let document = documents.chain([&bench.list]).find(|document| document.digest() == request.reference());
        let document = document.unwrap_or(&bench.list);
        Answer::document(&document.media_type, document.bytes.clone()).to(request)
    }
}

/// The filter's own requests for a new tag and its image, the client's HEAD for a known one, and a blob.
/// Issue 11: every sixth new tag was answered 503.
#[test]
fn a_request_without_an_answer_is_repeated_once() {
    let stage = stage().server(serve()).start().unwrap();
    let (envoy, image) = (&stage.envoy, stage.bench.image(&["cpu:broadwell"]));
    let (manifest, layer) = (image.manifest.digest(), image.layer.digest());
    let rows = [
        ("new tag", "manifests/latest".to_owned(), &image.manifest.bytes),
        ("known tag", "manifests/latest".to_owned(), &image.manifest.bytes),
        ("digest", format!("manifests/{manifest}"), &image.manifest.bytes),
        ("blob", format!("blobs/{layer}"), &image.layer.bytes),
    ];
    for protocol in PROTOCOLS {
        for (what, path, bytes) in &rows {
            let request = Request::get(&format!("/v2/{REPOSITORY}/{path}")).login("qnib-type1", "qnib-type1");
            let answer = protocol.send(envoy, &request).unwrap();
            assert_eq!(answer.status, 200, "{what} over {protocol:?}: {}", answer.text());
            assert_eq!(&&answer.body, bytes, "{what} over {protocol:?}");
        }
    }
    // Once more, and not again and again.
    let retries = envoy.stat("cluster.registry.upstream_rq_retry", "upstream_rq_retry").unwrap();
    assert_eq!(usize::try_from(retries).unwrap() * 2, stage.server().received("/v2/").len());
    assert_eq!(fault_lines(envoy), Vec::<String>::new());
    assert_no_vm_died(envoy);
}

/// A registry that does not answer in time is busy enough.
#[test]
fn a_request_that_timed_out_is_not_repeated() {
    let stage = stage().server(|_| vec![Act::Hang]).start().unwrap();
    let tag = format!("/v2/{REPOSITORY}/manifests/latest");
    let answer = stage.send(&Request::get(&tag).login("qnib-type1", "qnib-type1"));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(stage.server().received("/manifests/latest").len(), 1);
}
