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
