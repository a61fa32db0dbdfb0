//! The configuration as it is written: every key that exists, nothing checked yet but its JSON type.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::ConfigError;
use crate::secret::Secret;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    #[serde(default)]
    pub(super) machine_types: BTreeMap<String, RawMachineType>,
    #[serde(default)]
    pub(super) registries: BTreeMap<String, RawRegistry>,
    #[serde(default)]
    pub(super) accounts: BTreeMap<String, RawAccount>,
    pub(super) username_separator: Option<String>,
    pub(super) default_machine_type: Option<String>,
    pub(super) on_no_match: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) token_key_env: Option<String>,
    #[serde(default)]
    pub(super) feature_rules: BTreeMap<String, String>,
    pub(super) cache: Option<RawCache>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMachineType {
    pub(super) os: Option<String>,
    pub(super) os_version: Option<String>,
    pub(super) architecture: Option<String>,
    pub(super) variant: Option<String>,
    #[serde(default)]
    pub(super) features: Vec<String>,
    #[serde(default)]
    pub(super) prefer: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRegistry {
    pub(super) host: Option<String>,
    pub(super) authentication: Option<String>,
    pub(super) anonymous: Option<String>,
    pub(super) accept_jwt: Option<bool>,
    pub(super) default_namespace: Option<String>,
    pub(super) token_service: Option<RawTokenService>,
    pub(super) credentials: Option<RawCredentials>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTokenService {
    pub(super) cluster: String,
    pub(super) realm: String,
    pub(super) service: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCredentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) username_env: Option<String>,
    pub(super) password_env: Option<String>,
    #[serde(default)]
    pub(super) public: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccount {
    pub(super) password: Option<Secret>,
    pub(super) passwords: Option<Vec<Secret>>,
    #[serde(default, deserialize_with = "present")]
    pub(super) machine_type: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) machine_types: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    pub(super) repositories: Option<Vec<String>>,
}

/// A restriction that is written down but null (a list whose items are all commented out) must not be read as none.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCache {
    pub(super) bytes: Option<Value>,
    pub(super) tag_ttl: Option<String>,
    pub(super) serve_stale_on_error: Option<String>,
}

impl RawConfig {
    pub(super) fn read(document: Value) -> Result<Self, ConfigError> {
        serde_path_to_error::deserialize(document).map_err(|error| {
            let field = error.path().to_string();
            ConfigError::new(field, describe(&error.into_inner().to_string()))
        })
    }
}

/// serde quotes the value in "invalid type: string \"…\", expected …", and the value may be a password.
fn describe(message: &str) -> String {
    message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")).map_or_else(
        || message.to_owned(),
        |(found, expected)| format!("expected {expected}, not {}", found.split([' ', '`']).next().unwrap_or_default()),
    )
}
