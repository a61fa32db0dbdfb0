//! Clients with and without a login on one listener, and MetaHub's tickets.

use serde_json::{Value, json};

use super::observe::{assert_no_vm_died, counters, fault_lines};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::podman::Podman;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client, Login};
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Builder, Envoy};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::stage;

const KEY: &str = "a sealing key of more than thirty-two characters";

/// A client that does not log in is treated as a machine that only the generic image fits.
fn allow_anonymous(config: &mut Value) {
    config.add("machine_types.basic", json!({ "architecture": "amd64" }));
    config.add("registries.registry.anonymous", "basic");
}

/// With a key from the environment that seals tokens.
fn sharing(builder: Builder, key: &'static str) -> Builder {
    let builder = builder.filter_environment("METAHUB_TOKEN_KEY", key);
    builder.config(|config| config.add("token_key_env", "METAHUB_TOKEN_KEY"))
}

fn manifest() -> Request {
    Request::get(&format!("/v2/{REPOSITORY}/manifests/latest"))
}

fn token_request() -> Request {
    Request::get("/metahub/v1/token?service=metahub")
}

/// The token of an answer of the endpoint.
fn token(answer: &Response) -> String {
    let body: Value = answer.json();
    format!("Bearer {}", body["token"].as_str().unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text())))
}

fn challenge(answer: &Response) -> &str {
    answer.header("www-authenticate").unwrap_or_default()
}

/// Every client must get the anonymous machine type's image without a login, its own with a login, and with a wrong
/// password nothing, not even the anonymous image.
fn exercise<C: Client>(name: &str, programs: &[&str], start: impl FnOnce() -> C) {
    if reason_to_skip(name, programs, true).unwrap().is_some() {
        return;
    }
    let stage = stage().config(allow_anonymous).start().unwrap();
    let mut client = start();
    let (front, tag) = (stage.front(), stage.tag());
    assert_eq!(client.pull(&tag).unwrap().digest, stage.bench.digest(&[]), "without a login");

    let wrong = client.log_in(&front, &Login::new("qnib-type2", "hunter2-wrong"));
    if client.logs_in() {
        let error = wrong.expect_err("a login with a wrong password").to_string();
        assert!(client.refused().iter().any(|words| error.contains(words)), "{error}");
    } else {
        let error = client.pull(&tag).expect_err("a pull with a wrong password").to_string();
        assert!(client.refused().iter().any(|words| error.contains(words)), "{error}");
    }
    for (user, features) in [("qnib-type2", &["cpu:skylake"][..]), ("qnib-type1", &["cpu:broadwell"])] {
        client.log_in(&front, &Login::new(user, user)).unwrap();
        assert_eq!(client.pull(&tag).unwrap().digest, stage.bench.digest(features), "{user}");
    }
    let counted = counters(&stage.envoy);
    assert!(counted["anonymous"] > 0 && counted["token_issued"] >= 3 && counted["unauthorized"] > 0, "{counted:?}");
    let log = stage.envoy.log();
    assert!(!log.contains("hunter2") && !log.contains("mh1."), "a secret is in the log:\n{log}");
    assert_no_vm_died(&stage.envoy);
}

#[test]
fn docker() {
    exercise("docker", &Docker::PROGRAMS, || Docker::start().unwrap());
}

#[test]
fn containerd() {
    exercise("containerd", &Containerd::PROGRAMS, || Containerd::start(Credentials::Option).unwrap());
}

#[test]
fn podman() {
    exercise("podman", &Podman::PROGRAMS, || Podman::new().unwrap());
}

#[test]
fn skopeo() {
    exercise("skopeo", &Skopeo::PROGRAMS, || Skopeo::new().unwrap());
}

#[test]
fn the_endpoint_and_its_challenges() {
    let stage = stage().config(allow_anonymous).start().unwrap();
    let send = |request: &Request| stage.envoy.send(request).unwrap();
    let realm =
        format!("Bearer realm=\"http://127.0.0.1:{}/metahub/v1/token\",service=\"metahub\"", stage.envoy.port());
    assert_eq!(challenge(&send(&manifest())), realm, "loopback without TLS");
    let outside = send(&manifest().header("host", "hub.example"));
    assert_eq!(challenge(&outside), "Bearer realm=\"https://hub.example/metahub/v1/token\",service=\"metahub\"");
    let wrong = send(&manifest().login("qnib-type1", "hunter2"));
    assert_eq!((wrong.status, challenge(&wrong)), (401, "Basic realm=\"MetaHub\""));

    for method in ["PUT", "HEAD"] {
        let refused = send(&Request::new(method, "/metahub/v1/token").login("qnib-type1", "qnib-type1"));
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, POST")), "{method}");
    }
    let refused = send(&token_request().login("qnib-type1", "hunter2"));
    assert_eq!((refused.status, challenge(&refused)), (401, "Basic realm=\"MetaHub\""));
    let answer = send(&token_request().login("qnib-type1", "qnib-type1"));
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let bearer = token(&answer);
    let pulled = send(&manifest().header("authorization", &bearer));
    assert_eq!(pulled.header("docker-content-digest"), Some(stage.bench.digest(&["cpu:broadwell"]).as_str()));
    assert_ne!(token(&send(&token_request())), token(&send(&token_request())), "each is sealed anew");

    let damaged = send(&manifest().header("authorization", format!("{bearer}A")));
    assert_eq!((damaged.status, challenge(&damaged)), (401, format!("{realm},error=\"invalid_token\"").as_str()));
    let foreign = send(&manifest().header("authorization", "Bearer eyJh.eyJz.c2ln"));
    assert_eq!((foreign.status, challenge(&foreign)), (401, "Basic realm=\"MetaHub\""));
    let lines = fault_lines(&stage.envoy);
    assert!(lines.iter().all(|line| !line.contains("mh1.") && !line.contains("eyJh") && !line.contains("hunter2")));
    assert_no_vm_died(&stage.envoy);
}

#[test]
fn replicas_with_one_key_accept_each_others_tokens() {
    let stage = stage().config(allow_anonymous).start().unwrap();
    let another = || Builder::before(stage.registry().port()).config(allow_anonymous);
    let start = |key| sharing(another(), key).start().unwrap();
    let (one, two, other) = (start(KEY), start(KEY), start("another key, as long as the one before it"));
    let pull = |envoy: &Envoy, bearer: &str| envoy.send(&manifest().header("authorization", bearer)).unwrap().status;
    for request in [token_request(), token_request().login("qnib-type2", "qnib-type2")] {
        let bearer = token(&one.send(&request).unwrap());
        assert_eq!([pull(&one, &bearer), pull(&two, &bearer), pull(&other, &bearer)], [200, 200, 401]);
        assert_eq!(pull(&stage.envoy, &bearer), 401, "one with a key of its own");
        let own = token(&stage.envoy.send(&request).unwrap());
        assert_eq!([pull(&stage.envoy, &own), pull(&one, &own)], [200, 401]);
    }
    for envoy in [&one, &two, &other, &stage.envoy] {
        assert!(!envoy.log().contains(KEY));
        assert_no_vm_died(envoy);
    }
}

/// Two accounts, one of which loses its permission by reload: at once, also for remembered logins and issued tickets.
#[test]
fn a_lost_permission_counts_at_once() {
    let stage = stage().config(allow_anonymous).start().unwrap();
    let base = stage.envoy.config();
    let account = |repositories: &str| {
        let hash = "$2y$05$kr25QcMCe.74YgdfvNTPVOAqne/XAd5zfoOtyUUhPvDpIR8drBnRK";
        json!({ "password": hash, "machine_types": ["type1", "type2"], "repositories": [repositories] })
    };
    let gone = base.changed(|config| config.add("accounts.ben", account("qnib/*")));
    let write = |ann: &str| gone.changed(|config| config.add("accounts.ann", account(ann)));
    assert!(stage.envoy.reload(&write("qnib/*")).unwrap());
    let bearers = ["ann-type1", "ben-type1"]
        .map(|user| token(&stage.envoy.send(&token_request().login(user, "qnib-arm1")).unwrap()));
    let layer = stage.bench.image(&["cpu:broadwell"]).layer.digest();
    let paths = [
        format!("/v2/{REPOSITORY}/manifests/latest"),
        format!("/v2/{REPOSITORY}/manifests/{}", stage.bench.digest(&["cpu:broadwell"])),
        format!("/v2/{REPOSITORY}/blobs/{layer}"),
        format!("/v2/{REPOSITORY}/tags/list"),
        format!("/metahub/v1/explain?image={REPOSITORY}"),
    ];
    let ask = |path: &str| {
        let [ann, ben] = &bearers;
        let requests = [
            Request::get(path).login("ann-type1", "qnib-arm1"),
            Request::get(path).header("authorization", ann),
            Request::get(path).login("ben-type1", "qnib-arm1"),
            Request::get(path).header("authorization", ben),
        ];
        requests.map(|request| stage.envoy.send(&request).unwrap().status)
    };
    paths.iter().for_each(|path| assert_eq!(ask(path), [200; 4], "{path}"));
    assert!(stage.envoy.reload(&write("other/*")).unwrap());
    paths.iter().for_each(|path| assert_eq!(ask(path), [403, 403, 200, 200], "{path}"));
    // And an account that is gone.
    assert!(stage.envoy.reload(&gone).unwrap());
    paths.iter().for_each(|path| assert_eq!(ask(path), [401, 401, 200, 200], "{path}"));
    assert_no_vm_died(&stage.envoy);
}

/// A cluster that the configuration does not name is closed, also to those who may be anonymous elsewhere.
#[test]
fn an_unnamed_cluster_gives_neither_tokens_nor_images() {
    let rename = |config: &mut Value| config.rename("registries.registry", "another");
    let stage = stage().config(allow_anonymous).config(rename).start().unwrap();
    for request in [manifest(), token_request(), manifest().login("qnib-type1", "qnib-type1")] {
        let answer = stage.send(&request);
        assert_eq!((answer.status, answer.header("www-authenticate")), (403, None), "{}", answer.text());
    }
    assert_no_vm_died(&stage.envoy);
}
