//! Header lists of clients that are meant to affect others: the registry behind MetaHub, or the other clients.

use serde_json::json;

use super::observe::assert_unharmed;
use metahub_testkit::bench::Bench;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::server::{Answer, Received};
use metahub_testkit::stage::{self, stage};

/// Headers that are meant for a registry or its front end, or that claim another identity.
const NOT_FOR_REGISTRIES: [&str; 10] = [
    "cookie",
    "proxy-authorization",
    "x-remote-user",
    "private-token",
    "x-http-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-host",
    "forwarded",
    "x-metahub-machine-type",
];
/// As an nginx before a registry has it.
const LARGEST_HEAD: usize = 8 * 1024;

/// A registry whose front refuses requests above 8 KiB.
struct Stage {
    base: stage::Stage,
}

stands_on_base!(Stage);

impl Stage {
    fn set() -> Self {
        let bench = Bench::build();
        let configuration = json!({
            "machine_types": { "type1": { "features": ["cpu:broadwell"] } },
            "registries": { "registry": { "authentication": "none" } },
        });
        let stage = stage().server(move |request| respond(request, &bench).to(request));
        Self { base: stage.configuration(configuration).start().unwrap() }
    }

    fn ask(&self, request: Request) -> Response {
        self.envoy.send(&request.login("a-type1", "pw")).unwrap()
    }

    fn paths(&self) -> [String; 4] {
        let digest = self.bench.digest(&["cpu:broadwell"]);
        [
            "manifests/latest".to_owned(),
            format!("manifests/{digest}"),
            format!("blobs/{digest}"),
            "tags/list".to_owned(),
        ]
    }

    fn assert_pull(&self, what: &str) {
        let answer = self.ask(Request::get("/v2/a/b/manifests/latest"));
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert_eq!(answer.body, self.bench.image(&["cpu:broadwell"]).manifest.bytes, "{what}");
    }
}

fn respond(request: &Received, bench: &Bench) -> Answer {
    let size: usize = request.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let image = bench.images.iter().find(|image| image.manifest.digest() == request.reference());
    match image {
        _ if size + request.path.len() > LARGEST_HEAD => Answer::new(400).body("too large"),
        _ if request.reference() == "list" => {
            Answer::document("application/json", r#"{"name":"a/b","tags":["latest"]}"#)
        }
        Some(image) => Answer::stored(&image.manifest),
        None => Answer::stored(&bench.list),
    }
}

/// Issue 11: cookies, and headers by which front ends know users and hosts, reached the registry.
#[test]
fn what_is_not_for_registries_does_not_reach_them() {
    let stage = Stage::set();
    let mut reached = Vec::new();
    // Cold, and then as it is known.
    for method in ["GET", "HEAD", "GET"] {
        for path in stage.paths() {
            let told = |request: Request, name: &&str| request.header(name, format!("secret-{name}"));
            let request = NOT_FOR_REGISTRIES.iter().fold(Request::new(method, &format!("/v2/a/b/{path}")), told);
            let answer = stage.ask(request);
            assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        }
    }
    for Received { method, path, headers, .. } in stage.server().received("") {
        let told = headers.iter().filter(|(_, value)| value.contains("secret"));
        reached.extend(told.map(|(name, _)| format!("{name} with {method} {:.30}", path)));
    }
    assert_eq!(reached, Vec::<String>::new());
    stage.assert_pull("after");
    assert_unharmed(&stage.envoy);
}

/// A front end that refuses one client's headers must not cost the others their HEAD, nor a shared answer.
/// Issue 11: one refused header list made MetaHub ask with GET instead of HEAD for an hour.
#[test]
fn what_one_client_sends_is_not_held_against_the_others() {
    let rows: [(&str, fn(Request) -> Request); 3] = [
        ("a header of 9 KB", |request| request.header("x-large", "a".repeat(9 * 1024))),
        ("an Accept of 9 KB", |request| request.header("accept", "application/x".repeat(700))),
        ("gRPC", |request| request.header("content-type", "application/grpc")),
    ];
    for (what, change) in rows {
        let stage = Stage::set();
        stage.assert_pull("the first pull");
        let answer = stage.ask(change(Request::get("/v2/a/b/manifests/latest")));
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let before = stage.server().received("").len();
        for _ in 0..3 {
            stage.assert_pull(what);
        }
        let asked: Vec<String> =
            stage.server().received("")[before..].iter().map(|asked| asked.method.clone()).collect();
        assert_eq!(asked, ["HEAD"; 3], "after {what} every pull costs a GET");
        let answer = stage.ask(change(Request::get("/v2/c/d/manifests/latest")));
        assert_eq!(answer.status, 200, "{what}, for a cold tag: {}", answer.text());
        assert_unharmed(&stage.envoy);
    }
}

/// A refusal keeps its HTTP status for requests of every kind, gRPC included.
/// Issue 11: refusals of what called itself gRPC were 200.
#[test]
fn a_refusal_is_one_whatever_the_request_says_that_it_is() {
    let stage = Stage::set();
    for path in ["/v2/a/b/manifests/latest", "/v2/", "/metahub/v1/explain?image=a/b"] {
        let request = Request::get(path).header("content-type", "application/grpc");
        let answer = stage.envoy.send(&request).unwrap();
        assert_eq!(answer.status, 401, "{path}: {:?}", answer.headers);
    }
    let request = Request::new("POST", "/v2/a/b/blobs/uploads/").header("content-type", "application/grpc");
    assert_eq!(stage.ask(request).status, 405);
    assert_unharmed(&stage.envoy);
}
