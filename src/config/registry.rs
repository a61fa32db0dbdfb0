//! The registries behind MetaHub, and how each of them knows who asks.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::raw::{RawCredentials, RawRegistry, RawTokenService};
use super::reader::Named;
use super::{ConfigError, Environment};
use crate::identity::Credentials;
use crate::request::Repository;

/// Who checks a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// MetaHub, against `accounts`.
    Accounts,
    /// The registry itself, or its token service.
    Upstream,
    /// Nobody: the login name only names the machine type.
    None,
}

/// Where a registry's bearer tokens come from (distribution spec, token authentication). The realm of a challenge is
/// never followed, only this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenService {
    /// The Envoy cluster.
    pub cluster: String,
    /// `:authority` of the exchange.
    pub host: String,
    /// Path and query, up to where `service=` and `scope=` are added.
    pub path: String,
    /// What the registry calls itself there.
    pub service: Option<String>,
}

/// A registry behind MetaHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// The Envoy cluster that the route chose.
    pub cluster: String,
    /// `:authority` of callouts.
    pub host: String,
    /// Who checks passwords.
    pub authentication: Authentication,
    /// For registries that want bearer tokens.
    pub token_service: Option<TokenService>,
    /// MetaHub's own, for all clients.
    pub credentials: Option<Credentials>,
    /// Where repositories of one component are.
    pub default_namespace: Option<Repository>,
}

pub(super) fn registries(
    raw: Named<RawRegistry>,
    environment: Environment<'_>,
) -> Result<BTreeMap<String, Rc<Registry>>, ConfigError> {
    if raw.is_empty() {
        return Err(ConfigError::new("registries", "name at least one Envoy cluster with a registry behind it"));
    }
    raw.into_iter().map(|(cluster, raw)| Ok((cluster.clone(), Rc::new(registry(cluster, raw, environment)?)))).collect()
}

fn registry(cluster: String, raw: RawRegistry, environment: Environment<'_>) -> Result<Registry, ConfigError> {
    let field = |name: &str| format!("registries.{cluster}.{name}");
    let missing = "missing; name the registry's host, with its port if it has one";
    let host = raw.host.ok_or_else(|| ConfigError::new(field("host"), missing))?;
    if !is_host(&host) {
        return Err(ConfigError::new(field("host"), "not a host name with an optional port (no scheme, no path)"));
    }
    let authentication = match raw.authentication.as_deref() {
        Some("accounts") => Authentication::Accounts,
        Some("upstream") => Authentication::Upstream,
        Some("none") => Authentication::None,
        Some(_) => return Err(ConfigError::new(field("authentication"), "must be accounts, upstream or none")),
        None => return Err(ConfigError::new(field("authentication"), "missing; one of accounts, upstream, none")),
    };
    let token_service = raw.token_service.map(|raw| token_service(raw, &field("token_service"))).transpose()?;
    if let Some(raw) = &raw.credentials {
        shared(raw, authentication).map_err(|message| ConfigError::new(field("credentials"), message))?;
    }
    let credentials = raw.credentials.map(|raw| credentials(raw, &field("credentials"), environment)).transpose()?;
    let default_namespace = raw.default_namespace.map(|name| {
        Repository::parse(&name).map_err(|error| ConfigError::new(field("default_namespace"), error.to_string()))
    });
    let default_namespace = default_namespace.transpose()?;
    Ok(Registry { host, authentication, cluster, token_service, credentials, default_namespace })
}

/// Whether MetaHub's own credentials may serve the clients of this kind.
fn shared(raw: &RawCredentials, authentication: Authentication) -> Result<(), &'static str> {
    match authentication {
        Authentication::Accounts => Ok(()),
        Authentication::Upstream => Err("have no use with authentication: upstream, where each client brings its own"),
        Authentication::None if raw.public => Ok(()),
        Authentication::None => {
            Err("would serve everybody with authentication: none; if that is meant, add public: true")
        }
    }
}

fn is_host(host: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !host.is_empty() && host.bytes().all(valid)
}

fn token_service(raw: RawTokenService, field: &str) -> Result<TokenService, ConfigError> {
    let refuse = |name: &str, message: &str| Err(ConfigError::new(format!("{field}.{name}"), message));
    if raw.cluster.is_empty() {
        return refuse("cluster", "empty; name the Envoy cluster of the token service");
    }
    let rest = raw.realm.strip_prefix("https://").or_else(|| raw.realm.strip_prefix("http://"));
    let (host, path) = rest.map_or(("", ""), |rest| rest.split_at(rest.find('/').unwrap_or(rest.len())));
    let graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !is_host(host) || !graphic(path) {
        return refuse("realm", "not a URL; copy it from the registry's WWW-Authenticate header");
    }
    if raw.service.as_deref().is_some_and(|service| service.chars().any(char::is_control)) {
        return refuse("service", "has a control character");
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok(TokenService { cluster: raw.cluster, host: host.to_owned(), path: path.to_owned(), service: raw.service })
}

fn credentials(raw: RawCredentials, field: &str, environment: Environment<'_>) -> Result<Credentials, ConfigError> {
    let read = |name: &str, inline: Option<String>, variable: Option<String>| match (inline, variable) {
        (Some(text), None) => Ok(text),
        (None, Some(variable)) => environment(&variable).ok_or_else(|| {
            let message = format!(
                "the environment variable {variable} is not set; start Envoy with it and list it in \
                 vm_config.environment_variables.host_env_keys"
            );
            ConfigError::new(format!("{field}.{name}_env"), message)
        }),
        (Some(_), Some(_)) => {
            Err(ConfigError::new(format!("{field}.{name}"), "is there twice, inline and from the environment"))
        }
        (None, None) => Err(ConfigError::new(format!("{field}.{name}"), format!("missing, and so is {name}_env"))),
    };
    let user = read("username", raw.username, raw.username_env)?;
    let password = read("password", raw.password.map(|password| password.expose().to_owned()), raw.password_env)?;
    if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
        return Err(ConfigError::new(
            format!("{field}.username"),
            "not a user name: empty, or with a colon or a control character",
        ));
    }
    if password.chars().any(char::is_control) {
        return Err(ConfigError::new(format!("{field}.password"), "has a control character"));
    }
    Ok(Credentials { user, password: crate::secret::Secret::new(password) })
}
