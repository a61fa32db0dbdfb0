//! A registry's headers about cookies, proxies and MetaHub's own results do not reach its clients.

use super::observe::{PROTOCOLS, assert_no_vm_died};
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::http::Request;
use metahub_testkit::server::{Act, Answer, Received};
use metahub_testkit::stage::stage;

/// Names that the shipped files remove from answers.
pub(super) const REMOVED: [&str; 6] = [
    "set-cookie",
    "proxy-authenticate",
    "x-metahub-machine-type",
    "x-metahub-machine-type-source",
    "x-metahub-selected",
    "x-metahub-index",
];
/// A digest that the registry does not have.
const MISSING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const LIE: &str = "the registry says so";

/// The demo repository and a list of tags, every answer with all of [`REMOVED`], twice.
fn serve(request: &Received, bench: &Bench) -> Vec<Act> {
    let documents = bench.images.iter().flat_map(|image| [&image.manifest, &image.layer]);
    let document = documents.chain([&bench.list]).find(|document| document.digest() == request.reference());
    let document = document.unwrap_or(&bench.list);
    let status = if request.path.contains(MISSING) { 404 } else { 200 };
    let answer = Answer::new(status).header("content-type", &document.media_type).body(document.bytes.clone());
    REMOVED.iter().chain(&REMOVED).fold(answer, |answer, name| answer.header(name, LIE)).to(request)
}

/// Issue 11: `Set-Cookie` and a registry's own `x-metahub-*` reached clients.
#[test]
fn cookies_and_lies_of_a_registry_reach_nobody() {
    let bench = Bench::build();
    let image = bench.image(&["cpu:broadwell"]);
    let (manifest, layer) = (image.manifest.digest(), image.layer.digest());
    let stage = stage().server(move |request| serve(request, &bench)).start().unwrap();
    let envoy = &stage.envoy;
    let missing = format!("sha256:{MISSING}");
    let rows = [
        ("manifests/latest".to_owned(), 200, true),
        (format!("manifests/{manifest}"), 200, false),
        (format!("blobs/{layer}"), 200, false),
        (format!("blobs/{missing}"), 404, false),
        ("tags/list".to_owned(), 200, false),
        ("referrers/".to_owned() + &manifest, 200, false),
    ];
    for protocol in PROTOCOLS {
        for (path, status, chosen) in &rows {
            // The second time from what is known.
            for method in ["HEAD", "GET", "HEAD", "GET"] {
                let row = format!("{method} {path} over {protocol:?}");
                let request = Request::new(method, &format!("/v2/{REPOSITORY}/{path}"));
                let answer = protocol.send(envoy, &request.login("qnib-type1", "qnib-type1")).unwrap();
                assert_eq!(answer.status, *status, "{row}");
                let lies = answer.headers.iter().filter(|(_, value)| value == LIE.as_bytes());
                assert_eq!(lies.map(|(name, _)| name).collect::<Vec<_>>(), Vec::<&String>::new(), "{row}");
                // The filter's own headers are there.
                let own = ["x-metahub-machine-type", "x-metahub-selected", "x-metahub-index"];
                assert_eq!(own.map(|name| answer.header(name).is_some()), [*chosen; 3], "{row}");
            }
        }
    }
    assert_no_vm_died(envoy);
}
