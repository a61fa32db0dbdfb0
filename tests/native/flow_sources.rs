//! The places that say a request's machine type beside its login, in every kind of authentication.

use std::net::IpAddr;
use std::rc::Rc;

use metahub::config::Config;
use metahub::flow::WorkerState;
use metahub::host::log_lines::collect;
use metahub::oci::digest::Digest;
use metahub::text::headers::HeaderChange;
use serde_json::{Value, json};

use super::driver::{basic, parse};
use super::envoy::Envoy;
use super::flow_access::{MANIFEST, demo};
use super::flow_jwt::jwt;
use super::outcome::Outcome;
use super::scripted_registry::{HeaderList, ScriptedRegistry, header_list};

pub(super) const HEADER: &str = "x-metahub-machine-type";
const TOKEN: &str = "/metahub/v1/token";

/// Machine types `type1` and `type2`, each with an image of its own, and `header`, `host`, `login`, `address`,
/// `default` and `anonymous`, which may be said in the place of that name. All places are on but the path.
pub(super) fn document(authentication: &str) -> Value {
    let account = |fields: Value| {
        let mut account = json!({ "password": bcrypt::hash("pw", 4).unwrap() });
        account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        account
    };
    let any = json!({ "architecture": "amd64" });
    json!({
        "machine_types": {
            "type1": { "features": ["cpu:broadwell"] },
            "type2": { "features": ["cpu:skylake"] },
            "header": any, "host": any, "login": any, "address": any, "default": any, "anonymous": any,
        },
        "machine_type_from": {
            "header": true,
            "hosts": { "host.example": "host", "*.nodes.example": "*", "whole.example": "unfiltered" },
            "addresses": { "10.0.0.0/8": "address" },
        },
        "registries": { "registry": {
            "host": "registry.example", "authentication": authentication, "anonymous": "anonymous",
            "accept_jwt": authentication == "upstream",
        } },
        "accounts": {
            "user": account(json!({})),
            "bound": account(json!({ "machine_type": "type1" })),
            "whole": account(json!({ "machine_type": "unfiltered" })),
            "some": account(json!({ "machine_types": ["type1", "login"], "repositories": ["**"] })),
        },
        "default_machine_type": "default",
    })
}

/// A client's request and what surrounds it.
#[derive(Clone, Default)]
pub(super) struct Client {
    pub(super) worker: Rc<WorkerState>,
    pub(super) authorization: String,
    pub(super) host: &'static str,
    /// The values of the header.
    pub(super) node: Vec<Vec<u8>>,
    pub(super) address: Option<IpAddr>,
}

impl Client {
    pub(super) fn new(authorization: &str) -> Self {
        Self { authorization: authorization.to_owned(), host: "hub.example", ..Self::default() }
    }

    pub(super) fn node(mut self, values: &[&[u8]]) -> Self {
        self.node = values.iter().map(|value| value.to_vec()).collect();
        self
    }

    pub(super) fn host(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    pub(super) fn address(self, address: &str) -> Self {
        Self { address: Some(address.parse().unwrap()), ..self }
    }

    fn headers(&self, path: &str) -> HeaderList {
        let mut headers = header_list(&[(":method", "GET"), (":path", path), (":authority", self.host)]);
        if !self.authorization.is_empty() {
            headers.extend(header_list(&[("authorization", &self.authorization)]));
        }
        headers.extend(self.node.iter().map(|value| (HEADER.to_owned(), value.clone())));
        headers
    }

    pub(super) fn get(&self, config: &Config, path: &str, upstream: &ScriptedRegistry) -> Outcome {
        self.get_counting(config, path, upstream).0
    }

    /// The answer, and how often the filter has asked for the client's address.
    fn get_counting(&self, config: &Config, path: &str, upstream: &ScriptedRegistry) -> (Outcome, u32) {
        let headers = self.headers(path);
        let mut envoy = Envoy::new(config, &headers, upstream);
        envoy.worker = Rc::clone(&self.worker);
        envoy.address = self.address;
        let ((), lines) = collect(|| envoy.run());
        let mut outcome = envoy.outcome.into_inner();
        outcome.lines = lines.into_iter().map(|line| line.text).collect();
        (outcome, envoy.asked_for_address.get())
    }

    /// The claim of a pull: `type/source`, `unfiltered` for the registry's own answer, or the refusal's status.
    pub(super) fn claim(&self, config: &Config) -> String {
        claim(&self.get(config, MANIFEST, &demo()))
    }
}

pub(super) fn claim(outcome: &Outcome) -> String {
    match (outcome.status, outcome.header(HEADER)) {
        (200, "") => "unfiltered".to_owned(),
        (200, name) => format!("{name}/{}", outcome.header("x-metahub-machine-type-source")),
        (status, _) => status.to_string(),
    }
}

/// `Authorization` with a ticket for these credentials. No runtime sends the header there.
pub(super) fn ticket(config: &Config, authorization: &str, upstream: &ScriptedRegistry) -> String {
    let outcome = Client::new(authorization).get(config, TOKEN, upstream);
    assert_eq!(outcome.status, 200, "{}", String::from_utf8_lossy(&outcome.body));
    let body: Value = serde_json::from_slice(&outcome.body).unwrap();
    format!("Bearer {}", body["token"].as_str().unwrap())
}

/// Every way in which a client of this registry shows who it is: `Authorization` for the login name `user`, and for
/// `user-login`; and whether it is anonymous.
fn identities(config: &Config, authentication: &str, upstream: &ScriptedRegistry) -> Vec<([String; 2], bool)> {
    let logins = ["user", "user-login"].map(|user| basic(user, "pw"));
    let tickets = logins.clone().map(|login| ticket(config, &login, upstream));
    let anonymous = ticket(config, "", upstream);
    let mut identities = vec![(logins, false), (tickets, false), ([anonymous.clone(), anonymous], true)];
    if authentication == "upstream" {
        identities.push((["user", "user-login"].map(|sub| jwt(&json!({ "sub": sub }).to_string())), false));
    }
    identities
}

#[test]
fn the_first_place_that_speaks_says_the_machine_type() {
    for authentication in ["accounts", "upstream", "none"] {
        let (config, upstream) = (parse(&document(authentication)), demo());
        for ([silent, named], anonymous) in identities(&config, authentication, &upstream) {
            let all = |login: &str| Client::new(login).node(&[b"header"]).host("host.example").address("10.1.2.3");
            let rows = [
                (all(&named), "header/header"),
                (all(&named).node(&[]), "host/host"),
                (all(&named).node(&[]).host("HEADER.nodes.example:8443"), "header/host"),
                (all(&named).node(&[]).host("hub.example"), if anonymous { "address/address" } else { "login/login" }),
                (all(&silent).node(&[]).host("hub.example"), "address/address"),
                (Client::new(&silent).address("::ffff:10.9.9.9"), "address/address"),
                (
                    Client::new(&silent).address("11.0.0.1"),
                    if anonymous { "anonymous/anonymous" } else { "default/default" },
                ),
                (Client::new(&silent), if anonymous { "anonymous/anonymous" } else { "default/default" }),
            ];
            for (client, expected) in rows {
                let row = format!("{authentication} anonymous: {anonymous} {:?} {}", client.node, client.host);
                assert_eq!(claim(&client.get(&config, MANIFEST, &upstream)), expected, "{row}");
            }
        }
    }
}

#[test]
fn the_path_speaks_behind_the_header_and_before_all_others() {
    for authentication in ["accounts", "upstream", "none"] {
        let mut document = document(authentication);
        document["machine_type_from"]["path"] = json!("machines");
        let (config, upstream) = (parse(&document), demo());
        for (logins, _) in identities(&config, authentication, &upstream) {
            for (login, lead) in logins.iter().zip(["/v2/machines/type1/", "/machines/type1/v2/"]) {
                let path = MANIFEST.replacen("/v2/", lead, 1);
                let pull = |client: &Client| claim(&client.get(&config, &path, &upstream));
                let client = Client::new(login).host("host.example").address("10.1.2.3");
                assert_eq!(pull(&client), "type1/path", "{authentication} {lead}");
                assert_eq!(pull(&client.node(&[b"type2"])), "type2/header", "{authentication} {lead}");
            }
        }
    }
}

#[test]
fn a_bound_account_speaks_where_a_login_name_would() {
    let config = parse(&document("accounts"));
    let bound = Client::new(&basic("bound", "pw"));
    let rows = [
        (bound.clone(), "type1/account"),
        (bound.clone().address("10.1.2.3"), "type1/account"),
        (bound.clone().node(&[b"type1"]), "type1/header"),
        (bound.clone().host("type1.nodes.example"), "type1/host"),
        (Client::new(&basic("bound-type1", "pw")), "type1/login"),
        // The node's word counts, so the name's does not.
        (Client::new(&basic("bound-type2", "pw")).node(&[b"type1"]), "type1/header"),
        (Client::new(&basic("bound-type2", "pw")), "403"),
        (Client::new(&basic("whole", "pw")), "unfiltered"),
        (Client::new(&basic("whole", "pw")).host("whole.example"), "unfiltered"),
    ];
    for (client, expected) in rows {
        assert_eq!(client.claim(&config), expected, "{:?} {}", client.node, client.host);
    }
}

/// Neither a remembered password nor a known caller nor a ticket holds a machine type, nor does anything in the cache.
#[test]
fn two_nodes_with_one_secret_get_their_own_images_in_turns() {
    for cache in [json!({}), json!({ "tag_ttl": "30s", "serve_stale_on_error": "1m" }), json!({ "bytes": 0 })] {
        for authentication in ["accounts", "upstream", "none"] {
            let mut document = document(authentication);
            document["cache"] = cache.clone();
            let (config, upstream) = (parse(&document), demo());
            for ([silent, named], anonymous) in identities(&config, authentication, &upstream) {
                for login in [silent, named] {
                    let client = Client::new(&login);
                    let image = |node: &[u8]| {
                        let outcome = client.clone().node(&[node]).get(&config, MANIFEST, &upstream);
                        assert_eq!((outcome.status, outcome.header(HEADER).as_bytes()), (200, node));
                        Digest::of(&outcome.body)
                    };
                    let own = [image(b"type1"), image(b"type2")];
                    assert_ne!(own[0], own[1]);
                    for turn in 0..4 {
                        let row = format!("{authentication} anonymous: {anonymous}, cache {cache}, turn {turn}");
                        assert_eq!([image(b"type1"), image(b"type2")], own, "{row}");
                        let without = claim(&client.get(&config, MANIFEST, &upstream));
                        assert!(without.ends_with("/login") || without.ends_with("/default") || anonymous, "{without}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_ticket_that_was_asked_for_by_one_node_is_not_its_own() {
    let (config, upstream) = (parse(&document("accounts")), demo());
    let asked = Client::new(&basic("user", "pw")).node(&[b"type1"]).get(&config, TOKEN, &upstream);
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let bearer = Client::new(&format!("Bearer {}", body["token"].as_str().unwrap()));
    let pull = |client: &Client| claim(&client.get(&config, MANIFEST, &upstream));
    assert_eq!(pull(&bearer.clone().node(&[b"type2"])), "type2/header");
    assert_eq!(pull(&bearer), "default/default");
}

#[test]
fn login_false_makes_the_whole_name_the_account() {
    let rows = [
        ("user-login", ["401", "default/default", "default/default"]),
        ("user", ["default/default"; 3]),
        ("-login", ["401", "default/default", "default/default"]),
        ("bound", ["type1/account", "default/default", "default/default"]),
    ];
    let configurations = ["accounts", "upstream", "none"].map(|authentication| {
        let mut document = document(authentication);
        document["machine_type_from"]["login"] = json!(false);
        parse(&document)
    });
    for (user, expected) in rows {
        for (config, expected) in configurations.iter().zip(expected) {
            assert_eq!(Client::new(&basic(user, "pw")).claim(config), expected, "{user}");
        }
    }
    let upstream = demo();
    let outcome = Client::new(&basic("user-login", "pw")).get(&configurations[1], MANIFEST, &upstream);
    assert_eq!(outcome.authorization, Some(Some(basic("user-login", "pw"))), "a user of the registry's");
    let outcome =
        Client::new(&basic("user-login", "pw")).node(&[b"type2"]).get(&configurations[1], MANIFEST, &upstream);
    assert_eq!(claim(&outcome), "type2/header");
}

#[test]
fn the_header_goes_to_no_registry_and_answers_vary_by_it() {
    for (header, vary) in [(true, "Authorization, X-MetaHub-Machine-Type"), (false, "Authorization")] {
        let mut document = document("accounts");
        document["machine_type_from"]["header"] = json!(header);
        let (config, upstream) = (parse(&document), demo());
        let client = Client::new(&basic("user", "pw")).node(&[b"type1"]);
        for path in [MANIFEST, MANIFEST, "/metahub/v1/machine-types", "/metahub/v1/explain?image=qnib/bench:latest"] {
            let outcome = client.get(&config, path, &upstream);
            assert_eq!((outcome.status, outcome.header("vary")), (200, vary), "{path}");
            assert!(outcome.callouts.iter().all(|callout| callout.headers.iter().all(|(name, _)| *name != HEADER)));
            let goes = outcome.authorization.is_some() && outcome.asked.is_some();
            let removed = outcome.changes.contains(&HeaderChange::Remove(HEADER.into()));
            assert!(!goes || !outcome.callouts.is_empty() || removed, "{path}: {:?}", outcome.changes);
        }
        let blob = format!("/v2/qnib/bench/blobs/{}", upstream.by_digest.keys().find(|key| !key.is_empty()).unwrap());
        let outcome = client.get(&config, &blob, &upstream);
        assert!(outcome.status == 200 && outcome.changes.contains(&HeaderChange::Remove(HEADER.into())));
    }
}

/// Asking for the address costs a call into Envoy.
#[test]
fn places_are_looked_at_only_where_they_are_configured_and_needed() {
    let mut silent = document("none");
    silent.as_object_mut().unwrap().remove("machine_type_from");
    let (config, upstream) = (parse(&document("none")), demo());
    let without = parse(&silent);
    let client = Client::new(&basic("user", "pw")).address("10.1.2.3");
    let asked = |client: &Client, config: &Config, path: &str| client.get_counting(config, path, &upstream).1;
    assert_eq!(asked(&client, &config, MANIFEST), 1);
    assert_eq!(asked(&client.clone().node(&[b"type1"]), &config, MANIFEST), 0);
    assert_eq!(asked(&client.clone().host("host.example"), &config, MANIFEST), 0);
    assert_eq!(asked(&client, &config, "/v2/qnib/bench/tags/list"), 0);
    let all = client.node(&[b"type1"]).host("host.example");
    assert_eq!(asked(&all, &without, MANIFEST), 0);
    assert_eq!(all.claim(&without), "default/default", "none of them is believed unless it is configured");
    let anonymous = Client { authorization: ticket(&without, "", &upstream), ..all };
    assert_eq!(claim(&anonymous.get(&without, MANIFEST, &upstream)), "anonymous/anonymous");
}
