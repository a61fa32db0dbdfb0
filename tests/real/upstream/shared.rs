//! MetaHub's own credentials for all clients, anonymous tokens, and short names.

use serde_json::{Value, json};

use super::{Stage, TALL, code, manifest, password, users};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::Builder;
use metahub_testkit::http::Request;
use metahub_testkit::token_service::{Call, SERVICE, TokenService};

fn shared() -> Value {
    let credentials = json!({ "username_env": "HUB_USER", "password_env": "HUB_PASSWORD" });
    json!({ "authentication": "accounts", "credentials": credentials })
}

/// Envoy hands these variables to the filter, and has them.
fn with_environment(builder: Builder) -> Builder {
    builder.filter_environment("HUB_USER", "alice").filter_environment("HUB_PASSWORD", password("alice"))
}

fn accepting(path: &str) -> Request {
    Request::get(path).header("accept", metahub::oci::media_type::ALL.join(", ")).login("node-type1", "whatever")
}

fn pull(stage: &Stage, repository: &str, login: &str, password: &str) -> metahub_testkit::http::Response {
    stage.envoy.send(&Request::get(&manifest(repository)).login(login, password)).unwrap()
}

#[test]
fn credentials_from_the_environment_serve_accounts() {
    for tokens in [None, Some(TokenService::start(&users()).unwrap())] {
        let stage = Stage::set(tokens, shared(), with_environment);
        let answer = pull(&stage, REPOSITORY, "qnib-type1", "qnib-type1");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-metahub-machine-type"), Some("type1"));
        assert_eq!(pull(&stage, REPOSITORY, "qnib-type1", "wrong").status, 401);
        assert_eq!(
            pull(&stage, REPOSITORY, "alice", password("alice")).status,
            401,
            "the registry's users are not ours"
        );
        stage.assert_discreet(&[]);
        if stage.token_service().is_some() {
            let calls = stage.tokens().calls();
            assert!(calls.iter().all(|call| call.user.as_deref() == Some("alice")), "{calls:?}");
        }
    }
}

#[test]
fn a_missing_variable_is_refused_by_name() {
    let stage = Stage::set(None, shared(), with_environment);
    let typo = stage.envoy.config().changed(|config| {
        config.set("registries.registry.credentials.password_env", "HUB_TYPO");
    });
    assert!(!stage.envoy.reload(&typo).unwrap());
    let log = stage.envoy.log();
    let line = log.lines().find(|line| line.contains("HUB_TYPO") && line.contains("registries.registry.credentials"));
    assert!(line.is_some_and(|line| line.contains("password_env") && line.contains("host_env_keys")), "{log}");
    assert_eq!(pull(&stage, REPOSITORY, "qnib-type1", "qnib-type1").status, 200, "what was in force stays in force");
}

#[test]
fn shared_credentials_that_the_registry_refuses_are_the_operators_business() {
    let credentials = json!({ "username": "alice", "password": "0utdated" });
    let fields = json!({ "authentication": "accounts", "credentials": credentials });
    for tokens in [None, Some(TokenService::start(&users()).unwrap())] {
        let stage = Stage::set(tokens, fields.clone(), |envoy| envoy);
        let answer = pull(&stage, REPOSITORY, "qnib-type1", "qnib-type1");
        assert_eq!((answer.status, code(&answer).as_str()), (403, "DENIED"), "{}", answer.text());
        assert!(!answer.text().contains("0utdated"));
        // Inline credentials rotate with a reload.
        let rotated = stage.envoy.config().changed(|config| {
            config.set("registries.registry.credentials.password", password("alice"));
        });
        assert!(stage.envoy.reload(&rotated).unwrap());
        assert_eq!(pull(&stage, REPOSITORY, "qnib-type1", "qnib-type1").status, 200);
        stage.assert_discreet(&["0utdated"]);
    }
}

#[test]
fn without_credentials_tokens_are_anonymous_and_short_names_complete() {
    let stage = Stage::with_tokens(json!({ "authentication": "none", "default_namespace": "library" }));
    let answer = pull(&stage, "tall", "node-type1", "whatever");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let scope = format!("repository:{TALL}:pull");
    assert_eq!(stage.tokens().calls(), [Call { user: None, service: SERVICE.into(), scope }]);
    let digest = answer.header("docker-content-digest").unwrap().to_owned();
    let layer = stage.tall[0].digest();
    let paths =
        [format!("/v2/tall/manifests/{digest}"), format!("/v2/tall/blobs/{layer}"), "/v2/tall/tags/list".to_owned()];
    for path in paths {
        for path in [path.clone(), path.replace("/v2/tall/", "/v2/library/tall/")] {
            let answer = stage.envoy.send(&accepting(&path)).unwrap();
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        }
    }
    assert_eq!(stage.exchanges(), [""; 0], "one token serves both names");
    assert_eq!(pull(&stage, REPOSITORY, "node-type1", "").status, 200, "other namespaces stay");
}
