//! The types that a field may have, in both forms, and the messages that refuse others.

use serde_json::json;

use super::super::Config;
use super::super::source::tests::encoded;
use super::super::tests::{base, parse, with};

/// serde's own messages use the words of Rust, and quote the value.
#[test]
fn wrong_types_are_told_in_the_words_of_yaml() {
    let rows = [
        ("/machine_types", json!(null), "machine_types: expected a map, not null"),
        ("/machine_types/type1", json!(["os"]), "machine_types.type1: expected a map, not a list"),
        ("/machine_types/type1", json!(true), "machine_types.type1: expected a map, not true or false"),
        ("/machine_types/type1/os", json!(1), "machine_types.type1.os: expected a string, not a number"),
        ("/machine_types/type1/prefer", json!("cpu"), "machine_types.type1.prefer: expected a list, not a string"),
        ("/machine_types/type1/features", json!([{}]), "machine_types.type1.features[0]: expected a string, not a map"),
        (
            "/machine_types/type1/feature",
            json!([]),
            "machine_types.type1.feature: unknown key; expected one of os, os_version, architecture, variant, \
             features, devices, prefer, run_32_bit",
        ),
        ("/images", json!({ "a/b": [{ "variants": [{}, []] }] }), "images.a/b[0].variants[0].tag: missing"),
        (
            "/images",
            json!({ "a/b": [{ "assume": { "[]": [] } }] }),
            "images.a/b[0].assume.[]: expected a string, not a list",
        ),
        ("/registries", json!([]), "registries: expected a map, not a list"),
        (
            "/registries/registry/accept_jwt",
            json!("yes"),
            "registries.registry.accept_jwt: expected true or false, not a string",
        ),
        (
            "/registries/registry/authentication",
            json!("some"),
            "registries.registry.authentication: must be accounts, upstream or none",
        ),
        (
            "/registries/registry/authentication",
            json!(["none"]),
            "registries.registry.authentication: expected a string, not a list",
        ),
        (
            "/registries/registry/token_service",
            json!({ "realm": "https://a/t" }),
            "registries.registry.token_service.cluster: missing",
        ),
        (
            "/registries/registry/token_service",
            json!({ "cluster": null, "realm": "https://a/t" }),
            "registries.registry.token_service.cluster: expected a string, not null",
        ),
        ("/accounts/ops/machine_types", json!(null), "accounts.ops.machine_types: expected a list, not null"),
        ("/accounts/ops/passwords", json!("hunter2"), "accounts.ops.passwords: expected a list, not a string"),
        ("/on_no_match", json!("guess"), "on_no_match: must be refuse, deny or unfiltered"),
        ("/cache", json!({ "bytes": [] }), "cache.bytes: not a size such as 64MiB, between 1MiB and 16GiB, or 0"),
        ("/cache", json!({ "bytes": 0.5 }), "cache.bytes: not a size such as 64MiB, between 1MiB and 16GiB, or 0"),
        ("/cache", json!({ "tag_ttl": 30 }), "cache.tag_ttl: expected a string, not a number"),
        ("/token_lifetime", json!(60), "token_lifetime: expected a string, not a number"),
        ("/token_lifetime", json!("61m"), "token_lifetime: not a time such as 30s, 5m or 1h, from 30s to 1h"),
    ];
    for (pointer, value, message) in rows {
        let document = with(pointer, value);
        for bytes in [document.to_string().into_bytes(), encoded(&document)] {
            assert_eq!(Config::parse(&bytes, &|_| None).unwrap_err().to_string(), message);
        }
    }
}

#[test]
fn tickets_last_as_long_as_configured() {
    assert_eq!(parse(&base()).unwrap().token_lifetime, 60);
    for (text, seconds) in [("30s", 30), ("60s", 60), ("5m", 300), ("60m", 3600), ("1h", 3600)] {
        assert_eq!(parse(&with("/token_lifetime", json!(text))).unwrap().token_lifetime, seconds, "{text}");
    }
}

#[test]
fn null_is_absent_where_nothing_is_restricted() {
    let nothing = json!(null);
    for pointer in ["/username_separator", "/public_url", "/cache", "/on_no_match", "/machine_types/type1/os"] {
        assert!(parse(&with(pointer, nothing.clone())).is_ok(), "{pointer}");
    }
    assert!(parse(&with("/cache", json!({ "bytes": null, "tag_ttl": null }))).is_ok());
    for pointer in ["/feature_rules", "/accounts", "/machine_types/type1/features", "/accounts/ops/repositories"] {
        assert!(parse(&with(pointer, nothing.clone())).is_err(), "{pointer}");
    }
}

/// A Struct has doubles only, and a generator of JSON may write them so.
#[test]
fn numbers_may_be_written_as_doubles() {
    for bytes in [json!(4_194_304), json!(4_194_304.0)] {
        let document = with("/cache", json!({ "bytes": bytes }));
        for bytes in [document.to_string().into_bytes(), encoded(&document)] {
            assert_eq!(Config::parse(&bytes, &|_| None).unwrap().cache().bytes, 4 << 20, "{document}");
        }
    }
}
