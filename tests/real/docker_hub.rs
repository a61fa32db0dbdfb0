//! envoy/docker-hub, in front of an imitation of Docker Hub: the registry, its token service and its blob store, each
//! as strict as the original.

use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client as _, Login};
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::Builder;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::server::{Act, Answer, Received, Server};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{self, stage};
use metahub_testkit::tls_front::SNI;

use crate::native::pages::blocks::{documents, run_by};

const HUB: &str = "registry-1.docker.io";
const TOKENS: &str = "auth.docker.io";
/// The user of the registry with this password.
const USER: (&str, &str) = ("alice", "dckr_pat_s3cret");
/// The registry's headers about its limit, and those for a client that has reached it.
const LIMIT: [(&str, &str); 3] = [
    ("ratelimit-limit", "100;w=21600"),
    ("ratelimit-remaining", "0;w=21600"),
    ("docker-ratelimit-source", "192.0.2.7"),
];

/// Docker Hub and MetaHub before it.
struct Stage {
    base: stage::Stage,
    /// Where the layers are.
    store: Server,
}

stands_on_base!(Stage);

impl Stage {
    fn set(edit: impl FnOnce(Builder) -> Builder) -> Self {
        let store = Server::start(blob_store).unwrap();
        // Another host than MetaHub's: since 1.21 Go's clients take credentials along to another port of the same host.
        let location = format!("http://localhost:{}", store.port());
        let stage = stage().folder("docker-hub").stand_in(HUB, move |request| hub(request, &location));
        Self { base: stage.stand_in(TOKENS, token_service).envoy(edit).start().unwrap(), store }
    }

    fn ask(&self, method: &str, path: &str, login: &str) -> Response {
        let request = Request::new(method, path).header("accept", metahub::oci::media_type::ALL.join(", "));
        self.envoy.send(&request.login(login, "whatever")).unwrap()
    }

    /// Every request that was for one of the imitations reached it under its name.
    fn assert_named(&self) {
        for host in [HUB, TOKENS] {
            let received = self.base.stand_in(host).received("");
            assert!(!received.is_empty(), "{host} was not asked");
            for request in received {
                assert_eq!((request.header("host"), request.header(SNI)), (Some(host), Some(host)), "{}", request.path);
            }
        }
    }
}

/// The registry: serves the demo repository as `library/bench`; `library/limited` has reached its limit, and so have
/// the images of `library/half`.
fn hub(request: &Received, store: &str) -> Vec<Act> {
    let bench = Bench::build();
    let mut parts = request.path.trim_start_matches("/v2/").rsplitn(3, '/');
    let (reference, kind, repository) = (parts.next(), parts.next(), parts.next());
    let (reference, kind, repository) =
        (reference.unwrap_or_default(), kind.unwrap_or_default(), repository.unwrap_or_default());
    let bearers = ["", ":alice"].map(|who| format!("Bearer token-for:repository:{repository}:pull{who}"));
    if !bearers.iter().any(|bearer| request.header("authorization") == Some(bearer)) {
        let challenge = format!("Bearer realm=\"https://{TOKENS}/token\",service=\"registry.docker.io\"");
        return Answer::new(401).header("www-authenticate", &challenge).body("{}").acts();
    }
    let with_limit = |answer: Answer| LIMIT.iter().fold(answer, |answer, (name, value)| answer.header(name, value));
    let too_many = || {
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
        let answer = Answer::new(429).header("retry-after", "3600").header("content-type", "application/json");
        with_limit(answer).body(body).acts()
    };
    let image = bench.images.iter().find(|image| image.manifest.digest() == reference);
    match (repository, kind, reference, image) {
        ("library/limited", ..) => too_many(),
        ("library/half", "manifests", _, Some(_)) => too_many(),
        ("library/bench" | "library/half" | REPOSITORY, "manifests", "latest", _) => {
            with_limit(Answer::document(&bench.list.media_type, bench.list.bytes.clone())).acts()
        }
        (_, "manifests", _, Some(image)) => {
            Answer::document(&image.manifest.media_type, image.manifest.bytes.clone()).acts()
        }
        (_, "blobs", ..) => {
            let location = format!("{store}/{reference}?signature=s1gned");
            Answer::new(307).header("location", &location).acts()
        }
        _ => Answer::new(404).acts(),
    }
}

fn token_service(request: &Received) -> Vec<Act> {
    use base64::Engine as _;
    let (path, query) = request.path.split_once('?').unwrap_or_default();
    let query: Vec<String> = query.split('&').map(|pair| pair.replace("%3A", ":").replace("%2F", "/")).collect();
    let scope = query.iter().find_map(|pair| pair.strip_prefix("scope=")).unwrap_or_default();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", USER.0, USER.1));
    let who = match request.header("authorization") {
        None => "",
        Some(header) if header == format!("Basic {basic}") => ":alice",
        Some(_) => return Answer::new(401).acts(),
    };
    if path != "/token" || !query.contains(&"service=registry.docker.io".to_owned()) {
        return Answer::new(400).acts();
    }
    let token = format!("token-for:{scope}{who}");
    Answer::document("application/json", serde_json::json!({ "token": token, "expires_in": 300 }).to_string()).acts()
}

/// As Amazon's: a request with a signature and credentials is refused.
fn blob_store(request: &Received) -> Vec<Act> {
    let bench = Bench::build();
    let documents = bench.images.iter().flat_map(|image| [&image.config, &image.layer]);
    let wanted = documents.into_iter().find(|document| request.path.contains(&document.digest()));
    match wanted {
        Some(document) if request.header("authorization").is_none() => {
            Answer::document("application/octet-stream", document.bytes.clone()).acts()
        }
        _ => Answer::new(400).acts(),
    }
}

fn tag(repository: &str) -> String {
    format!("/v2/{repository}/manifests/latest")
}

#[test]
fn short_names_and_anonymous_tokens() {
    let stage = Stage::set(|envoy| envoy);
    for name in ["bench", "library/bench", REPOSITORY] {
        for method in ["HEAD", "GET"] {
            let answer = stage.ask(method, &tag(name), "node-type1");
            assert_eq!(answer.status, 200, "{method} {name}: {}", answer.text());
            let digest = stage.bench.digest(&["cpu:broadwell"]);
            assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{method} {name}");
        }
    }
    assert_eq!(stage.base.stand_in(TOKENS).received("/token").len(), 2, "one for each of the two repositories");
    stage.assert_named();
}

#[test]
fn limits_reach_the_client() {
    let stage = Stage::set(|envoy| envoy);
    let child = stage.bench.digest(&["cpu:broadwell"]);
    let rows = [
        ("HEAD", tag("limited"), "the tag"),
        ("GET", tag("limited"), "the tag"),
        ("GET", format!("/v2/limited/manifests/{child}"), "an image by digest"),
        ("GET", format!("/v2/limited/blobs/{child}"), "a blob"),
        ("GET", tag("half"), "the image that was selected"),
    ];
    for (method, path, what) in rows {
        let answer = stage.ask(method, &path, "node-type1");
        assert_eq!(answer.status, 429, "{what}: {}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("3600"), "{what}");
        for (name, value) in LIMIT {
            assert_eq!(answer.header(name), Some(value), "{what}: {name}");
        }
        if method == "GET" {
            assert_eq!(answer.json()["errors"][0]["code"], "TOOMANYREQUESTS", "{what}: {}", answer.text());
        }
    }
    stage.assert_named();
}

/// The layers come from elsewhere: the client is told where, and neither it nor MetaHub takes credentials there.
#[test]
fn blobs_are_fetched_elsewhere_without_credentials() {
    let stage = Stage::set(|envoy| envoy);
    let layer = &stage.bench.image(&["cpu:broadwell"]).layer;
    let answer = stage.ask("GET", &format!("/v2/bench/blobs/{}", layer.digest()), "node-type1");
    assert_eq!(answer.status, 307);
    let location = answer.header("location").unwrap().to_owned();
    assert!(location.starts_with(&format!("http://localhost:{}/", stage.store.port())), "{location}");
    assert!(!answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")));
    assert!(stage.store.received("").is_empty(), "MetaHub followed");
    assert!(!stage.envoy.log().contains("s1gned"), "a signed address is in the log");

    if reason_to_skip("skopeo", &Skopeo::PROGRAMS, true).unwrap().is_some() {
        return;
    }
    let mut skopeo = Skopeo::new().unwrap();
    let front = format!("127.0.0.1:{}", stage.envoy.port());
    skopeo.log_in(&front, &Login::new("node-type2", "whatever")).unwrap();
    let pulled = skopeo.pull(&format!("{front}/bench:latest")).unwrap();
    assert_eq!(pulled.digest, stage.bench.digest(&["cpu:skylake"]));
    assert_eq!(stage.store.received("").len(), 2, "configuration and layer");
    assert!(stage.store.received("").iter().all(|request| request.header("authorization").is_none()));
    stage.assert_named();
}

/// MetaHub's own account, from the environment and as the shipped file suggests it; and each client's own.
#[test]
fn accounts_of_docker_hub() {
    let shared = Stage::set(|builder| {
        builder
            .environment("DOCKER_HUB_USER", USER.0)
            .environment("DOCKER_HUB_PASSWORD", USER.1)
            .uncommented("credentials: {")
    });
    assert_eq!(shared.ask("GET", &tag("bench"), "node-type1").status, 200);
    assert!(
        shared
            .base
            .stand_in(HUB)
            .received("")
            .iter()
            .all(|request| request.header("authorization").unwrap().ends_with(":alice"))
    );

    let own =
        Stage::set(|builder| builder.config(|config| config.set("registries.registry.authentication", "upstream")));
    let ask = |password| own.envoy.send(&Request::get(&tag("bench")).login("alice-type1", password)).unwrap();
    assert_eq!(ask(USER.1).status, 200);
    assert_eq!(ask("wrong").status, 401);
    for stage in [shared, own] {
        assert!(!stage.envoy.log().contains(USER.1), "the password is in the log");
        stage.assert_named();
    }
}

/// The page's recipe for one account at Docker Hub and accounts of MetaHub's own.
#[test]
fn accounts_as_the_page_shows_them() {
    let blocks = run_by("real::docker_hub::accounts_as_the_page_shows_them");
    let [block] = blocks.as_slice() else { panic!("{} blocks say that they run here", blocks.len()) };
    let part = documents(block).remove(0);
    let start = |password| {
        let part = part.clone();
        Stage::set(move |builder| {
            let builder = builder.environment("DOCKER_HUB_USER", USER.0).environment("DOCKER_HUB_PASSWORD", password);
            builder.config(move |config| {
                for key in ["registries", "accounts"] {
                    config[key] = part[key].clone();
                }
            })
        })
    };
    let stage = start(USER.1);
    let ask =
        |path: &str, login: &str, password: &str| stage.envoy.send(&Request::get(path).login(login, password)).unwrap();
    let skylake = stage.bench.digest(&["cpu:skylake"]);
    for name in ["bench", "library/bench"] {
        let answer = ask(&tag(name), "node-skylake", "secret");
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(answer.header("docker-content-digest"), Some(skylake.as_str()), "{name}");
        assert_eq!(answer.header("x-metahub-machine-type"), Some("type2"), "{name}");
    }
    assert_eq!(ask("/v2/", "node-skylake", "secret").status, 200);
    for (login, password) in [("node-skylake", "wrong"), ("node-skylake-type1", "wrong"), ("alice", USER.1)] {
        assert_eq!(ask(&tag("bench"), login, password).status, 401, "{login}");
    }
    let asked = stage.base.stand_in(HUB).received("");
    assert!(asked.iter().all(|request| request.header("authorization").unwrap().ends_with(":alice")));
    stage.assert_named();

    let refused = start("wrong").envoy.send(&Request::get(&tag("bench")).login("node-skylake", "secret")).unwrap();
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("refuses MetaHub's access"), "{}", refused.text());
}
