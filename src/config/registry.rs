//! The registries behind MetaHub, by the Envoy cluster that a route chooses.

use std::borrow::Cow;
use std::sync::Arc;

use super::authentication::Authentication;
use super::environment::{Environment, unset};
use super::error::ConfigError;
use super::machine_types::MachineTypes;
use super::policies::Mode;
use super::raw::{Named, RawCredentials, RawRegistry, RawTokenService};
use crate::auth::account::View;
use crate::auth::credentials::Credentials;
use crate::auth::registry_token::TokenService;
use crate::oci::reference::Repository;
use crate::store::cache::CacheScope;
use std::collections::BTreeMap;

/// A registry behind MetaHub.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The Envoy cluster that the route chose.
    pub cluster: String,
    /// `:authority` of callouts.
    pub host: String,
    /// The party that checks passwords.
    pub authentication: Authentication,
    /// Whether tags are answered by selection.
    pub mode: Mode,
    /// The view of clients without credentials; `None` if they are refused.
    pub anonymous: Option<View>,
    /// The names of views that clients without credentials may claim besides, sorted; `None` for all.
    pub anonymous_machine_types: Option<Vec<String>>,
    /// Whether a client may bring a bearer token of its own, which the registry checks.
    pub accept_jwt: bool,
    /// The token service of a registry that wants bearer tokens.
    pub token_service: Option<TokenService>,
    /// MetaHub's own credentials, for all clients.
    pub credentials: Option<Credentials>,
    /// The namespace of repositories with one component.
    pub default_namespace: Option<Repository>,
    /// The path before every repository upstream. Clients, permissions and `images` see repositories without it.
    pub prefix: Option<Repository>,
}

impl Registry {
    /// The registry's own name of a repository.
    #[must_use]
    pub fn upstream<'a>(&self, repository: &'a Repository) -> Cow<'a, Repository> {
        repository.below(self.prefix.as_ref())
    }

    /// The part of the cache that is of a repository.
    #[must_use]
    pub fn scope<'a>(&'a self, repository: &'a Repository) -> CacheScope<'a> {
        CacheScope { cluster: &self.cluster, prefix: self.prefix.as_ref(), repository }
    }
}

impl Registry {
    /// Whether a client without credentials may have this view.
    #[must_use]
    pub fn may_be_anonymous(&self, view: &View) -> bool {
        let is_own = self.anonymous.as_ref().is_some_and(|own| own.name() == view.name());
        is_own || self.anonymous_machine_types.as_ref().is_none_or(|names| view.is_among(names))
    }
}

pub(super) fn registries(
    Named(raw): Named<RawRegistry>,
    machine_types: &MachineTypes,
    environment: Environment<'_>,
) -> Result<BTreeMap<String, Arc<Registry>>, ConfigError> {
    if raw.is_empty() {
        return Err(ConfigError::new("registries", "name at least one Envoy cluster with a registry behind it"));
    }
    let mut registries = BTreeMap::new();
    for (cluster, raw) in raw {
        registries.insert(cluster.clone(), Arc::new(registry(cluster, raw, machine_types, environment)?));
    }
    Ok(registries)
}

fn registry(
    cluster: String,
    raw: RawRegistry,
    machine_types: &MachineTypes,
    environment: Environment<'_>,
) -> Result<Registry, ConfigError> {
    let field = |name: &str| format!("registries.{cluster}.{name}");
    let missing = "missing; name the registry's host, with its port if it has one";
    let host = raw.host.ok_or_else(|| ConfigError::new(field("host"), missing))?;
    if !is_host(&host) {
        return Err(ConfigError::new(field("host"), "not a host name with an optional port (no scheme, no path)"));
    }
    let missing = "missing; one of accounts, upstream, none";
    let authentication = raw.authentication.ok_or_else(|| ConfigError::new(field("authentication"), missing))?;
    let anonymous = anonymous(raw.anonymous.as_deref(), machine_types)
        .map_err(|message| ConfigError::new(field("anonymous"), message))?;
    let listed = |names| machine_types.listed(&field("anonymous_machine_types"), names);
    let anonymous_machine_types = raw.anonymous_machine_types.map(listed).transpose()?;
    if anonymous_machine_types.is_some() && anonymous.is_none() {
        let message = "has no use while anonymous is refuse: clients without a login get nothing";
        return Err(ConfigError::new(field("anonymous_machine_types"), message));
    }
    let accept_jwt = raw.accept_jwt == Some(true);
    if accept_jwt && authentication != Authentication::Upstream {
        let message = "only with authentication: upstream; nobody else checks such a token";
        return Err(ConfigError::new(field("accept_jwt"), message));
    }
    let token_service = raw.token_service.map(|raw| token_service(raw, &field("token_service"))).transpose()?;
    if let Some(raw) = &raw.credentials {
        shared(raw, authentication, anonymous.is_some())
            .map_err(|message| ConfigError::new(field("credentials"), message))?;
    }
    let credentials = raw.credentials.map(|raw| credentials(raw, &field("credentials"), environment)).transpose()?;
    let name = |key: &str, name: Option<String>| {
        let name = name.as_deref().map(Repository::parse).transpose();
        name.map_err(|error| ConfigError::new(field(key), error.to_string()))
    };
    let default_namespace = name("default_namespace", raw.default_namespace)?;
    let prefix = name("prefix", raw.prefix)?;
    Ok(Registry {
        host,
        authentication,
        mode: raw.mode.unwrap_or_default(),
        cluster,
        anonymous,
        anonymous_machine_types,
        accept_jwt,
        token_service,
        credentials,
        default_namespace,
        prefix,
    })
}

fn anonymous(raw: Option<&str>, machine_types: &MachineTypes) -> Result<Option<View>, String> {
    match raw {
        None | Some("refuse") => Ok(None),
        Some(name) => match machine_types.view(name) {
            Ok(view) => Ok(Some(view)),
            Err(message) => Err(format!("{message}, nor `refuse`")),
        },
    }
}

/// Whether MetaHub's own credentials may serve the clients of this kind.
fn shared(raw: &RawCredentials, authentication: Authentication, anonymous: bool) -> Result<(), &'static str> {
    match authentication {
        Authentication::Upstream => Err("have no use with authentication: upstream, where each client brings its own"),
        Authentication::Accounts | Authentication::None if raw.public => Ok(()),
        Authentication::Accounts if anonymous => {
            Err("would serve everybody with anonymous; if that is meant, add public: true")
        }
        Authentication::Accounts => Ok(()),
        Authentication::None => {
            Err("would serve everybody with authentication: none; if that is meant, add public: true")
        }
    }
}

pub(super) fn is_host(host: &str) -> bool {
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
        (None, Some(variable)) => {
            environment(&variable).ok_or_else(|| ConfigError::new(format!("{field}.{name}_env"), unset(&variable)))
        }
        (Some(_), Some(_)) => {
            Err(ConfigError::new(format!("{field}.{name}"), "is given twice, inline and from the environment"))
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
    Ok(Credentials { user, password: crate::auth::secret::Secret::new(password) })
}
