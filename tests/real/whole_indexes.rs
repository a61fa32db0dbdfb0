//! Whole indexes, by digest and from a registry that is only observed, in Envoy with a real registry. `native::` has
//! each path; here it is shown that Envoy does what the core says, for HEAD and GET, and over both protocols.

use std::collections::BTreeMap;

use metahub::oci::digest::Digest;
use metahub::oci::media_type;
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::Edit as _;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::stage::{Stage, stage};
use serde_json::Value;

use super::observe::{PROTOCOLS, Protocol, Watch, assert_error, assert_no_vm_died};

fn start(change: fn(&mut Value)) -> Stage {
    stage().config(change).start().unwrap()
}

/// A request as runtimes make it.
fn ask(stage: &Stage, protocol: Protocol, (method, reference): (&str, &str), login: &str) -> Response {
    let request = Request::new(method, &format!("/v2/{REPOSITORY}/manifests/{reference}"));
    let request = request.header("accept", media_type::ALL.join(", ")).login(login, login);
    protocol.send(&stage.envoy, &request).unwrap()
}

fn counted(rows: &[(&str, u64)]) -> BTreeMap<String, u64> {
    rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn an_index_by_digest_is_refused_if_the_operator_says_so() {
    let stage = start(|config| config.add("index_by_digest", "refuse"));
    let (list, image) = (stage.bench.list.digest(), stage.bench.digest(&["cpu:broadwell"]));
    let told = format!("{REPOSITORY}@{list}: this is an index, which is not given out by its digest");
    for protocol in PROTOCOLS {
        let watch = Watch::begin(&stage.envoy);
        // The second time from what is known.
        for method in ["HEAD", "GET", "HEAD", "GET"] {
            let row = format!("{method} over {protocol:?}");
            let refused = ask(&stage, protocol, (method, &list), "qnib-type1");
            assert_error(&refused, 403, "DENIED", &[&told, "pull by tag"], method == "GET", &row);
            let pulled = ask(&stage, protocol, (method, "latest"), "qnib-type1");
            assert_eq!((pulled.status, pulled.header("x-metahub-index")), (200, Some(list.as_str())), "{row}");
            assert_eq!(pulled.header("docker-content-digest"), Some(image.as_str()), "{row}");
            let child = ask(&stage, protocol, (method, &image), "qnib-type1");
            assert_eq!((child.status, child.header("x-metahub-index")), (200, None), "{row}");
        }
        let lines = watch.lines(4);
        assert!(lines.len() == 4 && lines.iter().all(|line| line.contains(&told)), "{lines:#?}");
        assert_eq!(watch.counted(), counted(&[("index_by_digest", 4), ("selected", 4)]));
    }
    assert_no_vm_died(&stage.envoy);
}

#[test]
fn an_observed_registry_gives_out_its_indexes_and_the_selection_is_told() {
    let stage = start(|config| config.add("registries.registry.mode", "observe"));
    let (list, image) = (stage.bench.list.digest(), stage.bench.digest(&["cpu:broadwell"]));
    let selected = format!("passed through: observed; selected would be {image}: linux/amd64 cpu:broadwell;");
    let watch = Watch::begin(&stage.envoy);
    for protocol in PROTOCOLS {
        for method in ["HEAD", "GET", "HEAD", "GET"] {
            let row = format!("{method} over {protocol:?}");
            for reference in ["latest", &list] {
                let answer = ask(&stage, protocol, (method, reference), "qnib-type1");
                assert_eq!(answer.status, 200, "{row}: {}", answer.text());
                assert_eq!(answer.header("docker-content-digest"), Some(list.as_str()), "{row}");
                assert_eq!(answer.header("content-type"), Some(stage.bench.list.media_type.as_str()), "{row}");
                let length = stage.bench.list.bytes.len().to_string();
                assert_eq!(answer.header("content-length"), Some(length.as_str()), "{row}");
                assert!(method == "HEAD" || Digest::of(&answer.body).as_str() == list, "{row}");
                let told = answer.header("x-metahub-selected").is_some_and(|told| told.starts_with(&selected));
                assert_eq!(told, reference == "latest", "{row}: {:?}", answer.header("x-metahub-selected"));
            }
        }
    }
    let lines = watch.lines(1);
    let told = format!("{REPOSITORY}:latest for machine type type1: {selected}");
    assert!(matches!(lines.as_slice(), [line] if line.contains(&told)), "once an hour: {lines:#?}");
    assert_eq!(watch.counted(), counted(&[("observed", 8), ("passed_through", 8)]));
    let wrong = Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login("qnib-type1", "wrong");
    assert_eq!(stage.envoy.send(&wrong).unwrap().status, 401, "access is checked");
    assert_no_vm_died(&stage.envoy);
}
