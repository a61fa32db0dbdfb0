//! The harness itself, which the other tests rely on.

use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::Edit as _;
use metahub_testkit::http::Request;
use metahub_testkit::stage::{Stage, stage};

#[test]
fn envoy_without_the_filter_passes_everything() {
    let Stage { bench, envoy, .. } = &stage().envoy(|envoy| envoy.without_filter()).start().unwrap();

    let request = Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).header("accept", &bench.list.media_type);
    let answer = envoy.send(&request).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.body, bench.list.bytes);
    assert_eq!(answer.header("docker-content-digest"), Some(bench.list.digest().as_str()));
}

#[test]
fn envoy_with_the_filter_selects_and_reloads() {
    let Stage { bench, envoy, .. } = &stage().start().unwrap();

    let path = format!("/v2/{REPOSITORY}/manifests/latest");
    let digest = |login: &str| {
        let answer = envoy.send(&Request::get(&path).login(login, login)).unwrap();
        answer.header("docker-content-digest").map(str::to_owned)
    };
    assert_eq!(digest("qnib-type1"), Some(bench.digest(&["cpu:broadwell"])));
    assert_eq!(digest("qnib-type2"), Some(bench.digest(&["cpu:skylake"])));

    let config = envoy.config();
    let broken = config.changed(|config| config.rename("machine_types", "machine_typos"));
    assert!(!envoy.reload(&broken).unwrap(), "a broken file is refused");
    assert_eq!(digest("qnib-type2"), Some(bench.digest(&["cpu:skylake"])));
    let good = config.changed(|config| config.set("machine_types.type2.features.0", "cpu:broadwell"));
    assert!(envoy.reload(&good).unwrap(), "a good file is accepted");
    assert_eq!(digest("qnib-type2"), Some(bench.digest(&["cpu:broadwell"])));
}
