//! The configuration as it is written: every key that exists, nothing checked yet but its JSON type.

use std::borrow::Cow;

use super::ConfigError;
use super::document::Value;
use super::reader::{Fields, Named, Path, named, secret, secrets, text, texts, truth, word, words};
use crate::auth::secret::Secret;
use crate::machine_type::Description;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct RawConfig<'a> {
    pub(super) machine_types: Named<RawMachineType<'a>>,
    pub(super) registries: Named<RawRegistry>,
    pub(super) accounts: Named<RawAccount>,
    pub(super) username_separator: Option<String>,
    pub(super) default_machine_type: Option<String>,
    pub(super) on_no_match: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) token_key_env: Option<String>,
    pub(super) feature_rules: BTreeMap<String, String>,
    pub(super) cache: Option<RawCache<'a>>,
}

/// Borrowed, because there may be thousands.
pub(super) type RawMachineType<'a> = Description<Cow<'a, str>>;

#[derive(Debug)]
pub(super) struct RawRegistry {
    pub(super) host: Option<String>,
    pub(super) authentication: Option<String>,
    pub(super) anonymous: Option<String>,
    pub(super) accept_jwt: Option<bool>,
    pub(super) default_namespace: Option<String>,
    pub(super) token_service: Option<RawTokenService>,
    pub(super) credentials: Option<RawCredentials>,
}

#[derive(Debug)]
pub(super) struct RawTokenService {
    pub(super) cluster: String,
    pub(super) realm: String,
    pub(super) service: Option<String>,
}

#[derive(Debug)]
pub(super) struct RawCredentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) username_env: Option<String>,
    pub(super) password_env: Option<String>,
    pub(super) public: bool,
}

#[derive(Debug)]
pub(super) struct RawAccount {
    pub(super) password: Option<Secret>,
    pub(super) passwords: Option<Vec<Secret>>,
    pub(super) machine_type: Option<String>,
    pub(super) machine_types: Option<Vec<String>>,
    pub(super) repositories: Option<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct RawCache<'a> {
    /// A number, or a text with a unit.
    pub(super) bytes: Option<Value<'a>>,
    pub(super) tag_ttl: Option<String>,
    pub(super) serve_stale_on_error: Option<String>,
}

impl<'a> RawConfig<'a> {
    /// Reads a sorted document.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown key or a value of the wrong type.
    pub(super) fn read(document: Value<'a>) -> Result<Self, ConfigError> {
        const KEYS: [&str; 10] = [
            "machine_types",
            "registries",
            "accounts",
            "username_separator",
            "default_machine_type",
            "on_no_match",
            "public_url",
            "token_key_env",
            "feature_rules",
            "cache",
        ];
        let mut fields = Fields::of(document, &Path::Document, &KEYS)?;
        let rules = fields.present("feature_rules", |value, path| named(value, path, text))?;
        Ok(Self {
            machine_types: fields
                .present("machine_types", |value, path| named(value, path, machine_type))?
                .unwrap_or_default(),
            registries: fields.present("registries", |value, path| named(value, path, registry))?.unwrap_or_default(),
            accounts: fields.present("accounts", |value, path| named(value, path, account))?.unwrap_or_default(),
            username_separator: fields.optional("username_separator", text)?,
            default_machine_type: fields.optional("default_machine_type", text)?,
            on_no_match: fields.optional("on_no_match", text)?,
            public_url: fields.optional("public_url", text)?,
            token_key_env: fields.optional("token_key_env", text)?,
            feature_rules: rules.unwrap_or_default().into_iter().collect(),
            cache: fields.optional("cache", cache)?,
        })
    }
}

fn machine_type<'a>(value: Value<'a>, path: &Path<'_>) -> Result<RawMachineType<'a>, ConfigError> {
    const KEYS: [&str; 6] = ["os", "os_version", "architecture", "variant", "features", "prefer"];
    let mut fields = Fields::of(value, path, &KEYS)?;
    Ok(Description {
        os: fields.optional("os", word)?,
        os_version: fields.optional("os_version", word)?,
        architecture: fields.optional("architecture", word)?,
        variant: fields.optional("variant", word)?,
        features: fields.present("features", words)?.unwrap_or_default(),
        prefer: fields.present("prefer", words)?.unwrap_or_default(),
    })
}

fn registry(value: Value<'_>, path: &Path<'_>) -> Result<RawRegistry, ConfigError> {
    const KEYS: [&str; 7] =
        ["host", "authentication", "anonymous", "accept_jwt", "default_namespace", "token_service", "credentials"];
    let mut fields = Fields::of(value, path, &KEYS)?;
    Ok(RawRegistry {
        host: fields.optional("host", text)?,
        authentication: fields.optional("authentication", text)?,
        anonymous: fields.optional("anonymous", text)?,
        accept_jwt: fields.optional("accept_jwt", truth)?,
        default_namespace: fields.optional("default_namespace", text)?,
        token_service: fields.optional("token_service", token_service)?,
        credentials: fields.optional("credentials", credentials)?,
    })
}

fn token_service(value: Value<'_>, path: &Path<'_>) -> Result<RawTokenService, ConfigError> {
    let mut fields = Fields::of(value, path, &["cluster", "realm", "service"])?;
    Ok(RawTokenService {
        cluster: fields.required("cluster", text)?,
        realm: fields.required("realm", text)?,
        service: fields.optional("service", text)?,
    })
}

fn credentials(value: Value<'_>, path: &Path<'_>) -> Result<RawCredentials, ConfigError> {
    const KEYS: [&str; 5] = ["username", "password", "username_env", "password_env", "public"];
    let mut fields = Fields::of(value, path, &KEYS)?;
    Ok(RawCredentials {
        username: fields.optional("username", text)?,
        password: fields.optional("password", secret)?,
        username_env: fields.optional("username_env", text)?,
        password_env: fields.optional("password_env", text)?,
        public: fields.present("public", truth)?.unwrap_or_default(),
    })
}

fn account(value: Value<'_>, path: &Path<'_>) -> Result<RawAccount, ConfigError> {
    const KEYS: [&str; 5] = ["password", "passwords", "machine_type", "machine_types", "repositories"];
    let mut fields = Fields::of(value, path, &KEYS)?;
    Ok(RawAccount {
        password: fields.optional("password", secret)?,
        passwords: fields.optional("passwords", secrets)?,
        // A restriction that is written down but null (a list whose items are all commented out) must not be read as
        // none.
        machine_type: fields.present("machine_type", text)?,
        machine_types: fields.present("machine_types", texts)?,
        repositories: fields.present("repositories", texts)?,
    })
}

fn cache<'a>(value: Value<'a>, path: &Path<'_>) -> Result<RawCache<'a>, ConfigError> {
    let mut fields = Fields::of(value, path, &["bytes", "tag_ttl", "serve_stale_on_error"])?;
    Ok(RawCache {
        bytes: fields.optional("bytes", |value, _| Ok(value))?,
        tag_ttl: fields.optional("tag_ttl", text)?,
        serve_stale_on_error: fields.optional("serve_stale_on_error", text)?,
    })
}
