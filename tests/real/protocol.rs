//! A client's view of a request that is in order, over HTTP/1.1 and over HTTP/2.

use std::sync::Mutex;

use serde_json::{Value, json};

use metahub::oci::digest::Digest;
use metahub::oci::media_type;

use super::logins::add_unfiltered;
use super::observe::{PROTOCOLS, Protocol, assert_no_vm_died, counters, fault_lines};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::Envoy;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::image::{Format, index};
use metahub_testkit::stage::{Stage, stage};

/// The headers that describe a manifest: HEAD and GET must agree in all of them.
const DESCRIBING: [&str; 7] = [
    "docker-content-digest",
    "content-length",
    "content-type",
    "etag",
    "x-metahub-selected",
    "x-metahub-index",
    "docker-distribution-api-version",
];

/// The logins of the shipped configuration, and the features of the image that each must get.
const LOGINS: [(&str, &[&str]); 3] = [
    ("qnib-type1", &["cpu:broadwell"]),
    ("qnib-type2", &["cpu:skylake"]),
    ("qnib-type3", &["cpu:broadwell", "nvcap:5.2"]),
];

/// The demo repository has its list as `latest`, as an OCI index as `oci`, and one image as `single`.
fn start(change: impl FnOnce(&mut Value) + 'static) -> Stage {
    let stage = stage().config(change).start().unwrap();
    let list: Value = serde_json::from_slice(&stage.bench.list.bytes).unwrap();
    let oci = index(Format::Oci, list["manifests"].as_array().unwrap());
    let registry = stage.registry();
    registry.push_manifest(REPOSITORY, "oci", &oci).unwrap();
    registry.push_manifest(REPOSITORY, "single", &stage.bench.image(&["cpu:skylake"]).manifest).unwrap();
    stage
}

fn path(reference: &str) -> String {
    format!("/v2/{REPOSITORY}/manifests/{reference}")
}

/// A request of a client that takes every kind of manifest.
fn ask(method: &str, path: &str) -> Request {
    Request::new(method, path).header("accept", media_type::ALL.join(", "))
}

fn describing(answer: &Response) -> Vec<(&str, Option<&str>)> {
    DESCRIBING.iter().map(|name| (*name, answer.header(name))).collect()
}

#[test]
fn head_and_get_agree() {
    let stage = start(add_unfiltered);
    let mut rows: Vec<(&str, &str)> = LOGINS.iter().map(|(login, _)| (*login, "latest")).collect();
    rows.extend(LOGINS.iter().map(|(login, _)| (*login, "oci")));
    rows.extend([("everything", "latest"), ("everything", "oci"), ("qnib-type1", "single")]);
    let mut answers = Vec::new();
    for (login, tag) in rows {
        for protocol in PROTOCOLS {
            let context = format!("{tag} as {login} over {protocol:?}");
            let send = |method| protocol.send(&stage.envoy, &ask(method, &path(tag)).login(login, login)).unwrap();
            let (get, head) = (send("GET"), send("HEAD"));
            assert_eq!((get.status, head.status), (200, 200), "{context}: {}", get.text());
            assert_eq!(describing(&get), describing(&head), "{context}");
            let digest = Digest::of(&get.body).to_string();
            assert_eq!(get.header("docker-content-digest"), Some(digest.as_str()), "{context}");
            assert_eq!(get.header("content-length"), Some(get.body.len().to_string().as_str()), "{context}");
            let inside = get.json()["mediaType"].as_str().map(str::to_owned);
            assert_eq!(get.header("content-type"), inside.as_deref(), "{context}");
            assert_eq!(head.body.len(), 0, "{context}");
            answers.push((login, tag, digest));
        }
    }
    for (login, features) in LOGINS {
        let right = answers.iter().filter(|(who, tag, _)| *who == login && *tag != "single");
        assert!(right.clone().all(|(_, _, digest)| *digest == stage.bench.digest(features)), "{login}: {answers:?}");
    }
    assert_eq!(fault_lines(&stage.envoy), Vec::<String>::new());
    assert_no_vm_died(&stage.envoy);
}

#[test]
fn answers_by_tag_are_for_one_login_only() {
    let stage = start(add_unfiltered);
    let get = stage.envoy.send(&ask("GET", &path("latest")).login("qnib-type1", "qnib-type1")).unwrap();
    let digest = stage.bench.digest(&["cpu:broadwell"]);
    assert_eq!(get.header("vary"), Some("Authorization"));
    assert_eq!(get.header("cache-control"), Some("private"));
    assert_eq!(get.header("etag"), Some(format!("\"{digest}\"").as_str()));
    assert_eq!(get.header("x-metahub-machine-type"), Some("type1"));
    let selected = get.header("x-metahub-selected").unwrap();
    assert!(selected.starts_with(&digest) && selected.contains("cpu:broadwell"), "{selected}");

    // A client's condition is about the image it has, which upstream does not know behind the tag.
    let conditional = |protocol: Protocol, method: &str, login: &str, condition: &str| {
        let request = ask(method, &path("latest")).login(login, login).header("if-none-match", condition);
        protocol.send(&stage.envoy, &request).unwrap()
    };
    for protocol in PROTOCOLS {
        let list = format!("\"{}\"", stage.bench.list.digest());
        assert_eq!(conditional(protocol, "GET", "qnib-type1", &list).body, get.body);
        for (method, condition) in [("GET", format!("\"{digest}\"")), ("HEAD", format!("W/\"x\", W/\"{digest}\""))] {
            let context = format!("{method} {condition} over {protocol:?}");
            let other = conditional(protocol, method, "qnib-type2", &condition);
            assert_eq!(other.status, 200, "{context}: the other machine's image");
            let answer = conditional(protocol, method, "qnib-type1", &condition);
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{context}");
            for name in ["etag", "docker-content-digest", "vary", "cache-control", "x-metahub-machine-type"] {
                assert_eq!(answer.header(name), get.header(name), "{context}: {name}");
            }
            assert_eq!(answer.header("content-type"), None, "{context}");
        }
    }
}

/// The answer to any request but a manifest by tag is the registry's own, byte for byte, for any login.
#[test]
fn everything_else_is_untouched() {
    let stage = start(add_unfiltered);
    let image = stage.bench.image(&["cpu:skylake"]);
    let mut paths: Vec<String> = stage.bench.images.iter().map(|image| path(&image.manifest.digest())).collect();
    let absent = format!("sha256:{}", "0".repeat(64));
    paths.extend([path(&stage.bench.list.digest()), path(&absent), path("absent"), path("single")]);
    paths.extend(
        [image.layer.digest(), image.config.digest(), absent.clone()]
            .map(|digest| format!("/v2/{REPOSITORY}/blobs/{digest}")),
    );
    paths.push(format!("/v2/{REPOSITORY}/tags/list"));
    paths.push("/v2/no/such/repository/tags/list".to_owned());
    for path in paths {
        for method in ["GET", "HEAD"] {
            let direct = ask(method, &path).send(stage.registry().port()).unwrap();
            for (protocol, login) in [(Protocol::Http1, "qnib-type1"), (Protocol::H2c, "everything")] {
                let context = format!("{method} {path} as {login} over {protocol:?}");
                let answer = protocol.send(&stage.envoy, &ask(method, &path).login(login, login)).unwrap();
                assert_eq!(answer.status, direct.status, "{context}");
                assert_eq!(answer.body, direct.body, "{context}");
                for name in ["docker-content-digest", "content-length", "content-type", "etag"] {
                    assert_eq!(answer.header(name), direct.header(name), "{context}: {name}");
                }
            }
        }
    }
    assert_no_vm_died(&stage.envoy);
}

/// Part of a blob: containerd resumes downloads.
#[test]
fn ranges_of_blobs_pass() {
    let stage = start(add_unfiltered);
    let layer = &stage.bench.images[0].layer;
    let request = Request::get(&format!("/v2/{REPOSITORY}/blobs/{}", layer.digest()));
    let answer = stage.envoy.send(&request.header("range", "bytes=10-19").login("qnib-type1", "qnib-type1")).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (206, &layer.bytes[10..20]));
}

#[test]
fn ping_and_health() {
    let stage = start(|_| {});
    for protocol in PROTOCOLS {
        for method in ["GET", "HEAD"] {
            let send = |request: Request| protocol.send(&stage.envoy, &request).unwrap();
            for path in ["/v2/", "/v2"] {
                let bare = send(Request::new(method, path));
                assert_eq!(bare.status, 401, "a 200 would make any password succeed");
                assert_eq!(bare.header("www-authenticate"), Some("Basic realm=\"MetaHub\""));
                let answer = send(Request::new(method, path).login("qnib-type2", "qnib-type2"));
                assert_eq!((answer.status, answer.header("x-metahub-machine-type")), (200, Some("type2")));
                assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"));
            }
            let health = send(Request::new(method, "/metahub/v1/health"));
            assert_eq!((health.status, health.header("cache-control")), (200, Some("no-store")));
        }
    }
    let hash = |envoy: &Envoy| {
        let health = envoy.send(&Request::get("/metahub/v1/health")).unwrap().json();
        assert_eq!((&health["status"], &health["machine_types"]), (&"ok".into(), &3.into()), "{health}");
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
        health["configuration"].as_str().unwrap().to_owned()
    };
    let before = hash(&stage.envoy);
    let changed = stage.envoy.config().changed(|config| config.set("machine_types.type3.features.1", "nvcap:6.0"));
    assert!(stage.envoy.reload(&changed).unwrap());
    assert_ne!(hash(&stage.envoy), before, "probes see which configuration is in force");
    let upstream_saw = stage.registry().log().lines().filter(|line| line.contains("\"GET /v2/ ")).count();
    assert_eq!(upstream_saw, 1, "pings are MetaHub's own answer, but for the harness's:\n{}", stage.registry().log());
}

#[test]
fn a_default_machine_type() {
    let hash = bcrypt::hash("team", 4).unwrap();
    let stage = start(move |config| {
        config.add("accounts.team", json!({ "password": hash }));
        config.add("default_machine_type", "type2");
    });
    for (login, features) in [("team", &["cpu:skylake"]), ("team-type1", &["cpu:broadwell"])] {
        let answer = stage.envoy.send(&ask("GET", &path("latest")).login(login, "team")).unwrap();
        assert_eq!(answer.header("docker-content-digest"), Some(stage.bench.digest(features).as_str()), "{login}");
    }
    let typo = stage.envoy.send(&ask("GET", &path("latest")).login("team-type8", "team")).unwrap();
    assert_eq!(typo.status, 401, "a typo must not get a wrong image: {}", typo.text());
}

#[test]
fn without_authentication_the_login_names_the_machine_type() {
    let stage = start(|config| {
        config.set("registries.registry.authentication", "none");
        config.remove("accounts");
    });
    for (login, features) in LOGINS {
        let answer = stage.envoy.send(&ask("GET", &path("latest")).login(login, "anything")).unwrap();
        assert_eq!(answer.header("docker-content-digest"), Some(stage.bench.digest(features).as_str()), "{login}");
    }
    for login in ["qnib-type9", "qnib", "-type1", "x-unfiltered"] {
        let answer = stage.envoy.send(&ask("GET", &path("latest")).login(login, "x")).unwrap();
        let message = format!("the login {login:?} names no machine type");
        super::observe::assert_error(&answer, 403, "DENIED", &[&message], true, login);
        assert!(fault_lines(&stage.envoy).iter().any(|line| line.contains(&message)), "{login}");
    }
    assert_eq!(stage.envoy.send(&ask("GET", &path("latest"))).unwrap().status, 401);
}

/// Several machines at once, in every way: each gets its own image, whichever others are served beside it.
#[test]
fn two_hundred_requests_at_once() {
    let stage = start(add_unfiltered);
    let wrong = Mutex::new(Vec::new());
    let worker = &|number: usize| {
        for turn in 0..10 {
            let (login, features) = LOGINS[(number + turn) % 2];
            let method = if turn % 3 == 0 { "HEAD" } else { "GET" };
            let protocol = if (number + turn).is_multiple_of(5) { Protocol::H2c } else { Protocol::Http1 };
            let tag = if turn % 2 == 0 { "latest" } else { "oci" };
            let answer = protocol.send(&stage.envoy, &ask(method, &path(tag)).login(login, login));
            let image = &stage.bench.image(features).manifest;
            let right = answer.as_ref().is_ok_and(|answer| {
                answer.header("docker-content-digest") == Some(&image.digest())
                    && (method == "HEAD" || answer.body == image.bytes)
            });
            if !right {
                wrong.lock().unwrap().push(format!("{method} {tag} {login}: {:?}", answer.map(|a| a.text())));
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..20 {
            scope.spawn(move || worker(number));
        }
    });
    assert_eq!(*wrong.lock().unwrap(), Vec::<String>::new());
    assert_eq!(counters(&stage.envoy)["selected"], 200);
    assert_no_vm_died(&stage.envoy);
}
