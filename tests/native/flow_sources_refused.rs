//! Machine types that are refused, and the requests that need none.

use serde_json::{Value, json};

use super::driver::{basic, parse};
use super::flow_access::{MANIFEST, demo};
use super::flow_jwt::jwt;
use super::flow_sources::{Client, HEADER, claim, document, ticket};
use super::outcome::Outcome;
use super::scripted_registry::{Response, ScriptedRegistry};

/// A digest that the registry has.
fn digest(upstream: &ScriptedRegistry) -> String {
    upstream.by_digest.keys().filter(|key| !key.is_empty()).min().unwrap().clone()
}

/// The same without a default, so that nothing but a place says a machine type.
fn without_default(authentication: &str) -> Value {
    let mut document = document(authentication);
    document.as_object_mut().unwrap().remove("default_machine_type");
    document
}

/// Reads that need no machine type, once a place may say one.
fn others(upstream: &ScriptedRegistry) -> Vec<String> {
    let digest = digest(upstream);
    vec![
        "/v2/".to_owned(),
        format!("/v2/qnib/bench/manifests/{digest}"),
        format!("/v2/qnib/bench/blobs/{digest}"),
        "/v2/qnib/bench/tags/list".to_owned(),
        format!("/v2/qnib/bench/referrers/{digest}"),
        "/metahub/v1/machine-types".to_owned(),
        "/metahub/v1/explain?image=qnib/bench:latest".to_owned(),
    ]
}

#[test]
fn every_refusal_of_a_machine_type_names_its_place() {
    let long = vec![b'x'; 1025];
    let rows: Vec<(&str, Vec<&[u8]>, u16, &str)> = vec![
        (
            "user",
            vec![b"type9"],
            403,
            "the header X-MetaHub-Machine-Type says machine type \"type9\", which MetaHub does not know; correct the \
             node",
        ),
        ("user", vec![b"unfiltered"], 403, "says machine type \"unfiltered\", which MetaHub does not know"),
        ("user-login", vec![b"type9"], 403, "which MetaHub does not know"),
        ("user", vec![b""], 400, "the header X-MetaHub-Machine-Type is empty; correct the node"),
        ("user", vec![b" \t"], 400, "is empty"),
        ("user", vec![b"type1", b"type2"], 400, "is there more than once, with different values"),
        ("user", vec![b"type1", b""], 400, "is empty"),
        ("user", vec![b"type1,type2"], 400, "is no machine type's name"),
        ("user", vec![b"type1; drop"], 400, "is no machine type's name"),
        ("user", vec![b"type\xff"], 400, "has characters that are not printable ASCII"),
        ("user", vec![b"type\x01"], 400, "has characters that are not printable ASCII"),
        ("user", vec![&long], 400, "is longer than 1024 bytes"),
        (
            "some",
            vec![b"type2"],
            403,
            "account \"some\" may not pull as machine type \"type2\", which the header \
             X-MetaHub-Machine-Type says; ask for it",
        ),
        (
            "bound",
            vec![b"type2"],
            403,
            "account \"bound\" is bound to machine type \"type1\", but the header \
             X-MetaHub-Machine-Type says \"type2\"; use the account of this machine",
        ),
        ("whole", vec![b"type2"], 403, "account \"whole\" is bound to machine type \"unfiltered\""),
    ];
    let (config, upstream) = (parse(&document("accounts")), demo());
    for (user, node, status, words) in rows {
        for authorization in [basic(user, "pw"), ticket(&config, &basic(user, "pw"), &upstream)] {
            let client = Client::new(&authorization).node(&node);
            let outcome = client.get(&config, MANIFEST, &upstream);
            let (code, counter) =
                if status == 403 { ("DENIED", "metahub_denied") } else { ("NAME_INVALID", "metahub_refused") };
            assert_eq!((outcome.status, outcome.code().as_str()), (status, code), "{user} {node:?}");
            assert!(outcome.message().contains(words), "{}", outcome.message());
            assert!(outcome.counters.contains(&counter), "{:?}", outcome.counters);
            assert_eq!(outcome.counters.contains(&"metahub_disagreed"), words.contains("bound"), "{user} {node:?}");
            let [line] = outcome.lines.as_slice() else { panic!("{:?}", outcome.lines) };
            let expected = format!("{status} {} (login {user:?}, registry registry.example)", outcome.message());
            assert_eq!(*line, expected);
            assert!(outcome.callouts.is_empty() && outcome.authorization.is_none(), "nothing goes upstream");
            for path in others(&upstream) {
                assert_eq!(client.get(&config, &path, &upstream).status, 200, "{user} {node:?} {path}");
            }
        }
    }
    let host = |host| Client::new(&basic("user", "pw")).host(host).get(&config, MANIFEST, &upstream);
    let outcome = host("type9.nodes.example");
    let expected = "the host name says machine type \"type9\", which MetaHub does not know; correct the node";
    assert_eq!((outcome.status, outcome.message().as_str()), (403, expected));
    assert_eq!(host("whole.example").status, 403, "any machine type is not unfiltered");
    let some = Client::new(&basic("some", "pw")).address("10.0.0.1").get(&config, MANIFEST, &upstream);
    let expected =
        "account \"some\" may not pull as machine type \"address\", which the client's address says; ask for it";
    assert_eq!((some.status, some.message().as_str()), (403, expected));
}

#[test]
fn only_a_tag_needs_a_machine_type_once_a_place_may_say_one() {
    for authentication in ["accounts", "upstream", "none"] {
        let mut document = without_default(authentication);
        let (config, upstream) = (parse(&document), demo());
        document.as_object_mut().unwrap().remove("machine_type_from");
        let silent = parse(&document);
        let login = basic("user", "pw");
        let mut logins = vec![login.clone(), ticket(&config, &login, &upstream)];
        if authentication == "upstream" {
            logins.push(jwt(r#"{"sub":"user"}"#));
        }
        for authorization in logins {
            let client = Client::new(&authorization);
            let tag = client.get(&config, MANIFEST, &upstream);
            let expected = "the login \"user\" names no machine type that MetaHub knows; log in as \
                            <account>-<machine type>, or send the header X-MetaHub-Machine-Type";
            assert_eq!((tag.status, tag.code(), tag.message()), (403, "DENIED".to_owned(), expected.to_owned()));
            for path in others(&upstream) {
                let outcome = client.get(&config, &path, &upstream);
                assert_eq!((outcome.status, outcome.header(HEADER)), (200, ""), "{authentication} {path}");
                let own = path.starts_with("/metahub");
                let without = client.get(&silent, &path, &upstream).status;
                assert_eq!(without, if own { 200 } else { 403 }, "the login alone says it: {authentication} {path}");
            }
            assert_eq!(claim(&client.clone().node(&[b"type1"]).get(&config, MANIFEST, &upstream)), "type1/header");
        }
    }
}

#[test]
fn a_ping_tells_the_machine_type_if_there_is_one() {
    let (config, upstream) = (parse(&without_default("accounts")), demo());
    let client = Client::new(&basic("user", "pw"));
    for (node, expected) in [(&b"type2"[..], "type2"), (b"type9", ""), (b"", "")] {
        let outcome = client.clone().node(&[node]).get(&config, "/v2/", &upstream);
        assert_eq!((outcome.status, outcome.header(HEADER)), (200, expected));
    }
}

/// A typo must not get a wrong image: where nobody checks passwords, neither address nor default stands in for it.
#[test]
fn a_name_that_looks_as_if_it_said_a_type_gets_no_tag_by_address_or_default() {
    let upstream = demo();
    let (none, upstream_mode) = (parse(&document("none")), parse(&document("upstream")));
    let typo = Client::new(&basic("user-tpye1", "pw")).address("10.0.0.1");
    assert_eq!(typo.claim(&none), "403");
    assert_eq!(typo.claim(&upstream_mode), "address/address", "a user of the registry's");
    assert_eq!(Client::new(&basic("-type1", "pw")).address("10.0.0.1").claim(&upstream_mode), "403");
    for client in [typo.clone().node(&[b"type1"]), typo.clone().host("type1.nodes.example")] {
        assert!(client.claim(&none).starts_with("type1/"));
    }
    for path in others(&upstream) {
        assert_eq!(typo.get(&none, &path, &upstream).status, 200, "{path}");
    }
}

/// Otherwise guessing would tell the names of machine types.
#[test]
fn nothing_is_told_of_machine_types_before_the_login_is_accepted() {
    let told =
        |outcome: &Outcome| (outcome.status, outcome.header("www-authenticate").to_owned(), outcome.body.clone());
    let nodes: [&[u8]; 4] = [b"type1", b"type9", b"", b"type1,type2"];
    for authentication in ["accounts", "upstream"] {
        let (config, mut upstream) = (parse(&document(authentication)), demo());
        let refused = Response::new(401, "text/plain", "");
        (upstream.index, upstream.refuses_own_head) = (Some(refused.clone()), Some(401));
        upstream.by_digest.insert(String::new(), Some(refused));
        for user in ["user", "user-login", "user-type9", "bound"] {
            let wrong = |node: &[u8]| {
                let outcome = Client::new(&basic(user, "wrong")).node(&[node]).get(&config, MANIFEST, &upstream);
                assert!(!outcome.counters.contains(&"metahub_denied"), "{:?}", outcome.counters);
                told(&outcome)
            };
            let (status, challenge, _) = wrong(nodes[0]);
            assert_eq!((status, challenge.as_str()), (401, "Basic realm=\"MetaHub\""), "{authentication} {user}");
            assert!(nodes.iter().all(|node| wrong(node) == wrong(nodes[0])), "{authentication} {user}");
        }
    }
    let (config, upstream) = (parse(&document("upstream")), demo());
    for (node, status) in [(nodes[1], 403), (nodes[2], 400), (nodes[3], 400)] {
        let outcome = Client::new(&basic("user", "pw")).node(&[node]).get(&config, MANIFEST, &upstream);
        assert_eq!((outcome.status, outcome.callouts.len()), (status, 1), "the registry is asked first");
    }
}

#[test]
fn a_repository_that_the_machine_type_chooses_needs_one_for_every_read() {
    let mut document = without_default("accounts");
    document["images"] =
        json!({ "qnib/bench": [{ "repositories": [{ "repository": "qnib/rocm", "features": ["cpu:skylake"] }] }] });
    let (config, upstream) = (parse(&document), demo());
    let client = Client::new(&basic("user", "pw"));
    for path in others(&upstream).iter().filter(|path| path.starts_with("/v2/q")) {
        let outcome = client.get(&config, path, &upstream);
        assert_eq!(outcome.status, 403, "{path}");
        assert!(outcome.message().contains("names no machine type"), "{}", outcome.message());
        assert_eq!(client.clone().node(&[b"type9"]).get(&config, path, &upstream).status, 403, "{path}");
        assert_eq!(client.clone().node(&[b"type2"]).get(&config, path, &upstream).status, 200, "{path}");
        let other = path.replace("qnib/bench", "qnib/other");
        assert_eq!(client.get(&config, &other, &upstream).status, 200, "{other}");
    }
}

/// Only `unfiltered` is exempt from the rule for indexes by digest.
#[test]
fn a_client_without_a_machine_type_is_one_for_an_index_by_digest() {
    for rule in ["refuse", "pass"] {
        let mut document = without_default("accounts");
        document["index_by_digest"] = json!(rule);
        let (config, mut upstream) = (parse(&document), demo());
        let index = upstream.index.clone().unwrap();
        let digest = metahub::oci::digest::Digest::of(&index.body).to_string();
        upstream.by_digest.insert(digest.clone(), Some(index));
        let path = format!("/v2/qnib/bench/manifests/{digest}");
        let user = Client::new(&basic("user", "pw"));
        let anonymous = Client::new(&ticket(&config, "", &upstream));
        let whole = Client::new(&basic("whole", "pw"));
        for (client, judged) in [
            (user.clone(), true),
            (user.clone().node(&[b"type1"]), true),
            (user.node(&[b"type9"]), true),
            (anonymous.clone(), true),
            (anonymous.node(&[b"unfiltered"]), true),
            (whole, false),
        ] {
            let outcome = client.get(&config, &path, &upstream);
            let expected = if judged && rule == "refuse" { 403 } else { 200 };
            let counted = outcome.counters.contains(&"metahub_index_by_digest");
            assert_eq!((outcome.status, counted), (expected, judged), "{rule} {:?}", client.node);
        }
    }
}

#[test]
fn anonymous_clients_may_be_what_the_registry_lets_them() {
    for authentication in ["accounts", "upstream", "none"] {
        let rows: [(Value, [&str; 4], usize); 3] = [
            (json!(null), ["type1/header", "type2/header", "host/host", "address/address"], 8),
            (json!(["type1", "host"]), ["type1/header", "403", "host/host", "403"], 3),
            (json!([]), ["403", "403", "403", "403"], 1),
        ];
        for (limit, expected, explained) in rows {
            let mut document = document(authentication);
            if !limit.is_null() {
                document["registries"]["registry"]["anonymous_machine_types"] = limit;
            }
            let (config, upstream) = (parse(&document), demo());
            let client = Client::new(&ticket(&config, "", &upstream));
            let clients = [
                client.clone().node(&[b"type1"]),
                client.clone().node(&[b"type2"]),
                client.clone().host("host.example"),
                client.clone().address("10.0.0.1"),
            ];
            let pull = |client: &Client| client.get(&config, MANIFEST, &upstream);
            assert_eq!(clients.each_ref().map(|client| claim(&pull(client))), expected, "{authentication}");
            assert_eq!(claim(&pull(&client)), "anonymous/anonymous");
            assert_eq!(claim(&pull(&client.clone().node(&[b"anonymous"]))), "anonymous/header", "theirs anyhow");
            let unknown = pull(&client.clone().node(&[b"type9"]));
            assert!(unknown.status == 403 && unknown.header("www-authenticate").is_empty());
            let body = client.get(&config, "/metahub/v1/machine-types", &upstream).body;
            let names: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(names["machine_types"].as_array().unwrap().len(), explained, "{authentication} {names}");
            let explain = |name| {
                let path = format!("/metahub/v1/explain?image=qnib/bench:latest&machine_type={name}");
                client.get(&config, &path, &upstream).status
            };
            assert_eq!(explain("anonymous"), 200);
            assert_eq!(explain("type2"), if explained == 8 { 200 } else { 404 }, "{authentication}");
        }
    }
}

#[test]
fn a_login_name_and_a_node_that_disagree_are_counted() {
    let (config, upstream) = (parse(&document("accounts")), demo());
    let login = |user: &str| basic(user, "pw");
    let rows = [
        (Client::new(&login("user-login")).node(&[b"type1"]), 1),
        (Client::new(&login("user-type1")).node(&[b"TYPE1"]), 0),
        (Client::new(&login("user-login")).host("host.example"), 1),
        (Client::new(&login("user-login")).address("10.0.0.1"), 0),
        (Client::new(&login("user")).node(&[b"type1"]), 0),
        (Client::new(&login("bound")).node(&[b"type1"]), 0),
        (Client::new(&login("some-type2")).node(&[b"type1"]), 1),
    ];
    for (client, expected) in rows {
        for path in [MANIFEST.to_owned(), MANIFEST.to_owned(), format!("/v2/a/manifests/{}", digest(&upstream))] {
            let outcome = client.get(&config, &path, &upstream);
            let counted = outcome.counters.iter().filter(|name| **name == "metahub_disagreed").count();
            let expected = if path == MANIFEST { expected } else { 0 };
            assert_eq!((outcome.status, counted), (200, expected), "{:?} {} {path}", client.node, client.host);
        }
    }
}
