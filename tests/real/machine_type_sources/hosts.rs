//! `machine_type_from.hosts`: the host name that a client uses for MetaHub.

use serde_json::{Value, json};

use super::{got, manifest, manifest_as, of_the_page, stage_with};
use crate::real::observe::assert_no_vm_died;
use metahub_testkit::certificates::TLS_HOST;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::manager;

/// The lines of docs/accounts.md for envoy.yaml.
fn name_domains(bootstrap: &mut Value) {
    let lines = of_the_page("route_config:");
    let routes = manager(bootstrap).at_mut("route_config");
    let key = "ignore_port_in_host_matching";
    routes.add(key, lines.at("route_config").at(key).clone());
    let key = "virtual_hosts.0.domains";
    routes.set(key, lines.at("route_config").at(key).clone());
}

/// Envoy looks for the host among its routes' names first, and MetaHub sees it as the client wrote it.
#[test]
fn the_host_name_says_the_machine_type() {
    let hosts = json!({ "gpu.hub.example": "type3", "*.nodes.hub.example": "*", "*.old.hub.example": "type1" });
    let stage = stage_with(json!({ "hosts": hosts })).bootstrap(name_domains).start().unwrap();
    for (host, expected, why) in [
        ("gpu.hub.example", "type3 host", "an exact name"),
        ("type1.nodes.hub.example", "type1 host", "a label that names the machine type"),
        ("type2.nodes.hub.example", "type2 host", "another one"),
        ("GPU.Hub.Example:8443", "type3 host", "letter case and a port"),
        ("Type2.Nodes.hub.example:80", "type2 host", "letter case and a port beside a wildcard"),
        ("anything.old.hub.example", "type1 host", "a wildcard with a machine type"),
        ("type9.nodes.hub.example", "403", "a label that names none"),
        ("unfiltered.nodes.hub.example", "403", "no label grants whole indexes"),
        ("a.type2.nodes.hub.example", "403", "Envoy's wildcard is several labels, MetaHub's is one"),
        ("hub.example", "403", "a name that says nothing"),
        ("elsewhere.example", "404", "a name that Envoy's routes do not have"),
    ] {
        let request = || manifest().header("host", host);
        assert_eq!(got(&stage.bench, &stage.send(&request())), expected, "{host}: {why}");
        let answer = request().send_h2c(stage.envoy.port()).unwrap();
        assert_eq!(got(&stage.bench, &answer), expected, "{host} over HTTP/2: {why}");
    }
    // A host is a node's word, which goes before the login's.
    let request = manifest_as("app-type1").header("host", "gpu.hub.example");
    assert_eq!(got(&stage.bench, &stage.send(&request)), "type3 host");
    assert_no_vm_died(&stage.envoy);
}

/// With TLS the name that a certificate is checked against, and the one that says the machine type, are in the same
/// URL; `:authority` has the listener's port.
#[test]
fn over_tls_the_authority_says_the_machine_type() {
    let hosts = json!({ TLS_HOST: "type3", "*.nodes.hub.example": "*" });
    let stage = stage_with(json!({ "hosts": hosts })).folder("tls-listener").start().unwrap();
    let port = stage.envoy.port();
    assert_eq!(got(&stage.bench, &manifest().send_tls(port).unwrap()), "type3 host");
    for (host, expected) in [
        ("type1.nodes.hub.example", "type1 host"),
        ("type2.nodes.hub.example:8443", "type2 host"),
        ("Type2.nodes.hub.example.:8443", "type2 host"),
        ("type9.nodes.hub.example", "403"),
        ("elsewhere.example", "403"),
    ] {
        let answer = manifest().header("host", host).send_tls(port).unwrap();
        assert_eq!(got(&stage.bench, &answer), expected, "{host}");
    }
    assert_eq!(stage.envoy.stat("http.clients.downstream_cx_http2_total", "").unwrap(), 6, "HTTP/2 was not agreed on");
    assert_no_vm_died(&stage.envoy);
}
