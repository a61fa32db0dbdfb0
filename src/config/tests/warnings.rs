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

/// An operator who limits what clients may say would believe that they can say something.
#[test]
fn warns_of_limits_on_what_no_client_can_say() {
    let registry =
        json!({ "host": "h", "authentication": "accounts", "anonymous": "type1", "anonymous_machine_types": [] });
    let mut document = with("/registries/registry", registry);
    let config = parse(&document).unwrap();
    let [warning] = config.warnings() else { panic!("{:?}", config.warnings()) };
    let expected = "registries.registry.anonymous_machine_types: nothing in machine_type_from says what clients \
                    without a login are";
    assert_eq!(warning, expected);
    document["machine_type_from"] = json!({ "header": true });
    assert!(parse(&document).unwrap().warnings().is_empty());
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

/// PTX is compiled by the driver, which must be as new as the toolkit; what else a line asks for does not say so.
#[test]
fn warns_of_ptx_without_a_bound_for_the_driver() {
    for (features, warned) in [
        (json!(["gfx:gfx942", "nvcap:8.0|9.0+ptx"]), Some(1)),
        (json!(["nvcap:compute_90"]), Some(0)),
        (json!(["nvcap:8.0|9.0"]), None),
        (json!(["nvcap:9.0a+ptx"]), None),
        (json!(["nvcap:8.0|9.0+ptx", "cuda:12.4"]), None),
        (json!(["nvcap:9.0ptx", "driver:550.54"]), None),
    ] {
        let line = json!({ "tag": "{tag}-x", "features": features });
        let config = parse(&with("/images", json!({ "a/b": [{ "tag": "*", "variants": [line] }] }))).unwrap();
        let expected = warned.map(|position: u32| {
            format!(
                "images.a/b[0].variants[0].features[{position}]: an older driver does not compile PTX; ask for cuda or \
                 driver too"
            )
        });
        assert_eq!(config.warnings(), expected.as_slice(), "{features}");
    }
}

/// Lists of GPU targets are long: the limit is each alternative's, as in an index.
#[test]
fn the_alternatives_of_a_line_may_be_long_together() {
    let targets: Vec<String> = (0..32).map(|number| format!("gfx9{number:02}")).collect();
    let line = json!({ "tag": "{tag}-x", "features": [format!("gfx:{}", targets.join(":xnack+|"))] });
    assert!(parse(&with("/images", json!({ "a/b": [{ "tag": "*", "variants": [line] }] }))).is_ok());
}
