//! The listener with TLS of docs/registries.md, put into the other folders' `envoy.yaml` as the page says.

use std::path::PathBuf;

use serde_json::Value;

use super::configurations::{FOLDERS, judge};
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::certificates::{self, TLS_HOST};
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client as _, Login};
use metahub_testkit::config::{self, Edit as _, shipped, shipped_text};
use metahub_testkit::envoy::{Builder, in_folder};
use metahub_testkit::http::Request;
use metahub_testkit::registry::{Access, Registry};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::temp::TempDir;

const ADDRESS: &str = "static_resources.listeners.0.address";
const SOCKET: &str = "static_resources.listeners.0.filter_chains.0.transport_socket";
const CERTIFICATE: &str = "typed_config.common_tls_context.tls_certificate_sds_secret_configs.0.sds_config\
                           .path_config_source.path";

/// A folder's `envoy.yaml` in which the page's text stands where the folder's own began, up to the filters.
fn with_the_pages_listener(folder: &str) -> Value {
    let page = include_str!("../../docs/registries.md");
    let (_, rest) = page.split_once("```yaml\nlisteners:\n").expect("the listener in docs/registries.md");
    let (block, _) = rest.split_once("```").expect("its end");
    let block: String = format!("listeners:\n{block}").lines().map(|line| format!("  {line}\n")).collect();
    let own = shipped_text(&in_folder(folder, "envoy.yaml")).unwrap();
    let (before, rest) = own.split_once("  listeners:\n").expect("the folder's listeners");
    let (_, filters) = rest.split_once("    - filters:\n").expect("the folder's filters");
    config::parse(&format!("{before}{block}{filters}")).unwrap()
}

/// `certificate.yaml`, as copied from `tls-listener`, with the paths of the tests' certificate.
fn certificate(directory: &TempDir) -> PathBuf {
    let folder = certificates::folder().unwrap();
    let mut file = shipped("tls-listener/certificate.yaml").unwrap();
    let certificate = file.at_mut("resources.0.tls_certificate");
    certificate.set("certificate_chain.filename", folder.join("server.crt").display().to_string());
    certificate.set("private_key.filename", folder.join("server.key").display().to_string());
    certificate.set("watched_directory.path", folder.display().to_string());
    let path = directory.join("certificate.yaml");
    std::fs::write(&path, file.to_string()).unwrap();
    path
}

#[test]
fn it_fits_every_folder_and_changes_nothing_else() {
    let directory = TempDir::new("listener").unwrap();
    let certificate = certificate(&directory).display().to_string();
    for folder in FOLDERS.into_iter().filter(|folder| *folder != "tls-listener").chain([""]) {
        let mut merged = with_the_pages_listener(folder);
        let shipped = shipped(&in_folder(folder, "envoy.yaml")).unwrap();
        let plain = merged.changed(|merged| {
            merged.remove(SOCKET);
            merged.set(ADDRESS, shipped.at(ADDRESS).clone());
        });
        assert_eq!(plain, shipped, "{folder}: the page's listener has other settings");

        merged.at_mut(SOCKET).set(CERTIFICATE, certificate.as_str());
        let path = directory.join("envoy.json");
        std::fs::write(&path, merged.to_string()).unwrap();
        let said = judge(&path);
        assert!(said.is_ok(), "{folder}: {said:?}");
    }
}

/// Issue 13: nobody had tried the page's lines in `private-registry`. The registry is a real one with TLS and users.
#[test]
fn a_private_registry_is_pulled_from_with_tls_on_both_sides() {
    if reason_to_skip("the page's listener", &Skopeo::PROGRAMS, true).unwrap().is_some() {
        return;
    }
    let (bench, open) = (Bench::build(), Registry::start().unwrap());
    bench.push(&open).unwrap();
    let registry = open.guarded(&Access::TlsHtpasswd(&[Login::new("alice", "s3cret")])).unwrap();
    let directory = TempDir::new("listener").unwrap();
    let mut socket = with_the_pages_listener("private-registry").remove(SOCKET);
    assert_eq!(socket.at(CERTIFICATE), "envoy/private-registry/certificate.yaml");
    socket.set(CERTIFICATE, certificate(&directory).display().to_string());
    let envoy = Builder::of_folder("private-registry").stand_in("registry.example.com", registry.port());
    let envoy = envoy.bootstrap(move |bootstrap| bootstrap.add(SOCKET, socket)).start().unwrap();

    let selected = bench.image(&["cpu:skylake"]);
    let manifest =
        |password| Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login("alice-type2", password);
    let answer = manifest("s3cret").send_tls(envoy.port()).unwrap();
    assert_eq!((answer.status, &answer.body), (200, &selected.manifest.bytes));
    assert_eq!(manifest("wrong").send_tls(envoy.port()).unwrap().status, 401);
    assert!(manifest("s3cret").send(envoy.port()).is_err(), "passwords travel in clear text");

    let (mut skopeo, front) = (Skopeo::new().unwrap(), format!("{TLS_HOST}:{}", envoy.port()));
    skopeo.log_in(&front, &Login::new("alice-type2", "s3cret")).unwrap();
    let pulled = skopeo.pull(&format!("{front}/{REPOSITORY}:latest")).unwrap();
    assert_eq!(pulled.digest, selected.manifest.digest());
}
