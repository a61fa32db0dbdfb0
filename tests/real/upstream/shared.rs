//! MetaHub's own credentials for all clients, anonymous tokens, and short names.

use super::{Stage, TALL, code, manifest, password, users};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::envoy::{Builder, replace};
use metahub_testkit::http::Request;
use metahub_testkit::token_service::{Call, SERVICE, TokenService};

const SHARED: &str = "authentication: accounts\n              \
                      credentials: { username_env: HUB_USER, password_env: HUB_PASSWORD }";

/// Envoy hands these variables to the filter, and has them.
fn with_environment(builder: Builder) -> Builder {
    let keys = "vm_config:\n        environment_variables: { host_env_keys: [HUB_USER, HUB_PASSWORD] }\n";
    builder
        .environment("HUB_USER", "alice")
        .environment("HUB_PASSWORD", password("alice"))
        .edit_config(move |config| replace(&config, "vm_config:\n", keys, 1))
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
        let stage = Stage::set(tokens, SHARED, with_environment);
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
        if stage.tokens.is_some() {
            let calls = stage.tokens().calls();
            assert!(calls.iter().all(|call| call.user.as_deref() == Some("alice")), "{calls:?}");
        }
    }
}

#[test]
fn a_missing_variable_is_refused_by_name() {
    let stage = Stage::set(None, SHARED, with_environment);
    let before = stage.envoy.config();
    assert!(!stage.envoy.reload(&before.replace("password_env: HUB_PASSWORD", "password_env: HUB_TYPO")).unwrap());
    let log = stage.envoy.log();
    let line = log.lines().find(|line| line.contains("HUB_TYPO") && line.contains("registries.registry.credentials"));
    assert!(line.is_some_and(|line| line.contains("password_env") && line.contains("host_env_keys")), "{log}");
    assert_eq!(pull(&stage, REPOSITORY, "qnib-type1", "qnib-type1").status, 200, "what was in force stays in force");
}

#[test]
fn shared_credentials_that_the_registry_refuses_are_the_operators_business() {
    let fields = "authentication: accounts\n              credentials: { username: alice, password: 0utdated }";
    for tokens in [None, Some(TokenService::start(&users()).unwrap())] {
        let stage = Stage::set(tokens, fields, |builder| builder);
        let answer = pull(&stage, REPOSITORY, "qnib-type1", "qnib-type1");
        assert_eq!((answer.status, code(&answer).as_str()), (403, "DENIED"), "{}", answer.text());
        assert!(!answer.text().contains("0utdated"));
        // Inline credentials rotate with a reload.
        let config = stage.envoy.config().replace("password: 0utdated", &format!("password: '{}'", password("alice")));
        assert!(stage.envoy.reload(&config).unwrap());
        assert_eq!(pull(&stage, REPOSITORY, "qnib-type1", "qnib-type1").status, 200);
        stage.assert_discreet(&["0utdated"]);
    }
}

#[test]
fn without_credentials_tokens_are_anonymous_and_short_names_complete() {
    let stage = Stage::with_tokens("authentication: none\n              default_namespace: library");
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
