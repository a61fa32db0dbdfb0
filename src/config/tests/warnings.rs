//! Configurations that work and do less than their author may believe.

use serde_json::json;

use super::{HASH, parse, with};

#[test]
fn warns_of_dear_hashes() {
    let config = parse(&with("/accounts/qnib-type1/password", json!(HASH.replace("$05$", "$08$")))).unwrap();
    assert!(
        matches!(config.warnings(), [warning] if warning.starts_with("accounts.qnib-type1")),
        "{:?}",
        config.warnings()
    );
}

/// An operator who moves from `accounts` to `upstream` and leaves the accounts would believe that they still log in.
#[test]
fn warns_of_accounts_that_no_registry_uses() {
    for authentication in ["upstream", "none"] {
        let mut document = with("/registries/registry/authentication", json!(authentication));
        let config = parse(&document).unwrap();
        let warned = matches!(config.warnings(), [warning] if warning.starts_with("accounts: no registry has"));
        assert!(warned, "{authentication}: {:?}", config.warnings());

        document.as_object_mut().unwrap().remove("accounts");
        assert!(parse(&document).unwrap().warnings().is_empty(), "{authentication}");

        let mut document = with("/registries/registry/authentication", json!(authentication));
        document["registries"]["other"] = json!({ "host": "other.example", "authentication": "accounts" });
        assert!(parse(&document).unwrap().warnings().is_empty(), "{authentication} beside accounts");
    }
}

/// A line that no machine fits is passed over without a word, so a typing error in it must be told.
#[test]
fn warns_of_lines_that_most_likely_fit_no_machine() {
    let line = json!({
        "tag": "{tag}-x", "os": "linus", "architecture": "amd46",
        "features": ["cpu:haswell|hasswell", "isa:avx2|avx22"],
    });
    let config = parse(&with("/images", json!({ "a/b": [{ "tag": "*", "variants": [line] }] }))).unwrap();
    let line = "images.a/b[0].variants[0]";
    let only = "only machine types of this very name match";
    assert_eq!(
        config.warnings(),
        [
            format!("{line}.features[0]: archspec does not know cpu:hasswell; {only}"),
            format!("{line}.features[1]: archspec does not know isa:avx22; {only}"),
            format!("{line}.os: linus is not an operating system that OCI names"),
            format!("{line}.architecture: amd46 is not an architecture that OCI names (amd64, arm64, …)"),
        ]
    );
    let line =
        json!({ "repository": "a/c", "architecture": "x86_64", "features": ["cpu:haswell|zen2", "isa:avx2", "a"] });
    let config = parse(&with("/images", json!({ "a/b": [{ "repositories": [line] }] }))).unwrap();
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
}
