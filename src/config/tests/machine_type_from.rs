//! `machine_type_from` in whole configurations.

use serde_json::{Value, json};

use super::{HASH, base, parse, with};
use crate::config::MachineTypeFrom;

/// Refused values, and the field that each refusal names.
pub(super) fn refusals() -> Vec<(&'static str, Value, &'static str)> {
    let anonymous = |anonymous: &str, names: Value| {
        let authentication = "none";
        json!({
            "host": "h", "authentication": authentication, "anonymous": anonymous, "anonymous_machine_types": names,
        })
    };
    let limit = "registries.registry.anonymous_machine_types";
    vec![
        ("/described_machine_types", json!("yes"), "described_machine_types"),
        ("/machine_types/described", json!({ "features": ["cpu:skylake"] }), "machine_types.described"),
        ("/accounts/ops/machine_types", json!(["type1", "described"]), "accounts.ops.machine_types[1]"),
        ("/registries/registry", anonymous("refuse", json!(["type1"])), limit),
        ("/registries/registry", anonymous("type1", json!(null)), limit),
        ("/registries/registry", anonymous("type1", json!("type1")), limit),
        (
            "/registries/registry",
            anonymous("type1", json!(["type1", "type9"])),
            "registries.registry.anonymous_machine_types[1]",
        ),
        ("/machine_type_from", json!({ "headers": true }), "machine_type_from.headers"),
        ("/machine_type_from", json!({ "path": "" }), "machine_type_from.path"),
        ("/machine_type_from", json!({ "path": "a/b" }), "machine_type_from.path"),
        ("/machine_type_from", json!({ "path": "Machines" }), "machine_type_from.path"),
        ("/machine_type_from", json!({ "path": "metahub" }), "machine_type_from.path"),
        ("/machine_type_from", json!({ "path": "library" }), "machine_type_from.path"),
        ("/machine_type_from", json!({ "hosts": null }), "machine_type_from.hosts"),
        ("/machine_type_from", json!({ "hosts": { "a..example": "type1" } }), "machine_type_from.hosts.a..example"),
        ("/machine_type_from", json!({ "hosts": { "a.example:80": "type1" } }), "machine_type_from.hosts.a.example:80"),
        ("/machine_type_from", json!({ "hosts": { "a.*.example": "type1" } }), "machine_type_from.hosts.a.*.example"),
        ("/machine_type_from", json!({ "hosts": { "a.example": "*" } }), "machine_type_from.hosts.a.example"),
        ("/machine_type_from", json!({ "hosts": { "a.example": "type9" } }), "machine_type_from.hosts.a.example"),
        (
            "/machine_type_from",
            json!({ "hosts": { "a.example": "type1", "A.example.": "type1" } }),
            "machine_type_from.hosts.a.example",
        ),
        ("/machine_type_from", json!({ "addresses": { "node1": "type1" } }), "machine_type_from.addresses.node1"),
        (
            "/machine_type_from",
            json!({ "addresses": { "10.1.2.3/16": "type1" } }),
            "machine_type_from.addresses.10.1.2.3/16",
        ),
        (
            "/machine_type_from",
            json!({ "addresses": { "10.0.0.0/33": "type1" } }),
            "machine_type_from.addresses.10.0.0.0/33",
        ),
        (
            "/machine_type_from",
            json!({ "addresses": { "::ffff:0:0/95": "type1" } }),
            "machine_type_from.addresses.::ffff:0:0/95",
        ),
        ("/machine_type_from", json!({ "addresses": { "10.0.0.1": "type9" } }), "machine_type_from.addresses.10.0.0.1"),
        (
            "/machine_type_from",
            json!({ "addresses": { "10.0.0.1": "type1", "::ffff:10.0.0.1": "type2" } }),
            "machine_type_from.addresses.::ffff:10.0.0.1",
        ),
    ]
}

#[test]
fn every_place_is_off_unless_it_is_written_but_the_login() {
    let said = |from: Value| {
        let config = parse(&with("/machine_type_from", from)).unwrap();
        let MachineTypeFrom { header, path, hosts, addresses, login } = config.machine_type_from();
        let said = [*header, path.is_some(), !hosts.is_empty(), !addresses.is_empty()];
        assert_eq!(config.has_sources(), said.contains(&true));
        (said, *login)
    };
    let nothing = [false; 4];
    for (from, expected) in [
        (json!(null), (nothing, true)),
        (json!({}), (nothing, true)),
        (json!({ "header": false, "path": null, "hosts": {}, "addresses": {}, "login": true }), (nothing, true)),
        (json!({ "login": false }), (nothing, false)),
        (json!({ "header": true }), ([true, false, false, false], true)),
        (json!({ "path": "machines" }), ([false, true, false, false], true)),
        (json!({ "hosts": { "a.example": "type1" } }), ([false, false, true, false], true)),
        (json!({ "addresses": { "10.0.0.1": "type1" }, "login": false }), ([false, false, false, true], false)),
    ] {
        assert_eq!(said(from.clone()), expected, "{from}");
    }
    assert!(!parse(&base()).unwrap().has_sources());
}

/// No client could ask for such a repository.
#[test]
fn a_path_that_hides_a_repository_is_refused() {
    let image = json!([{ "tag": "*" }]);
    let account = |pattern: &str| json!({ "ops": { "password": HASH, "repositories": ["a", pattern] } });
    let registry = |key: &str| json!({ "r": { "host": "h", "authentication": "accounts", key: "machines/x" } });
    for (key, value, hidden) in [
        ("images", json!({ "machines/a": image }), "images.machines/a: machines/a"),
        ("images", json!({ "machines": image }), "images.machines: machines"),
        ("images", json!({ "machines/**": image }), "images.machines/**: machines/**"),
        ("images", json!({ "machines-2/a": image, "a/machines": image, "*/a": image }), ""),
        ("accounts", account("machines/*"), "accounts.ops.repositories: machines/*"),
        ("accounts", account("**"), ""),
        ("registries", registry("default_namespace"), "registries.r.default_namespace: machines/x"),
        ("registries", registry("prefix"), "registries.r.prefix: machines/x"),
    ] {
        let mut document = with("/machine_type_from", json!({ "path": "machines" }));
        document[key] = value.clone();
        let refused = parse(&document).err().map(|error| error.to_string());
        let expected = (!hidden.is_empty())
            .then(|| format!("machine_type_from.path: hides {hidden}; choose a word with which no repository begins"));
        assert_eq!(refused, expected, "{value}");
        document["machine_type_from"] = json!({ "path": "nodes" });
        assert!(parse(&document).is_ok(), "{value}");
    }
}

#[test]
fn warns_of_machine_types_that_a_place_cannot_name() {
    let mut document = base();
    for name in ["a_b", "a.b", "a-", "a___b"] {
        document["machine_types"][name] = json!({ "architecture": "amd64" });
    }
    document["machine_types"]["l".repeat(64)] = json!({ "architecture": "amd64" });
    let mut warnings = |from: Value| {
        document["machine_type_from"] = from;
        parse(&document).unwrap().warnings().to_vec()
    };
    let warning = "machine_type_from.path: cannot name 2 of the machine types, such as a-";
    assert_eq!(warnings(json!({ "path": "machines" })), [warning]);
    let warning = "machine_type_from.hosts: cannot name 2 of the machine types, such as a.b";
    assert_eq!(warnings(json!({ "hosts": { "*.nodes": "*" } })), [warning]);
    assert!(warnings(json!({ "header": true, "hosts": { "*.nodes": "a.b" } })).is_empty());
}

#[test]
fn warns_if_nothing_says_a_logins_machine_type() {
    let mut document = with("/machine_type_from", json!({ "login": false }));
    assert!(parse(&document).unwrap().warnings().is_empty(), "one account is bound");
    document["accounts"] = json!({ "ops": { "password": HASH } });
    let warning = "machine_type_from.login: is false, and nothing else says a login's machine type";
    assert_eq!(parse(&document).unwrap().warnings(), [warning]);
    for (key, value) in [
        ("default_machine_type", json!("type1")),
        ("machine_type_from", json!({ "login": false, "header": true })),
        ("machine_type_from", json!({})),
    ] {
        let mut document = document.clone();
        document[key] = value;
        assert!(parse(&document).unwrap().warnings().is_empty(), "{document}");
    }
}
