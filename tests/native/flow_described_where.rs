//! Descriptions of machines in paths, and in logins without an account.

use metahub::flow::{Arrival, Step, WorkerState, begin};
use metahub::store::in_memory::Map;
use metahub::text::headers::Headers;
use serde_json::json;

use super::driver::{basic, parse, send_headers};
use super::flow_access::{MANIFEST, demo, headers};
use super::flow_described::{by_login, document, told, with_header};
use super::scripted_registry::HeaderList;

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

/// The names of machine types are for those who may have them.
#[test]
fn a_description_finds_no_name_for_those_who_may_not_have_it() {
    let mut document = document("accounts");
    document["machine_types"]["secret"] = json!({ "features": ["cpu:icelake"] });
    document["registries"]["registry"]["anonymous_machine_types"] = json!(["type2"]);
    let config = parse(&document);
    for account in ["listed", "bound"] {
        let outcome = send_headers(&config, &with_header(&basic(account, "pw"), "CPU=icelake"), &demo());
        assert_eq!(outcome.status, 403, "{account}");
        assert!(outcome.message().contains("\"cpu=icelake\""), "{}", outcome.message());
        let shown = [vec![outcome.message()], outcome.lines].concat();
        assert!(!shown.iter().any(|text| text.contains("secret")), "{shown:?}");
    }
    let outcome = send_headers(&config, &with_header(&basic("any", "pw"), "cpu=icelake"), &demo());
    assert_eq!(told(&outcome), "secret header");
}

/// Of several that offer the same, a description is the one that has its keys in its own order, and nothing more.
#[test]
fn a_description_is_the_machine_type_that_is_most_like_it() {
    let mut document = document("none");
    document["machine_types"]["a-first"] = json!({ "features": ["ib", "cpu:zen4"], "prefer": ["ib"] });
    document["machine_types"]["b-same"] = json!({ "features": ["cpu:zen4", "ib"] });
    let pull = |config: &_| told(&send_headers(config, &with_header(&basic("x", "pw"), "ib,cpu=zen4"), &demo()));
    assert_eq!(pull(&parse(&document)), "b-same header");
    document["machine_types"].as_object_mut().unwrap().remove("b-same");
    assert_eq!(pull(&parse(&document)), "a-first header", "the first that offers the same");
}

/// A header that two parties have written is refused, although the login may say the same.
#[test]
fn what_one_place_says_is_not_read_for_another() {
    let config = parse(&document("none"));
    let (memory, worker) = (Map::default(), WorkerState::default());
    let send = |headers: &HeaderList| {
        let arrival = Arrival { cluster: Some("registry"), headers: Headers(headers), address: &|| None };
        match begin(&config, &memory, &worker, arrival).step {
            Step::Reply(reply) => reply.status,
            _ => 0,
        }
    };
    let login = headers("GET", MANIFEST, &basic("x-cpu=icelake,type2", "pw"));
    assert_eq!(send(&login), 0, "read, and let in");
    assert_eq!(send(&with_header(&basic("x", "pw"), "cpu=icelake,type2")), 400);
}
