//! envoy/several-registries, in front of imitations of its registries: the registry that gets each request, and the
//! credentials with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use metahub_testkit::bench::Bench;
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::{Client as _, Login};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::server::{Answer, Received, Server};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{self, stage};
use metahub_testkit::tls_front::SNI;

const HUB: &str = "registry-1.docker.io";
const TOKENS: &str = "auth.docker.io";
const PRIVATE: &str = "registry.example.com";
/// The private registry's user with this password.
const USER: (&str, &str) = ("alice", "private-pw");

/// The registries and MetaHub before them.
struct Stage {
    base: stage::Stage,
}

stands_on_base!(Stage);

impl Stage {
    fn set() -> Self {
        let private = |request: &Received| {
            serve(request, &format!("Basic {}", STANDARD.encode(format!("{}:{}", USER.0, USER.1))))
        };
        let tokens =
            |_: &Received| Answer::document("application/json", r#"{"token":"hub-token","expires_in":300}"#).acts();
        let stage = stage().folder("several-registries");
        let stage = stage.stand_in(HUB, |request| serve(request, "Bearer hub-token"));
        Self { base: stage.stand_in(PRIVATE, private).stand_in(TOKENS, tokens).start().unwrap() }
    }

    fn hub(&self) -> &Server {
        self.stand_in(HUB)
    }

    fn private(&self) -> &Server {
        self.stand_in(PRIVATE)
    }

    fn ask(&self, host: Option<&str>, path: &str, login: (&str, &str)) -> Response {
        let request = Request::get(path).login(login.0, login.1);
        let request = host.into_iter().fold(request, |request, host| request.header("host", host));
        self.envoy.send(&request).unwrap()
    }

    /// No registry got another one's requests, or requests under another name, with other credentials, or with `ns`.
    fn assert_separate(&self) {
        for (server, host, credentials) in [(self.hub(), HUB, "Bearer hub-token"), (self.private(), PRIVATE, "Basic ")]
        {
            for request in server.received("") {
                assert_eq!((request.header("host"), request.header(SNI)), (Some(host), Some(host)), "{}", request.path);
                assert!(!request.path.contains("ns="), "{host}: {}", request.path);
                let sent = request.header("authorization").unwrap_or_default();
                assert!(sent.starts_with(credentials), "{host}: {sent}");
            }
        }
        for request in self.stand_in(TOKENS).received("") {
            assert_eq!((request.header("host"), request.header(SNI)), (Some(TOKENS), Some(TOKENS)), "{}", request.path);
            assert_eq!(request.header("authorization"), None);
        }
    }
}

/// A registry with the demo repository in every repository, for clients with these credentials.
fn serve(request: &Received, credentials: &str) -> Vec<metahub_testkit::server::Act> {
    let bench = Bench::build();
    if request.header("authorization") != Some(credentials) {
        return Answer::new(401).header("www-authenticate", "Basic realm=\"theirs\"").acts();
    }
    let (path, _) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let reference = path.rsplit('/').next().unwrap_or_default();
    let images = bench.images.iter().flat_map(|image| [&image.manifest, &image.config, &image.layer]);
    match images.into_iter().find(|document| document.digest() == reference) {
        _ if path == "/v2/" => Answer::document("application/json", "{}").acts(),
        Some(document) => Answer::document(&document.media_type, document.bytes.clone()).acts(),
        None if reference == "latest" => Answer::document(&bench.list.media_type, bench.list.bytes.clone()).acts(),
        None => Answer::new(404).acts(),
    }
}

#[test]
fn host_name_and_ns_choose_the_registry() {
    let stage = Stage::set();
    let hub = ("qnib-type1", "qnib-type1");
    let private = ("alice-type1", USER.1);
    let by_host = Some("docker-hub.example.com");
    let by_host_and_port = Some("docker-hub.example.com:8080");
    let tag = "/v2/tools/bench/manifests/latest";
    let rows = [
        // The registry that gets a request, and the path there.
        (by_host, "/v2/bench/manifests/latest".to_owned(), hub, stage.hub(), "/v2/library/bench/manifests/latest"),
        (by_host_and_port, tag.to_owned(), hub, stage.hub(), tag),
        (by_host, format!("{tag}?ns={PRIVATE}"), hub, stage.hub(), tag),
        (None, format!("{tag}?ns=docker.io"), hub, stage.hub(), tag),
        (
            None,
            "/v2/bench/manifests/latest?ns=docker.io".to_owned(),
            hub,
            stage.hub(),
            "/v2/library/bench/manifests/latest",
        ),
        (None, tag.to_owned(), private, stage.private(), tag),
        (None, "/v2/bench/manifests/latest".to_owned(), private, stage.private(), "/v2/bench/manifests/latest"),
        (None, format!("{tag}?ns={PRIVATE}"), private, stage.private(), tag),
        (Some("elsewhere.example.com"), tag.to_owned(), private, stage.private(), tag),
    ];
    let requests = |server: &Server| server.received("/manifests/").len();
    for (host, path, login, server, expected) in rows {
        let before = requests(stage.hub()) + requests(stage.private()) - requests(server);
        let answer = stage.ask(host, &path, login);
        assert_eq!(answer.status, 200, "{host:?} {path}: {}", answer.text());
        let digest = stage.bench.digest(&["cpu:broadwell"]);
        assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{host:?} {path}");
        let received = server.received("/latest");
        assert_eq!(received.last().map(|request| request.path.as_str()), Some(expected), "{host:?} {path}");
        let others = requests(stage.hub()) + requests(stage.private()) - requests(server);
        assert_eq!(others, before, "{host:?} {path}: another registry was asked, too");
    }
    stage.assert_separate();
}

/// One registry's logins are worth nothing at another one, and are not shown to it.
#[test]
fn logins_belong_to_one_registry() {
    let stage = Stage::set();
    let tag = "/v2/tools/bench/manifests/latest";
    assert_eq!(stage.ask(None, &format!("{tag}?ns=docker.io"), ("alice-type1", USER.1)).status, 401);
    assert!(stage.hub().received("").is_empty() && stage.private().received("").is_empty());
    let answer = stage.ask(None, tag, ("qnib-type1", "qnib-type1"));
    assert_eq!(answer.status, 401, "the private registry knows no qnib");
    // Another registry's images are not looked for here.
    for login in [("qnib-type1", "qnib-type1"), ("alice-type1", USER.1)] {
        let answer = stage.ask(None, &format!("{tag}?ns=quay.io"), login);
        assert_eq!(answer.status, 404, "{}", answer.text());
        assert_eq!(answer.json()["errors"][0]["code"], "NAME_UNKNOWN", "{}", answer.text());
    }
    assert!(stage.hub().received("").is_empty());
    assert_eq!(stage.private().received("").len(), 1, "the one that it refused");
}

/// containerd with MetaHub as its mirror for Docker Hub and for the private registry.
#[test]
fn containerd_adds_ns() {
    if reason_to_skip("containerd", &Containerd::PROGRAMS, true).unwrap().is_some() {
        return;
    }
    let stage = Stage::set();
    let mut containerd = Containerd::start(Credentials::HostsToml).unwrap();
    let front = format!("127.0.0.1:{}", stage.envoy.port());
    let rows = [
        ("docker.io", Login::new("qnib-type2", "qnib-type2"), stage.hub()),
        (PRIVATE, Login::new("alice-type2", USER.1), stage.private()),
    ];
    for (mirrored, login, server) in rows {
        containerd.mirror(mirrored);
        containerd.log_in(&front, &login).unwrap();
        let pulled = containerd.pull(&format!("{front}/tools/bench:latest")).unwrap();
        assert_eq!(pulled.digest, stage.bench.digest(&["cpu:skylake"]), "{mirrored}");
        assert_eq!(server.received("/latest").len(), 1, "{mirrored}");
    }
    stage.assert_separate();
}
