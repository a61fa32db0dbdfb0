//! The client's address behind load balancers. `source.address`, which MetaHub asks for, is what Envoy has made of
//! `X-Forwarded-For` by its own settings.

use std::process::Command;

use serde_json::{Value, json};

use super::{got, manifest, of_the_page, stage_with};
use crate::real::observe::assert_no_vm_died;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::manager;
use metahub_testkit::http::Request;
use metahub_testkit::stage::Stage;

/// Clients and load balancers are at addresses of 127.0.0.0/8 here, and claim to be at others.
fn stage_that(trusts: impl FnOnce(&mut Value) + 'static) -> Stage {
    let addresses = json!({ "127.0.0.0/8": "type2", "10.0.0.0/8": "type1", "2001:db8::/32": "type3" });
    let stage = stage_with(json!({ "addresses": addresses }));
    stage.bootstrap(|bootstrap| trusts(manager(bootstrap))).start().unwrap()
}

#[track_caller]
fn assert_rows(stage: &Stage, rows: &[(&str, &str, &str)]) {
    for (forwarded, expected, why) in rows {
        let answer = stage.send(&manifest().header("x-forwarded-for", forwarded));
        assert_eq!(got(&stage.bench, &answer), *expected, "{forwarded}: {why}");
    }
    assert_no_vm_died(&stage.envoy);
}

/// With the shipped `use_remote_address: true`.
#[test]
fn no_client_can_forge_its_address_with_the_shipped_file() {
    let stage = stage_that(|_| {});
    let names = [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "x-envoy-external-address",
        "x-envoy-downstream-remote-address",
    ];
    for name in names {
        for value in ["10.0.0.1", "for=10.0.0.1", "127.0.0.1, 10.0.0.1", "10.0.0.1, 127.0.0.1"] {
            let request = || manifest().header(name, value).header("x-envoy-internal", "true");
            assert_eq!(got(&stage.bench, &stage.send(&request())), "type2 address", "{name}: {value}");
            let answer = request().send_h2c(stage.envoy.port()).unwrap();
            assert_eq!(got(&stage.bench, &answer), "type2 address", "{name}: {value} over HTTP/2");
        }
    }
    assert_no_vm_died(&stage.envoy);
}

/// The load balancer appends the address of its client; what the client has written before that is passed over.
#[test]
fn a_trusted_load_balancer_says_the_clients_address() {
    let stage = stage_that(|manager| manager.add("xff_num_trusted_hops", 1));
    assert_rows(
        &stage,
        &[
            ("10.0.0.1", "type1 address", "the client's address"),
            ("192.0.2.1, 10.0.0.1", "type1 address", "the client has written one before"),
            ("10.0.0.1, 192.0.2.1", "403", "the client has forged one; its own is in no network"),
            ("2001:db8::1", "type3 address", "IPv6"),
            ("::ffff:10.0.0.1", "type1 address", "IPv4-mapped"),
            ("10.0.0.1, ::ffff:192.0.2.1", "403", "IPv4-mapped, in no network"),
        ],
    );
    assert_eq!(got(&stage.bench, &stage.send(&manifest())), "type2 address", "without the header: the connection's");
    let two = stage_that(|manager| manager.add("xff_num_trusted_hops", 2));
    assert_rows(
        &two,
        &[
            ("10.0.0.1, 192.0.2.1", "type1 address", "the second from the right"),
            ("10.0.0.1, 192.0.2.1, 192.0.2.2", "403", "and no other"),
        ],
    );
}

/// The page on security says so: Envoy's default is not the shipped file's.
#[test]
fn without_use_remote_address_every_client_forges_its_address() {
    let stage = stage_that(|manager| {
        manager.remove("use_remote_address");
    });
    assert_rows(&stage, &[("10.0.0.1", "type1 address", "believed"), ("192.0.2.1, 10.0.0.1", "type1 address", "too")]);
}

/// The lines of docs/accounts.md: only connections of the load balancers' network may say another address.
#[test]
fn load_balancers_can_be_trusted_by_their_network() {
    let stage = stage_that(|manager| {
        let lines = of_the_page("use_remote_address: false");
        manager.set("use_remote_address", lines.at("use_remote_address").clone());
        let key = "original_ip_detection_extensions";
        manager.add(key, lines.at(key).clone());
        let balancers = "0.typed_config.xff_trusted_cidrs.cidrs.0.address_prefix";
        manager.at_mut(key).set(balancers, "127.9.0.0");
    });
    let server = format!("http://127.0.0.1:{}", stage.envoy.port());
    let from = |source: &str, request: &Request| {
        got(&stage.bench, &request.send_by(Command::new("curl"), &["--interface", source], &server).unwrap())
    };
    let forwarded = |value: &str| manifest().header("x-forwarded-for", value);
    for (source, request, expected, why) in [
        ("127.9.0.1", forwarded("10.0.0.1"), "type1 address", "a load balancer's word"),
        ("127.9.0.1", forwarded("10.0.0.1, 127.9.0.2"), "type1 address", "over another load balancer"),
        ("127.9.0.1", forwarded("10.0.0.1, 192.0.2.1"), "403", "a client of it that forges its address"),
        ("127.8.0.1", forwarded("10.0.0.1"), "type2 address", "a client that goes round it"),
        ("127.8.0.1", manifest(), "type2 address", "a client that says nothing"),
    ] {
        assert_eq!(from(source, &request), expected, "{source}: {why}");
    }
    assert_no_vm_died(&stage.envoy);
}
