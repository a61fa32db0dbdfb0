//! A registry with tokens: how many exchanges a pull costs, and what an expired token costs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Stage, TALL, assert_pulls, blob, manifest};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::Login;
use metahub_testkit::http::Request;
use metahub_testkit::token_service::{Call, Mood, SERVICE, TokenService};

fn upstream() -> Value {
    json!({ "authentication": "upstream" })
}

#[test]
fn tokens_open_the_registry_to_whom_it_knows() {
    let stage = Stage::with_tokens(upstream());
    assert_eq!(Request::get("/v2/").send(stage.guarded().port()).unwrap().status, 401, "the registry asks for a token");
    for user in ["alice", "bob"] {
        assert_eq!(stage.get("/v2/", user, "type1").status, 200);
        assert_pulls(&stage, user);
        let call = |scope: &str| Call { user: Some(user.into()), service: SERVICE.into(), scope: scope.into() };
        assert_eq!(stage.tokens().calls(), [call(""), call(&format!("repository:{REPOSITORY}:pull"))]);
    }
    stage.assert_discreet(&[]);
}

#[test]
fn a_pull_of_ten_layers_costs_one_token() {
    let stage = Stage::with_tokens(upstream());
    assert_eq!(stage.get(&manifest(TALL), "alice", "type1").status, 200);
    assert_eq!(stage.exchanges(), [format!("repository:{TALL}:pull")]);
    // All at once, as clients fetch layers, over both workers.
    std::thread::scope(|scope| {
        for layer in &stage.tall {
            scope.spawn(|| assert_eq!(stage.get(&blob(TALL, layer), "alice", "type1").body, layer.bytes));
        }
    });
    assert_eq!(stage.exchanges(), [""; 0], "the token of the manifest serves the layers");
}

#[test]
fn tokens_that_expire_meanwhile_cost_no_request() {
    let stage = Stage::with_tokens(upstream());
    stage.tokens().set(Mood::Issue(2));
    let (started, mut requests, mut exchanges) = (Instant::now(), 0, 0);
    while exchanges < 5 {
        let path = match stage.tall.get(requests % 11) {
            Some(layer) => blob(TALL, layer),
            None => manifest(TALL),
        };
        assert_eq!(stage.get(&path, "alice", "type1").status, 200, "request {requests}");
        requests += 1;
        exchanges += stage.exchanges().len();
        assert!(started.elapsed() < Duration::from_secs(10), "{exchanges} exchanges for {requests} requests");
    }
    // Each of the first four served one second; the filter's clock has whole ones.
    let took = started.elapsed();
    assert!(took > Duration::from_secs(3), "{exchanges} exchanges for {requests} requests in {took:?}");
}

/// Tokens that the registry refuses before the end that the service promised.
#[test]
fn a_token_that_ended_early_costs_at_most_one_redirect() {
    // Each row has its own user, because another user's tokens are good already.
    let users: Vec<Login> = (0..10).map(|number| Login::new(&format!("user{number}"), "ended-pw")).collect();
    let stage = Stage::set(Some(TokenService::start(&users).unwrap()), upstream(), |envoy| envoy);
    let child = format!("/v2/{REPOSITORY}/manifests/{}", stage.bench.digest(&["cpu:broadwell"]));
    let layer = blob(REPOSITORY, &stage.bench.images[0].layer);
    let own = [format!("/metahub/v1/explain?image={REPOSITORY}:latest"), "/metahub/v1/machine-types".to_owned()];
    // MetaHub repeats its own requests: manifests by tag, and those by digest that it keeps.
    let v2 = [("/v2/".to_owned(), 307, 307), (manifest(REPOSITORY), 200, 200), (child, 200, 307), (layer, 307, 307)];
    let rows = v2.iter().flat_map(|(path, get, head)| [("GET", path, *get), ("HEAD", path, *head)]);
    let rows: Vec<_> = rows.chain(own.iter().map(|path| ("GET", path, 200))).zip(&users).collect();
    let ask = |method: &str, path: &str, user: &Login| {
        stage.ask(method, path, &format!("{}-type1", user.user), &user.password)
    };
    stage.tokens().set(Mood::Brief);
    for ((method, path, _), user) in &rows {
        assert_eq!(ask(method, path, user).status, 200, "{method} {path}");
    }
    stage.wait_for_end_of_tokens();
    stage.tokens().set(Mood::Issue(300));
    for ((method, path, status), user) in &rows {
        let mut answer = ask(method, path, user);
        assert_eq!(answer.status, *status, "{method} {path}: {}", answer.text());
        if answer.status == 307 {
            answer = ask(method, answer.header("location").unwrap(), user);
        }
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        assert_eq!(ask(method, path, user).status, 200, "{method} {path}: and from then on");
    }
    stage.assert_discreet(&["ended-pw"]);
}

/// A token that was never good is not kept, and the client is not redirected.
#[test]
fn a_new_token_that_the_registry_refuses_is_not_kept() {
    // Each row has its own user, because another user's tokens are good already.
    let users: Vec<Login> = (0..3).map(|number| Login::new(&format!("user{number}"), "new-pw")).collect();
    let stage = Stage::set(Some(TokenService::start(&users).unwrap()), upstream(), |envoy| envoy);
    let paths = [manifest(REPOSITORY), blob(REPOSITORY, &stage.bench.images[0].layer), "/v2/".to_owned()];
    for (path, user) in paths.iter().zip(&users) {
        let ask = || stage.ask("GET", path, &format!("{}-type1", user.user), &user.password);
        stage.tokens().set(Mood::Revoked);
        for _ in 0..2 {
            let refused = ask();
            assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic realm=\"MetaHub\"")));
        }
        stage.tokens().set(Mood::Issue(300));
        assert_eq!(ask().status, 200, "{path}");
    }
    stage.assert_discreet(&["new-pw"]);
}
