//! Any bytes as the answer of a token service: the token is one that the answer has, fit for a header, and kept no
//! longer than it says.

use std::fmt;

use metahub::auth::credentials::{Credentials, Presented};
use metahub::auth::registry_token::{Authorization, authorize};
use metahub::auth::secret::Secret;
use metahub::config::Config;
use metahub::oci::reference::Repository;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::log_text::harmless;
use metahub::store::in_memory::Map;

const CONFIGURATION: &str = r#"{
    "machine_types": { "a": { "features": ["cpu:skylake"] } },
    "registries": { "r": { "host": "r.example", "authentication": "upstream",
        "token_service": { "cluster": "auth", "realm": "https://auth.example/token", "service": "r" } } }
}"#;

pub(crate) fn check(bytes: &[u8]) {
    let config = Config::parse(CONFIGURATION.as_bytes(), &|_| None).expect("a configuration");
    let registry = config.registry("r").expect("a registry");
    let memory = Map::default();
    memory.now.set(1_000_000);
    let repository = Repository::parse("team/app").expect("a name");
    let ask = |user: &str| {
        let credentials = Credentials { user: user.to_owned(), password: Secret::new("pw".to_owned()) };
        authorize(
            &memory,
            &registry.cluster,
            registry.token_service.as_ref(),
            &Presented::Password(credentials),
            Some(&repository),
        )
    };
    let Authorization::Token(request) = ask("me") else { panic!("a token that nobody has given") };
    let token = match request.redeem(&memory, bytes) {
        Ok(token) => token,
        Err(error) => return assert!(harmless(&error.to_string())),
    };
    let Members(answer) = serde_json::from_slice(bytes).expect("an answer that is JSON");
    let value = token.expose().strip_prefix("Bearer ").expect("a bearer token");
    assert!(!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()));
    let is_given =
        |(name, given): &(String, Value)| matches!(&**name, "token" | "access_token") && given.as_str() == Some(value);
    assert!(answer.iter().any(is_given), "a token that the answer does not have");
    if let Authorization::Kept(kept, _) = ask("me") {
        assert_eq!(kept, token);
        let mut lifetimes = answer.iter().filter(|(name, _)| name == "expires_in");
        let seconds =
            lifetimes.next().map_or(Some(60.0), |(_, value)| value.as_f64().filter(|_| lifetimes.next().is_none()));
        assert!(seconds.is_none_or(|seconds| seconds > 0.0), "kept although it is over");
        // No token service is believed for longer than a day.
        memory.now.set(1_000_000 + seconds.map_or(86_400, |seconds| (seconds as u64).min(86_400)));
        assert!(matches!(ask("me"), Authorization::Token(_)), "kept for too long");
        memory.now.set(1_000_000);
    }
    assert!(matches!(ask("you"), Authorization::Token(_)), "somebody else's token");
}

/// The members of an object as they are written, where a name may come twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reading)
    }
}
