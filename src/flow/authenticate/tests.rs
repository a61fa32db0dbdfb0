use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::flow::{Step, token_endpoint};
use crate::store::in_memory::Map;
use crate::store::keys::Identity;

fn config() -> Config {
    let registry = |authentication| json!({ "host": "h", "authentication": authentication, "anonymous": "type1" });
    let mut document = json!({
        "machine_types": { "type1": { "features": ["cpu:skylake"] } },
        "registries": { "a": registry("upstream"), "b": registry("upstream"), "c": registry("accounts") },
        "accounts": { "me": { "password": bcrypt::hash("pw", 4).unwrap(), "machine_type": "type1" } },
    });
    document["registries"]["a"]["accept_jwt"] = json!(true);
    Config::parse(document.to_string().as_bytes(), &|_| None).unwrap()
}

fn headers(authorization: &str) -> Vec<(String, Vec<u8>)> {
    [(":authority", "localhost"), ("authorization", authorization)]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .to_vec()
}

/// A request without the client's address.
fn arrival(headers: &[(String, Vec<u8>)]) -> Arrival<'_> {
    Arrival { cluster: None, headers: Headers(headers), address: &|| None }
}

fn identity(config: &Config, memory: &Map, cluster: &str, authorization: &str) -> Option<Identity> {
    let headers = headers(authorization);
    let caller =
        authenticate(config, memory, &KnownCallers::default(), config.registry(cluster).unwrap(), arrival(&headers));
    caller.map_err(|refusal| format!("{refusal:?}")).unwrap().identity
}

/// `Authorization` with a ticket.
fn token(config: &Config, memory: &Map, cluster: &str, authorization: &str) -> String {
    let registry = Arc::clone(config.registry(cluster).unwrap());
    let headers = headers(authorization);
    let effects = token_endpoint::issue(config, memory, &registry, arrival(&headers)).unwrap();
    let Step::Reply(reply) = effects.step else { panic!("{effects:?}") };
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    format!("Bearer {}", body["token"].as_str().unwrap())
}

#[test]
fn who_is_known_by_an_account_that_is_gone_is_looked_at_again() {
    let (config, memory, callers) = (config(), Map::default(), KnownCallers::default());
    let authorization = format!("Basic {}", STANDARD.encode("me:pw"));
    let known =
        |account: &str| KnownCaller { user: "known".to_owned(), account: Some(account.to_owned()), identity: None };
    for (account, user) in [("me", "known"), ("gone", "me")] {
        callers.keep(&memory, "c", authorization.as_bytes(), known(account));
        let headers = headers(&authorization);
        let caller = authenticate(&config, &memory, &callers, config.registry("c").unwrap(), arrival(&headers));
        let caller = caller.map_err(|refusal| format!("{refusal:?}")).unwrap();
        assert_eq!((caller.user.as_str(), caller.account.unwrap().name()), (user, "me"), "{account}");
    }
}

#[test]
fn an_identity_is_one_credential_at_one_registry() {
    let (config, memory) = (config(), Map::default());
    let basic = |user: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let identity = |cluster, authorization: &str| identity(&config, &memory, cluster, authorization);
    let mut seen = vec![
        identity("a", &basic("me", "pw")),
        identity("a", &basic("me", "pwd")),
        identity("a", &basic("mep", "w")),
        identity("b", &basic("me", "pw")),
        identity("c", &basic("me", "pw")),
        identity("c", &token(&config, &memory, "c", &basic("me", "pw"))),
        identity("a", &token(&config, &memory, "a", "Basic Og==")),
        identity("b", &token(&config, &memory, "b", "Basic Og==")),
    ];
    assert_eq!(identity("a", &basic("me", "pw")), seen[0], "the same every time");
    assert_eq!(identity("a", &token(&config, &memory, "a", "Basic Og==")), seen[6], "anonymous is anonymous");
    assert!(seen.iter().all(Option::is_some));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 8, "each its own");
    let brought = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.c2ln";
    assert_eq!(identity("a", brought), None, "only the registry can judge it");
}
