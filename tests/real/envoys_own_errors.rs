//! Envoy's own answers reach clients in the form of a registry's errors; the filter's answers are not changed.

use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::stage::{Stage, stage};

fn assert_registry_error(answer: &Response, status: u16, code: &str, message: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["errors"][0]["code"], code, "{text}");
    let said = answer.json()["errors"][0]["message"].as_str().unwrap_or_default().to_owned();
    assert!(said.contains(message), "{text}");
}

#[test]
fn errors_have_the_form_of_a_registry() {
    let mut stage = stage().start().unwrap();
    stage.registry_mut().stop();

    let manifest = format!("/v2/{REPOSITORY}/manifests/latest");
    let blob = format!("/v2/{REPOSITORY}/blobs/sha256:{}", "0".repeat(64));
    let escaped = "/v2/qnib%2fbench/manifests/latest";
    let rows = [
        // By Envoy: the registry is gone, and requests that the filter never sees.
        (Request::get(&blob), 503, "UNAVAILABLE", "the registry behind MetaHub does not answer"),
        (Request::get(escaped), 400, "UNSUPPORTED", "path_normalization_failed"),
        (Request::get("/v2/").header("x", "a".repeat(100 * 1024)), 431, "UNSUPPORTED", "headers_too_large"),
        (Request::get("/v2/").header("x_y", "1"), 400, "UNSUPPORTED", "underscore"),
        // By the filter.
        (Request::get(&manifest), 503, "UNAVAILABLE", "not available"),
        (Request::new("POST", "/v2/x/blobs/uploads/"), 405, "UNSUPPORTED", "read-only"),
        // (Two credentials: this one and the login that every row gets.)
        (Request::get("/v2/").header("authorization", "Basic eDp5"), 401, "UNAUTHORIZED", ""),
    ];
    for (request, status, code, message) in rows {
        let answer = stage.send(&request.login("qnib-type1", "qnib-type1"));
        assert_registry_error(&answer, status, code, message);
    }
}

/// The log that operators read names the machine type and the choice, and never a credential.
#[test]
fn the_access_log_tells_the_choice_and_no_secret() {
    let Stage { envoy, .. } = &stage().start().unwrap();
    let request = Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login("qnib-type1", "qnib-type1");
    assert_eq!(envoy.send(&request).unwrap().status, 200);

    let limit = std::time::Duration::from_secs(5);
    let line = metahub_testkit::wait_for("a line in the access log", limit, || {
        envoy.log().lines().find(|line| line.contains(" type=type1 ")).map(str::to_owned)
    });
    let line = line.unwrap();
    assert!(line.contains(" type=type1 source=account selected=\"sha256:"), "{line}");
    assert!(line.contains("cpu:broadwell"), "{line}");
    assert!(!envoy.log().contains("cW5pYi10eXBlMTpxbmliLXR5cGUx"), "the credentials are in the log");
}
