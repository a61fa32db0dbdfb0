//! A registry with passwords (htpasswd): it decides, not MetaHub.

use serde_json::{Value, json};

use super::{Stage, assert_pulls, blob, code, manifest, password};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::http::Request;

fn upstream() -> Value {
    json!({ "authentication": "upstream" })
}

#[test]
fn the_registry_checks_passwords_and_never_sees_machine_types() {
    let stage = Stage::with_passwords(upstream());
    let direct = Request::get("/v2/").login("alice-type1", password("alice")).send(stage.guarded().port()).unwrap();
    assert_eq!(direct.status, 401, "the registry does not know machine types");
    for user in ["alice", "bob"] {
        assert_eq!(stage.get("/v2/", user, "type1").status, 200, "{user} logs in");
        assert_pulls(&stage, user);
    }
    stage.assert_discreet(&[]);
}

#[test]
fn a_wrong_password_gets_nothing_right_after_a_right_one() {
    let stage = Stage::with_passwords(upstream());
    assert_pulls(&stage, "alice");
    let layer = blob(REPOSITORY, &stage.bench.images[0].layer);
    let child = format!("/v2/{REPOSITORY}/manifests/{}", stage.bench.digest(&["cpu:broadwell"]));
    let tags = format!("/v2/{REPOSITORY}/tags/list");
    let types = "/metahub/v1/machine-types".to_owned();
    let explain = format!("/metahub/v1/explain?image={REPOSITORY}:latest");
    for path in ["/v2/".to_owned(), manifest(REPOSITORY), child, layer, tags, types, explain] {
        for (login, wrong) in [
            ("alice-type1", "hunter2-wrong"),
            ("alice-type1", ""),
            ("bob-type1", password("alice")),
            ("eve-type1", "e"),
        ] {
            for method in ["GET", "HEAD"] {
                let answer = stage.ask(method, &path, login, wrong);
                // HEAD must not learn anything that it cannot ask for.
                assert!(matches!((method, answer.status), (_, 401) | ("HEAD", 404 | 405)), "{method} {path} {login}");
                if answer.status == 401 {
                    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"MetaHub\""), "{path}");
                }
            }
            assert_eq!(code(&stage.ask("GET", &path, login, wrong)), "UNAUTHORIZED", "{path} {login}");
        }
        assert_eq!(stage.get(&path, "alice", "type1").status, 200, "{path}");
    }
    stage.assert_discreet(&["hunter2-wrong"]);
}
