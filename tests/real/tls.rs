//! envoy/tls-listener, and the certificates that registries must show.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::certificates;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Builder, cluster, trusted_authority};
use metahub_testkit::http::Request;
use metahub_testkit::root;
use metahub_testkit::server::{Answer, Server};
use metahub_testkit::stage::{Stage, stage};
use metahub_testkit::temp::TempDir;
use metahub_testkit::tls_front::TlsFront;
use metahub_testkit::wait_for;

fn manifest() -> Request {
    Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login("qnib-type2", "qnib-type2")
}

#[test]
fn the_listener_speaks_tls_and_shows_a_renewed_certificate() {
    let Stage { bench, envoy, .. } = &stage().folder("tls-listener").start().unwrap();
    let port = envoy.port();
    let answer = manifest().send_tls(port).unwrap();
    assert_eq!((answer.status, &answer.body), (200, &bench.image(&["cpu:skylake"]).manifest.bytes));
    assert_eq!(Request::get("/v2/").send_tls(port).unwrap().status, 401);
    assert!(manifest().send(port).is_err(), "passwords travel in clear text");
    assert_eq!(envoy.stat("http.clients.downstream_cx_http2_total", "").unwrap(), 2, "HTTP/2 was not agreed on");

    // As an operator renews it: the key first. Of another authority, so that it can be told from the old one.
    let other = TempDir::new("other-authority").unwrap();
    certificates::make(other.path(), &[certificates::TLS_HOST]).unwrap();
    for file in ["server.key", "server.crt"] {
        let new = envoy.certificates().with_extension(file);
        std::fs::copy(other.join(file), &new).unwrap();
        std::fs::rename(new, envoy.certificates().join(file)).unwrap();
    }
    wait_for("the new certificate", Duration::from_secs(5), || manifest().send_tls(port).is_err().then_some(()))
        .unwrap();
    let error = manifest().send_tls(port).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("certificate"), "{error}");
}

/// A registry whose certificate is for another name, or of an authority that is not trusted, gets nothing.
#[test]
fn a_registry_must_prove_its_name() {
    let upstream = Server::start(|_| Answer::new(200).acts()).unwrap();
    let front = TlsFront::before(&[upstream.port()]).unwrap();
    let start = |change: fn(&mut Value)| {
        let builder = Builder::of_folder("private-registry").stand_in("registry.example.com", front.port(0));
        builder.bootstrap(move |bootstrap| change(cluster(bootstrap, "registry"))).start().unwrap()
    };
    let login = |path: &str| Request::get(path).login("alice-type1", "s3cret");
    let good = start(|_| {});
    assert_eq!(good.send(&login("/v2/")).unwrap().status, 200);
    let before = upstream.received("").len();

    let other_name = start(|cluster| {
        let validation = cluster.at_mut("transport_socket.typed_config.common_tls_context.validation_context");
        assert_eq!(validation.at("match_typed_subject_alt_names.0.matcher.exact"), "registry.example.com");
        validation.set("match_typed_subject_alt_names.0.matcher.exact", "other.example.com");
    });
    let other_authority =
        start(|cluster| trusted_authority(cluster).set("filename", "/etc/ssl/certs/ca-certificates.crt"));
    for (envoy, what) in [(other_name, "another name"), (other_authority, "another authority")] {
        for path in ["/v2/", "/v2/a/manifests/latest", "/metahub/v1/machine-types"] {
            let answer = envoy.send(&login(path)).unwrap();
            assert_eq!(answer.status, 503, "{what} {path}: {}", answer.text());
            assert_eq!(answer.json()["errors"][0]["code"], "UNAVAILABLE", "{what} {path}");
        }
        assert!(envoy.stat("cluster.registry.ssl.fail_verify", "").unwrap() > 0, "{what}");
    }
    assert_eq!(upstream.received("").len(), before, "credentials went to a server that proved nothing");
}

/// `make certs` keeps a valid certificate, and replaces one that lacks a name.
#[test]
fn certificates_are_made_once() {
    let folder = TempDir::new("certs").unwrap();
    let make = |names: &[&str]| {
        certificates::make(folder.path(), names).unwrap();
        std::fs::read(folder.join("server.crt")).unwrap()
    };
    let first = make(&["a.example"]);
    assert_eq!(first, make(&["a.example"]));
    assert_ne!(first, make(&["a.example", "b.example"]));
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 5, "two keys, two certificates and their names");
    assert!(is_private(&folder.join("ca.key")) && is_private(&folder.join("server.key")));
    assert!(std::fs::read_to_string(root().join(".gitignore")).unwrap().contains("/certs/"));
}

fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().unwrap().mode() & 0o077 == 0
}
