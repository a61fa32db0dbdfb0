//! Whole configurations: what is accepted, and which field a refusal names.

use serde_json::{Value, json};

mod machine_type_from;
mod warnings;

use super::source::tests::encoded;
use super::*;
use crate::select::OnNoMatch;
use crate::store::cache::Cache;

/// `htpasswd -nbB -C 5 user secret`
pub(super) const HASH: &str = "$2y$05$G0ZJwTQx2MUP8Q9yMmMbquMmTyiHnlNFpQiKlRlDTgmbDLmPuHWTi";

pub(super) fn parse(document: &Value) -> Result<Config, ConfigError> {
    Config::parse(document.to_string().as_bytes(), &|_| None)
}

pub(super) fn base() -> Value {
    json!({
        "machine_types": { "type1": { "features": ["cpu:broadwell"] }, "type2": { "features": ["cpu:skylake"] } },
        "registries": { "registry": { "host": "registry.example:5000", "authentication": "accounts" } },
        "accounts": {
            "qnib-type1": { "password": HASH, "machine_type": "type1" },
            "ops": {
                "passwords": [HASH, HASH], "machine_types": ["type1", "unfiltered"], "repositories": ["library/*"],
            },
        },
    })
}

/// The base configuration with the value at a JSON pointer replaced (or added).
pub(super) fn with(pointer: &str, value: Value) -> Value {
    let mut document = base();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    document
}

#[test]
fn the_base_is_accepted() {
    let config = parse(&base()).unwrap();
    assert_eq!(config.machine_type_count(), 2);
    let registry = config.registry("registry").unwrap();
    assert_eq!(registry.authentication, Authentication::Accounts);
    assert_eq!(registry.host, "registry.example:5000");
    assert!(config.registry("other").is_none());
    assert_eq!(config.on_no_match, OnNoMatch::Refuse);
    assert_eq!(config.username_separator, "-");
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    assert!(config.hash().starts_with("sha256:"));
}

/// Refused values, and the field that each refusal names. Each value replaces the base configuration's.
pub(super) fn refusals() -> Vec<(&'static str, Value, &'static str)> {
    let mut rows = refusals_elsewhere();
    rows.extend(machine_type_from::refusals());
    rows
}

fn refusals_elsewhere() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/surprise", json!(1), "surprise"),
        ("/machine_types", json!({}), "machine_types"),
        ("/machine_types", json!([]), "machine_types"),
        ("/machine_types/type1/featurez", json!([]), "machine_types.type1.featurez"),
        ("/machine_types/type1/features", json!("cpu:skylake"), "machine_types.type1.features"),
        ("/machine_types/type1/features", json!(["cpu:skylake", 7]), "machine_types.type1.features[1]"),
        ("/machine_types/type1/features", json!(["a", "nvcap:8.0|9.0"]), "machine_types.type1.features[1]"),
        ("/machine_types/type1/features", json!(["nvcap:9.0+ptx"]), "machine_types.type1.features[0]"),
        ("/machine_types/type1/features", json!(["gfx:gfx90a:xnack+:wave+"]), "machine_types.type1.features[0]"),
        ("/machine_types/type1/devices", json!({ "nvcap": "all" }), "machine_types.type1.devices.nvcap"),
        ("/machine_types/type1/devices", json!({ "infiniband": "any" }), "machine_types.type1.devices.infiniband"),
        ("/feature_rules", json!({ "isa": "exact" }), "feature_rules.isa"),
        ("/machine_types/Type1", json!({ "features": ["cpu:skylake"] }), "machine_types.Type1"),
        ("/machine_types/unfiltered", json!({ "features": ["cpu:skylake"] }), "machine_types.unfiltered"),
        ("/images", json!({ "a b": [{ "tag": "*" }] }), "images.a b"),
        ("/images", json!({ "a/*": [{ "tag": "*" }], "*/b": [{ "tag": "*" }] }), "images.a/*"),
        ("/images", json!({ "a": { "tag": "*" } }), "images.a"),
        ("/images", json!({ "a": [] }), "images.a"),
        ("/images", json!({ "a": [{}] }), "images.a[0].tag"),
        ("/images", json!({ "a": [{ "tag": 7 }] }), "images.a[0].tag"),
        ("/images", json!({ "a": [{ "tag": ["a b"] }] }), "images.a[0].tag[0]"),
        ("/images", json!({ "a": [{ "tag": "{a}-{a}" }] }), "images.a[0].tag"),
        ("/images", json!({ "a": [{ "tag": "*", "variants": [] }] }), "images.a[0].variants"),
        ("/images", json!({ "a": [{ "tag": "*", "variants": [{}] }] }), "images.a[0].variants[0].tag"),
        ("/images", json!({ "a": [{ "tag": "*", "variants": [{ "tag": "*-x" }] }] }), "images.a[0].variants[0].tag"),
        ("/images", json!({ "a": [{ "tag": "*", "variants": [{ "tag": "{b}-x" }] }] }), "images.a[0].variants[0].tag"),
        (
            "/images",
            json!({ "a": [{ "tag": "*", "variants": [{ "tag": "x", "features": [":"] }] }] }),
            "images.a[0].variants[0].features[0]",
        ),
        ("/images", json!({ "a": [{ "tag": "*", "assume": { "amd64": "v9" } }] }), "images.a[0].assume.amd64"),
        (
            "/images",
            json!({ "a": [{ "repositories": [{ "repository": "A" }] }] }),
            "images.a[0].repositories[0].repository",
        ),
        ("/images", json!({ "a": [{ "tag": "*", "repositories": [{ "repository": "b" }] }] }), "images.a[0]"),
        ("/registries", json!({}), "registries"),
        ("/registries/registry", json!({ "authentication": "none" }), "registries.registry.host"),
        ("/registries/registry/host", json!("https://registry.example"), "registries.registry.host"),
        ("/registries/registry/host", json!(""), "registries.registry.host"),
        ("/registries/registry", json!({ "host": "h" }), "registries.registry.authentication"),
        ("/registries/registry/authentication", json!("maybe"), "registries.registry.authentication"),
        ("/registries/registry/mode", json!("watch"), "registries.registry.mode"),
        ("/registries/registry/anonymous", json!("type9"), "registries.registry.anonymous"),
        ("/registries/registry/anonymous", json!("none"), "registries.registry.anonymous"),
        (
            "/registries/registry",
            json!({
                "host": "h", "authentication": "accounts", "anonymous": "type1",
                "credentials": { "username": "u", "password": "p" },
            }),
            "registries.registry.credentials",
        ),
        (
            "/registries/registry",
            json!({
                "host": "h", "authentication": "upstream", "anonymous": "type1",
                "credentials": { "username": "u", "password": "p", "public": true },
            }),
            "registries.registry.credentials",
        ),
        ("/registries/registry/token_service", json!({ "cluster": 1 }), "registries.registry.token_service.cluster"),
        (
            "/registries/registry/token_service",
            json!({ "cluster": "", "realm": "https://a/t" }),
            "registries.registry.token_service.cluster",
        ),
        (
            "/registries/registry/token_service",
            json!({ "cluster": "c", "realm": "r" }),
            "registries.registry.token_service.realm",
        ),
        (
            "/registries/registry/token_service",
            json!({ "cluster": "c", "realm": "ftp://a/t" }),
            "registries.registry.token_service.realm",
        ),
        (
            "/registries/registry/token_service",
            json!({ "cluster": "c", "realm": "https://a b/t" }),
            "registries.registry.token_service.realm",
        ),
        (
            "/registries/registry/token_service",
            json!({ "cluster": "c", "realm": "https:///t" }),
            "registries.registry.token_service.realm",
        ),
        (
            "/registries/registry/token_service",
            json!({ "cluster": "c", "realm": "https://a/t", "service": "a\nb" }),
            "registries.registry.token_service.service",
        ),
        ("/registries/registry/credentials", json!({ "user": "u" }), "registries.registry.credentials.user"),
        ("/registries/registry/credentials", json!({ "username": "u" }), "registries.registry.credentials.password"),
        ("/registries/registry/credentials", json!({ "password": "p" }), "registries.registry.credentials.username"),
        (
            "/registries/registry/credentials",
            json!({ "username": "u", "username_env": "U", "password": "p" }),
            "registries.registry.credentials.username",
        ),
        (
            "/registries/registry/credentials",
            json!({ "username": "u:v", "password": "p" }),
            "registries.registry.credentials.username",
        ),
        (
            "/registries/registry/credentials",
            json!({ "username": "u", "password": "hunter2\n" }),
            "registries.registry.credentials.password",
        ),
        (
            "/registries/registry/credentials",
            json!({ "username": "u", "password_env": "ABSENT" }),
            "registries.registry.credentials.password_env",
        ),
        (
            "/registries/registry",
            json!({ "host": "h", "authentication": "none", "credentials": { "username": "u", "password": "p" } }),
            "registries.registry.credentials",
        ),
        (
            "/registries/registry",
            json!({
                "host": "h", "authentication": "upstream",
                "credentials": { "username": "u", "password": "p", "public": true },
            }),
            "registries.registry.credentials",
        ),
        ("/registries/registry/default_namespace", json!("Library"), "registries.registry.default_namespace"),
        ("/registries/registry/prefix", json!("cache/"), "registries.registry.prefix"),
        ("/registries/registry/accept_jwt", json!(true), "registries.registry.accept_jwt"),
        (
            "/registries/registry",
            json!({ "host": "h", "authentication": "none", "accept_jwt": true }),
            "registries.registry.accept_jwt",
        ),
        ("/public_url", json!("hub.example"), "public_url"),
        ("/public_url", json!("ftp://hub.example"), "public_url"),
        ("/public_url", json!("https://hub.example/"), "public_url"),
        ("/public_url", json!("https://hub.example/metahub"), "public_url"),
        ("/public_url", json!("https://me@hub.example"), "public_url"),
        ("/public_url", json!("https://"), "public_url"),
        ("/token_key_env", json!("KEY"), "token_key_env"),
        ("/token_lifetime", json!("29s"), "token_lifetime"),
        ("/token_lifetime", json!("3601s"), "token_lifetime"),
        ("/token_lifetime", json!("60"), "token_lifetime"),
        ("/events", json!({}), "events.cluster"),
        ("/events", json!({ "cluster": "builds" }), "events.host"),
        ("/events", json!({ "cluster": "", "host": "h" }), "events.cluster"),
        ("/events", json!({ "cluster": "builds", "host": "https://h" }), "events.host"),
        ("/events", json!({ "cluster": "builds", "host": "h", "path": "events" }), "events.path"),
        ("/events", json!({ "cluster": "builds", "host": "h", "path": "/a b" }), "events.path"),
        ("/events", json!({ "cluster": "builds", "host": "h", "path": "/a#b" }), "events.path"),
        ("/events", json!({ "cluster": "builds", "host": "h", "url": "/" }), "events.url"),
        ("/events", json!({ "cluster": "builds", "host": "h", "header_env": "ABSENT" }), "events.header_env"),
        ("/cache", json!({ "bytes": "64MB" }), "cache.bytes"),
        ("/cache", json!({ "bytes": 0, "tag_ttl": "1s" }), "cache.bytes"),
        ("/cache", json!({ "tag_ttl": "1d" }), "cache.tag_ttl"),
        ("/cache", json!({ "serve_stale_on_error": "-1s" }), "cache.serve_stale_on_error"),
        ("/accounts", json!({}), "accounts"),
        ("/accounts/a:b", json!({ "password": HASH }), "accounts.a:b"),
        ("/accounts/ops/password", json!(HASH), "accounts.ops"),
        ("/accounts/ops/passwords", json!([]), "accounts.ops"),
        ("/accounts/ops/passwords", json!([HASH, "hunter2"]), "accounts.ops.passwords[1]"),
        ("/accounts/qnib-type1/password", json!("hunter2"), "accounts.qnib-type1.password"),
        ("/accounts/qnib-type1/password", json!(HASH.replace("$05$", "$11$")), "accounts.qnib-type1.password"),
        ("/accounts/qnib-type1/machine_type", json!("type3"), "accounts.qnib-type1.machine_type"),
        ("/accounts/ops/machine_type", json!("type1"), "accounts.ops"),
        ("/accounts/ops/machine_types", json!(["type1", "type9"]), "accounts.ops.machine_types[1]"),
        ("/accounts/ops/repositories", json!(["library/[a-z]"]), "accounts.ops.repositories[0]"),
        ("/accounts/ops/repositories", json!(null), "accounts.ops.repositories"),
        ("/accounts/ops/machine_types", json!(null), "accounts.ops.machine_types"),
        ("/accounts/qnib-type1/machine_type", json!(null), "accounts.qnib-type1.machine_type"),
        ("/accounts/ops/passwords", json!([HASH, HASH, HASH, HASH, HASH]), "accounts.ops.passwords"),
        ("/username_separator", json!(""), "username_separator"),
        ("/username_separator", json!(":"), "username_separator"),
        ("/default_machine_type", json!("type3"), "default_machine_type"),
        ("/machine_types/described", json!({ "features": ["cpu:skylake"] }), "machine_types.described"),
        ("/on_no_match", json!("guess"), "on_no_match"),
        ("/index_by_digest", json!("maybe"), "index_by_digest"),
    ]
}

#[test]
fn every_refusal_names_its_field() {
    for (pointer, value, field) in refusals() {
        let document = with(pointer, value.clone());
        let error = parse(&document).unwrap_err();
        assert_eq!(Config::parse(&encoded(&document), &|_| None).unwrap_err(), error, "as a Struct: {document}");
        assert_eq!(error.field, field, "{pointer} = {value}: {error}");
        assert!(error.to_string().starts_with(&format!("{field}: ")), "{error}");
        assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("$2y$"), "a secret in {error}");
    }
}

#[test]
fn a_secret_of_the_wrong_type_is_not_quoted() {
    let error = parse(&with("/accounts/qnib-type1/passwords", json!("hunter2"))).unwrap_err();
    assert_eq!(error.field, "accounts.qnib-type1.passwords");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let error = parse(&with("/accounts/qnib-type1/password", json!(4711))).unwrap_err();
    assert!(!error.to_string().contains("4711"), "{error}");
    let secrets =
        [json!(4711), json!(47.11), json!(-4711), json!(["hunter2"]), json!({ "hunter2": "4711" }), json!(true)];
    for secret in secrets {
        let credentials = json!({ "username": "u", "password": secret });
        let lists = [json!(secret), json!([HASH, secret])].map(|passwords| ("/accounts/ops/passwords", passwords));
        let single = [("/accounts/ops/password", secret), ("/registries/registry/credentials", credentials)];
        for (pointer, value) in single.into_iter().chain(lists) {
            let document = with(pointer, value);
            for bytes in [document.to_string().into_bytes(), encoded(&document)] {
                let Err(error) = Config::parse(&bytes, &|_| None) else { panic!("{document}") };
                assert!(error.field.contains("password"), "{error}");
                let secret =
                    ["hunter2", "4711", "47.11", "$2y$"].iter().find(|text| error.to_string().contains(**text));
                assert_eq!(secret, None, "{error}");
            }
        }
    }
}

#[test]
fn the_cache_is_on_unless_told_otherwise() {
    assert_eq!(parse(&with("/cache", json!({}))).unwrap().cache(), Cache::default());
    let cache = json!({ "bytes": "1GiB", "tag_ttl": "30s", "serve_stale_on_error": "1h" });
    let expected = Cache { bytes: 1 << 30, tag_ttl: 30, serve_stale_on_error: 3600, described: false };
    assert_eq!(parse(&with("/cache", cache)).unwrap().cache(), expected);
    assert!(!parse(&with("/cache", json!({ "bytes": 0 }))).unwrap().cache().is_on());
}

#[test]
fn ambiguous_logins_are_refused() {
    let accounts = json!({ "a": { "password": HASH }, "a-b": { "password": HASH } });
    let mut document = with("/accounts", accounts);
    let machine_type = json!({ "features": ["cpu:skylake"] });
    document["machine_types"] = json!({ "c": machine_type, "b-c": machine_type });
    let error = parse(&document).unwrap_err();
    assert_eq!(error.field, "accounts.a-b");
    assert!(error.message.contains("a-b-c"), "{error}");
    document["username_separator"] = json!("+");
    assert!(parse(&document).is_ok(), "another separator resolves it");
    document["username_separator"] = json!("-");
    document["machine_types"] = json!({ "c": machine_type, "x-c": machine_type });
    assert!(parse(&document).is_ok(), "no login has two readings");
}

#[test]
fn credentials_come_from_the_environment_or_inline() {
    let environment = |name: &str| (name == "HUB_TOKEN").then(|| "from outside".to_owned());
    let document = with("/registries/registry/credentials", json!({ "username": "me", "password_env": "HUB_TOKEN" }));
    let config = Config::parse(document.to_string().as_bytes(), &environment).unwrap();
    let credentials = config.registry("registry").unwrap().credentials.clone().unwrap();
    assert_eq!((credentials.user.as_str(), credentials.password.expose()), ("me", "from outside"));
    let error = parse(&document).unwrap_err();
    assert!(error.message.contains("HUB_TOKEN") && error.message.contains("host_env_keys"), "{error}");
    let inline = with(
        "/registries/registry",
        json!({
            "host": "h", "authentication": "none",
            "credentials": { "username": "me", "password": "pw", "public": true },
        }),
    );
    assert!(parse(&inline).unwrap().registry("registry").unwrap().credentials.is_some());
}

#[test]
fn a_realm_is_taken_apart() {
    let realm = |realm: &str| {
        let config =
            parse(&with("/registries/registry/token_service", json!({ "cluster": "auth", "realm": realm }))).unwrap();
        let service = config.registry("registry").unwrap().token_service.clone().unwrap();
        format!("{} {}", service.host, service.path)
    };
    assert_eq!(realm("https://auth.docker.io/token"), "auth.docker.io /token");
    assert_eq!(realm("http://127.0.0.1:5001/a/b?c=d"), "127.0.0.1:5001 /a/b?c=d");
    assert_eq!(realm("https://quay.example"), "quay.example /");
}

#[test]
fn anonymous_clients_get_a_view_or_nothing() {
    let anonymous = |value: &str| {
        let config = parse(&with("/registries/registry/anonymous", json!(value))).unwrap();
        let view = config.registry("registry").unwrap().anonymous.clone();
        view.map(|view| view.name().to_owned())
    };
    assert_eq!(anonymous("refuse"), None);
    assert_eq!(anonymous("type1").as_deref(), Some("type1"));
    assert_eq!(anonymous("unfiltered").as_deref(), Some("unfiltered"));
    assert!(parse(&base()).unwrap().registry("registry").unwrap().anonymous.is_none());
    let public = json!({
        "host": "h", "authentication": "accounts", "anonymous": "type1",
        "credentials": { "username": "u", "password": "p", "public": true },
    });
    assert!(parse(&with("/registries/registry", public)).is_ok());
    let jwt = with("/registries/registry", json!({ "host": "h", "authentication": "upstream", "accept_jwt": true }));
    assert!(parse(&jwt).unwrap().registry("registry").unwrap().accept_jwt);
}

#[test]
fn the_public_url_is_a_scheme_and_a_host() {
    for url in ["https://hub.example", "https://hub.example:8443", "http://127.0.0.1:8080", "http://[::1]:80"] {
        let config = parse(&with("/public_url", json!(url))).unwrap();
        assert_eq!((config.public_url.as_deref(), config.warnings()), (Some(url), [].as_slice()));
    }
    let config = parse(&with("/public_url", json!("http://hub.example"))).unwrap();
    assert!(matches!(config.warnings(), [warning] if warning.starts_with("public_url")), "{:?}", config.warnings());
}

#[test]
fn the_token_key_comes_from_the_environment() {
    let read = |value: Option<&str>| {
        let environment = |name: &str| value.filter(|_| name == "SEAL").map(str::to_owned);
        Config::parse(with("/token_key_env", json!("SEAL")).to_string().as_bytes(), &environment)
    };
    let long = "qRkxRBRBWTiX03fTGAXZ5BLXHzJ9Po0+RkxS0n6uXIM=";
    assert!(read(Some(long)).unwrap().token_key.is_some());
    for (value, says) in [(None, "host_env_keys"), (Some("hunter2"), "32 characters"), (Some(""), "32 characters")] {
        let error = read(value).unwrap_err();
        assert_eq!(error.field, "token_key_env");
        assert!(error.message.contains(says) && !error.message.contains("hunter2"), "{error}");
    }
    assert!(!format!("{:?}", read(Some(long)).unwrap()).contains(long));
}

#[test]
fn an_index_that_is_given_out_must_not_be_refused() {
    let mut document = with("/index_by_digest", json!("refuse"));
    for (on_no_match, accepted) in [("refuse", true), ("deny", true), ("unfiltered", false)] {
        document["on_no_match"] = json!(on_no_match);
        let refused = parse(&document).err().map(|error| error.field);
        assert_eq!(refused, (!accepted).then(|| "index_by_digest".to_owned()), "{on_no_match}");
    }
    document["index_by_digest"] = json!("pass");
    assert!(parse(&document).is_ok());
}
