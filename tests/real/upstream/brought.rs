//! Tokens that clients bring themselves (`accept_jwt`): the registry decides, every time.

use serde_json::json;

use super::{Stage, blob, code, manifest};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::Login;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::token_service::{Mood, SERVICE, TokenService};

const USER: (&str, &str) = ("carol-type2", "carol-pw");

fn stage() -> Stage {
    let users = [Login::new(USER.0, USER.1)];
    let fields = json!({ "authentication": "upstream", "accept_jwt": true });
    Stage::set(Some(TokenService::start(&users).unwrap()), fields, |envoy| envoy)
}

/// A token that the client got at the token service by itself.
fn token(stage: &Stage, repository: &str) -> String {
    let path = format!("/token?service={SERVICE}&scope=repository%3A{}%3Apull", repository.replace('/', "%2F"));
    let answer = Request::get(&path).login(USER.0, USER.1).send(stage.tokens().port()).unwrap();
    stage.tokens().calls();
    format!("Bearer {}", answer.json()["token"].as_str().unwrap())
}

fn ask(stage: &Stage, path: &str, bearer: &str) -> Response {
    stage.envoy.send(&Request::get(path).header("authorization", bearer)).unwrap()
}

#[test]
fn the_subject_chooses_the_machine_type_and_the_registry_judges() {
    let stage = stage();
    let good = token(&stage, REPOSITORY);
    // The same name, and a signature by a key that the registry does not trust.
    stage.tokens().set(Mood::Revoked);
    let forged = token(&stage, REPOSITORY);
    stage.tokens().set(Mood::Issue(300));
    let elsewhere = token(&stage, "other/repository");
    let layer = blob(REPOSITORY, &stage.bench.images[0].layer);
    let child = format!("/v2/{REPOSITORY}/manifests/{}", stage.bench.digest(&["cpu:skylake"]));
    let explain = format!("/metahub/v1/explain?image={REPOSITORY}");
    let own = "/metahub/v1/machine-types".to_owned();
    for path in [manifest(REPOSITORY), child, layer, explain, own, "/v2/".to_owned()] {
        for _ in 0..2 {
            let answer = ask(&stage, &path, &good);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            let refused = ask(&stage, &path, &forged);
            assert_eq!((refused.status, code(&refused).as_str()), (401, "UNAUTHORIZED"), "{path}");
            assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"MetaHub\""), "{path}");
        }
        if path.contains(REPOSITORY) {
            assert_eq!(ask(&stage, &path, &elsewhere).status, 403, "{path}: good, and not good enough");
        }
    }
    let answer = ask(&stage, &manifest(REPOSITORY), &good);
    assert_eq!(answer.header("x-metahub-machine-type"), Some("type2"));
    assert_eq!(answer.header("docker-content-digest"), Some(stage.bench.digest(&["cpu:skylake"]).as_str()));
    assert!(stage.tokens().calls().is_empty(), "nothing is exchanged for a token that was brought");
    stage.assert_discreet(&[USER.1]);
}
