//! Where a request's machine type comes from.

use metahub::config::Config;
use serde_json::{Value, json};

use super::driver::{basic, parse, send_headers};
use super::flow_access::{MANIFEST, demo, headers};
use super::outcome::Outcome;

/// Machine types `type1`, `type2` and `big-type1`; a registry with this authentication.
fn document(authentication: &str, default_machine_type: &str) -> Value {
    let account = |fields: Value| {
        let mut account = json!({ "password": bcrypt::hash("pw", 4).unwrap() });
        account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        account
    };
    let mut document = json!({
        "machine_types": {
            "type1": { "features": ["cpu:broadwell"] },
            "type2": { "features": ["cpu:skylake"] },
            "big-type1": { "architecture": "amd64" },
        },
        "registries": { "registry": { "host": "registry.example", "authentication": authentication } },
        "accounts": {
            "qnib-type1": account(json!({ "machine_type": "type2" })),
            "see-all": account(json!({ "machine_type": "unfiltered" })),
            "ops": account(json!({ "machine_types": ["type1"] })),
            "team-x": account(json!({})),
        },
    });
    if !default_machine_type.is_empty() {
        document["default_machine_type"] = json!(default_machine_type);
    }
    document
}

/// `type/source` of the answer to a tag; `unfiltered` for the registry's own answer; or the refusal's status.
fn claim(outcome: &Outcome) -> String {
    match (outcome.status, outcome.header("x-metahub-machine-type")) {
        (200, "") => "unfiltered".to_owned(),
        (200, name) => format!("{name}/{}", outcome.header("x-metahub-machine-type-source")),
        (status, _) => status.to_string(),
    }
}

fn by_login(config: &Config, user: &str) -> String {
    claim(&send_headers(config, &headers("GET", MANIFEST, &basic(user, "pw")), &demo()))
}

#[test]
fn accounts_say_a_machine_type_by_their_names_or_are_bound_to_one() {
    let rows = [
        ("qnib-type1", "type2/account", "bound, and an account of exactly that name wins"),
        ("qnib-type1-type1", "403", "a bound login is bound"),
        ("qnib-type1-type2", "type2/login", "naming what it is bound to is no harm"),
        ("see-all", "unfiltered", "by configuration"),
        ("team-x-unfiltered", "401", "never by a suffix"),
        ("ops-type1", "type1/login", "granted"),
        ("ops-type2", "403", "not granted"),
        ("team-x-type2", "type2/login", "any type"),
        ("team-x-big-type1", "big-type1/login", "a type with the separator"),
        ("ops", "403", "no type and no default"),
        ("ops-type3", "401", "an unknown type makes an unknown account"),
        ("-type1", "401", "empty account"),
    ];
    let config = parse(&document("accounts", ""));
    for (user, expected, why) in rows {
        assert_eq!(by_login(&config, user), expected, "{user}: {why}");
    }
}

#[test]
fn the_default_applies_to_whole_account_names() {
    let config = parse(&document("accounts", "type1"));
    assert_eq!(by_login(&config, "ops"), "type1/default");
    assert_eq!(by_login(&config, "team-x"), "type1/default");
    assert_eq!(by_login(&config, "qnib-type1"), "type2/account", "bound stays bound");
    let unfiltered = parse(&document("accounts", "unfiltered"));
    assert_eq!(by_login(&unfiltered, "ops"), "403", "the default is no grant");
    assert_eq!(by_login(&unfiltered, "team-x"), "403", "any machine type is not unfiltered");
}

#[test]
fn logins_without_accounts_say_a_machine_type_by_their_names() {
    // The login; then without and with a default, where nobody checks passwords and where the registry does.
    let rows = [
        ("x-type1", ["type1/login"; 4]),
        ("x-big-type1", ["big-type1/login"; 4]),
        ("x-type3", ["403", "403", "403", "type2/default"]),
        ("type1", ["403", "type2/default", "403", "type2/default"]),
        ("x", ["403", "type2/default", "403", "type2/default"]),
        ("-type1", ["403"; 4]),
        ("x-unfiltered", ["403", "403", "403", "type2/default"]),
    ];
    let configurations = ["none", "upstream"].map(|authentication| {
        ["", "type2"].map(|default_machine_type| parse(&document(authentication, default_machine_type)))
    });
    for (user, expected) in rows {
        let found: Vec<String> = configurations.iter().flatten().map(|config| by_login(config, user)).collect();
        assert_eq!(found, expected, "{user}");
    }
}
