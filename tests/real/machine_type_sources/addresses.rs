//! `machine_type_from.addresses`: the address that a client's connection comes from.

use std::process::Command;

use serde_json::{Map, Value, json};

use super::{got, manifest, manifest_as, stage_with};
use crate::real::observe::assert_no_vm_died;
use metahub_testkit::config::Edit as _;
use metahub_testkit::http::Request;
use metahub_testkit::sandbox::Sandbox;
use metahub_testkit::skip::reason_to_skip;

const SOCKET: &str = "static_resources.listeners.0.address.socket_address";

/// One listener for IPv4 and IPv6, as `address: "::"` with `ipv4_compat` makes it: the kernel hands it IPv4 clients as
/// IPv4-mapped IPv6 addresses.
fn listen_on_both(bootstrap: &mut Value) {
    bootstrap.set(&format!("{SOCKET}.address"), "::");
    bootstrap.add(&format!("{SOCKET}.ipv4_compat"), true);
}

#[test]
fn the_address_says_the_machine_type() {
    let addresses = json!({
        "127.1.0.0/16": "type1", "127.1.2.0/24": "type2", "127.1.2.3": "type3", "::1": "type2", "::/0": "type1",
    });
    let stage = stage_with(json!({ "addresses": addresses })).bootstrap(listen_on_both).start().unwrap();
    let port = stage.envoy.port();
    let from = |source: &str, server: &str, request: &Request| {
        let options = ["--interface", source];
        let answer = request.send_by(Command::new("curl"), &options, &format!("http://{server}:{port}")).unwrap();
        got(&stage.bench, &answer)
    };
    for (source, server, expected, why) in [
        ("127.1.0.1", "127.0.0.1", "type1 address", "the first network"),
        ("127.1.255.254", "127.0.0.1", "type1 address", "the end of it"),
        ("127.1.2.1", "127.0.0.1", "type2 address", "the network in it"),
        ("127.1.2.3", "127.0.0.1", "type3 address", "the address in that"),
        ("::ffff:127.1.2.3", "[::ffff:127.0.0.1]", "type3 address", "IPv4-mapped"),
        ("127.2.0.1", "127.0.0.1", "403", "no network: ::/0 is IPv6"),
        ("::1", "[::1]", "type2 address", "IPv6"),
    ] {
        assert_eq!(from(source, server, &manifest()), expected, "{source}: {why}");
    }
    assert_eq!(from("127.1.0.1", "127.0.0.1", &manifest_as("app-type2")), "type2 login", "the login goes first");
    assert_eq!(from("127.1.0.1", "127.0.0.1", &manifest_as("app-tpye2")), "403", "a typing error gets no image");
    assert_no_vm_died(&stage.envoy);
}

/// Two nodes with networks of their own and one secret, in turns; each of them has two addresses.
#[test]
fn nodes_in_networks_of_their_own_get_their_own_images() {
    if reason_to_skip("nodes with networks", &["curl", "ip", "nsenter"], true).unwrap().is_some() {
        return;
    }
    let nodes = ["one", "two"].map(|name| Sandbox::with_network(name).unwrap());
    let networks = [0, 1].map(|node: usize| nodes[node].network().expect("a network of its own"));
    let types = [["type1", "type2"], ["type3", "type1"]];
    let addresses = networks.iter().zip(types).flat_map(|(network, types)| {
        network.there().into_iter().zip(types).map(|(address, name)| (address.to_string(), json!(name)))
    });
    let addresses: Map<String, Value> = addresses.collect();
    let stage = stage_with(json!({ "addresses": addresses })).bootstrap(listen_on_both).start().unwrap();
    for turn in 0..3 {
        for (node, types) in types.iter().enumerate() {
            for (here, name) in networks[node].here().iter().zip(types) {
                let server = format!("http://{here}:{}", stage.envoy.port());
                let answer = manifest().send_by(nodes[node].command("curl"), &[], &server).unwrap();
                assert_eq!(got(&stage.bench, &answer), format!("{name} address"), "node {node}, turn {turn}");
            }
        }
    }
    assert_no_vm_died(&stage.envoy);
}
