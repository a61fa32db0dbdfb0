//! The configuration as it is written: every key that exists, nothing checked yet but its type.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::registry::Authentication;
use crate::auth::secret::Secret;
use crate::machine_type::Description;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
pub(super) struct RawConfig {
    #[serde(default)]
    pub(super) machine_types: Named<RawMachineType>,
    #[serde(default)]
    pub(super) registries: Named<RawRegistry>,
    #[serde(default)]
    pub(super) accounts: Named<RawAccount>,
    pub(super) username_separator: Option<String>,
    pub(super) default_machine_type: Option<String>,
    pub(super) on_no_match: Option<RawOnNoMatch>,
    pub(super) public_url: Option<String>,
    pub(super) token_key_env: Option<String>,
    #[serde(default)]
    pub(super) feature_rules: BTreeMap<String, String>,
    pub(super) cache: Option<RawCache>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawOnNoMatch {
    Refuse,
    Unfiltered,
}

pub(super) type RawMachineType = Description;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
pub(super) struct RawRegistry {
    pub(super) host: Option<String>,
    pub(super) authentication: Option<Authentication>,
    pub(super) anonymous: Option<String>,
    pub(super) accept_jwt: Option<bool>,
    pub(super) default_namespace: Option<String>,
    pub(super) token_service: Option<RawTokenService>,
    pub(super) credentials: Option<RawCredentials>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
pub(super) struct RawTokenService {
    pub(super) cluster: String,
    pub(super) realm: String,
    pub(super) service: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
pub(super) struct RawCredentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) username_env: Option<String>,
    pub(super) password_env: Option<String>,
    #[serde(default)]
    pub(super) public: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
pub(super) struct RawAccount {
    pub(super) password: Option<Secret>,
    pub(super) passwords: Option<Vec<Secret>>,
    #[serde(default, deserialize_with = "not_null")]
    pub(super) machine_type: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    pub(super) machine_types: Option<Vec<String>>,
    #[serde(default, deserialize_with = "not_null")]
    pub(super) repositories: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
pub(super) struct RawCache {
    pub(super) bytes: Option<RawSize>,
    pub(super) tag_ttl: Option<String>,
    pub(super) serve_stale_on_error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "not a size such as 64MiB, between 1MiB and 16GiB, or 0")]
pub(super) enum RawSize {
    /// Bytes; a Struct knows doubles only.
    Number(f64),
    /// Bytes, or with a unit.
    Text(String),
}

/// A restriction that is written down but null (a list whose items are all commented out) must not be read as none.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Names with what they stand for, sorted as the document is. A list, because there may be thousands, and a map takes
/// longer to make.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut named = Vec::with_capacity(map.size_hint().unwrap_or_default());
                while let Some(member) = map.next_entry()? {
                    named.push(member);
                }
                Ok(Named(named))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}
