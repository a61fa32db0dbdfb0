//! Descriptions of machines in paths, and in logins without an account.

use serde_json::json;

use super::driver::{basic, parse, send_headers};
use super::flow_access::{MANIFEST, demo, headers};
use super::flow_described::{by_login, document, told};

/// The path is the place of runtimes that can send no header, and has a notation of its own.
#[test]
fn a_path_describes_a_machine() {
    for authentication in ["accounts", "upstream", "none"] {
        let mut document = document(authentication);
        document["machine_type_from"]["path"] = json!("machines");
        document["machine_types"]["x__y"] = json!({ "features": ["cpu:haswell"] });
        let (config, upstream) = (parse(&document), demo());
        let send = |path: &str| send_headers(&config, &headers("GET", path, &basic("any", "pw")), &upstream);
        let rows = [
            ("cpu__icelake--nvcap__8.6--ib", "cpu=icelake,ib,nvcap=8.6 path"),
            ("ib--cpu__skylake", "type2 path"),
            ("x__y", "x__y path"),
            ("cpu__zen99", "400"),
            ("cpu__zen4--cpu__zen3", "400"),
            ("cpu__Zen4", "400"),
            ("cpu=zen4", "400"),
        ];
        for (text, expected) in rows {
            for lead in [format!("/v2/machines/{text}/"), format!("/machines/{text}/v2/")] {
                let outcome = send(&MANIFEST.replace("/v2/", &lead));
                assert_eq!(told(&outcome), expected, "{authentication} {lead}");
                let asked = outcome.callouts.iter().flat_map(|callout| &callout.headers);
                assert!(asked.filter(|(name, _)| *name == ":path").all(|(_, path)| path.starts_with("/v2/")), "{lead}");
                // Only a tag needs a machine type.
                assert_eq!(send(&lead).status, 200, "{authentication} {lead}");
            }
        }
        let refused = send(&MANIFEST.replace("/v2/", "/v2/machines/cpu__zen99/"));
        assert_eq!(refused.message(), "the path has cpu:zen99, which archspec does not know; correct the node");
    }
}

/// A description without an account is no login, and above all not the registry's user of that name.
#[test]
fn a_description_needs_an_account_before_it() {
    let rows = [("accounts", "401"), ("upstream", "403"), ("none", "403")];
    for (authentication, expected) in rows {
        let mut document = document(authentication);
        document["default_machine_type"] = json!("type2");
        let config = parse(&document);
        for user in ["-cpu=zen4", "-os=linux,cpu=zen4", "-cpu=zen99", "-os=linux-cpu=zen4"] {
            assert_eq!(by_login(&config, user), expected, "{authentication} {user}");
        }
        assert_eq!(by_login(&config, "any"), "type2 default", "{authentication}");
    }
    let mut document = document("upstream");
    document["default_machine_type"] = json!("type2");
    document["machine_type_from"]["login"] = json!(false);
    assert_eq!(by_login(&parse(&document), "-cpu=zen4"), "type2 default", "no login is split");
}
