//! Clients that know of no headers, and proxies that send their own.

use serde_json::{Value, json};

use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::oci_client::OciClient;
use metahub_testkit::client::{Client as _, Login};
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Builder, manager};
use metahub_testkit::http::Request;
use metahub_testkit::stage::{Stage, stage};

/// A login that names no machine type, and may be two.
fn start(sources: Value) -> Stage {
    let edit = move |config: &mut Value| {
        let hash = bcrypt::hash("secret", 4).unwrap();
        config.add("accounts.pods", json!({ "password": hash, "machine_types": ["type1", "type2"] }));
        config.add("machine_type_from", sources);
    };
    stage().config(edit).start().unwrap()
}

/// The crate `oci-client` has a setting for neither headers nor mirrors; the name of the image is its caller's.
#[test]
fn oci_client_by_path() {
    let stage = start(json!({ "path": "machines" }));
    let mut client = OciClient::build().unwrap();
    client.log_in(&stage.front(), &Login::new("pods", "secret")).unwrap();
    for (machine, features) in [("type1", "cpu:broadwell"), ("type2", "cpu:skylake"), ("type1", "cpu:broadwell")] {
        let image = format!("{}/machines/{machine}/{REPOSITORY}:latest", stage.front());
        assert_eq!(client.pull(&image).unwrap().digest, stage.bench.digest(&[features]), "{machine}");
    }
}

/// A proxy before MetaHub that says the machine type too. Nothing says which of the two is right.
#[test]
fn a_proxy_that_adds_its_own_header() {
    let stage = start(json!({ "header": true }));
    let add = |bootstrap: &mut Value| {
        let header = json!({ "key": "X-MetaHub-Machine-Type", "value": "type1" });
        let added = json!([{ "header": header, "append_action": "APPEND_IF_EXISTS_OR_ADD" }]);
        manager(bootstrap).at_mut("route_config").add("request_headers_to_add", added);
    };
    let proxy = Builder::before(stage.envoy.port()).without_filter().bootstrap(add).start().unwrap();
    let ask = |sent: Option<&str>| {
        let request = Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login("pods", "secret");
        let request = sent.into_iter().fold(request, |request, text| request.header("x-metahub-machine-type", text));
        let answer = proxy.send(&request).unwrap();
        (answer.status, answer.header("docker-content-digest").map(str::to_owned))
    };
    let selected = Some(stage.bench.digest(&["cpu:broadwell"]));
    for equal in [None, Some("type1"), Some("Type1")] {
        assert_eq!(ask(equal), (200, selected.clone()), "{equal:?}");
    }
    for different in ["type2", "unknown", ""] {
        assert_eq!(ask(Some(different)), (400, None), "{different:?}");
    }
}
