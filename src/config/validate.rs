//! Raw configuration → [`Config`]. Every refusal names its field.

use super::authentication::Authentication;
use super::configuration::Config;
use super::descriptions::Descriptions;
use super::environment::{Environment, unset};
use super::error::ConfigError;
use super::machine_type_from::MachineTypeFrom;
use super::machine_types::MachineTypes;
use super::policies::IndexByDigest;
use super::raw::{Named, RawAccount, RawConfig, RawOnNoMatch};
use super::registry::Registry;
use super::{ambiguity, cache, events, images, registry};
use crate::auth::account::{Account, Grant};
use crate::auth::password::PasswordHash;
use crate::auth::pattern::Pattern;
use crate::auth::realm::is_loopback;
use crate::auth::secret::Secret;
use crate::auth::ticket::{LIFETIME, LIFETIMES, TicketKey};
use crate::hardware::feature::FeatureRules;
use crate::select::OnNoMatch;
use crate::store::cache::Cache;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Passwords of one account: the old and the new one, and as many again.
const MAX_PASSWORDS: usize = 4;
/// Shortest secret that tickets are sealed with, in bytes.
const MIN_KEY: usize = 32;

pub(super) fn validate(raw: RawConfig, hash: String, environment: Environment<'_>) -> Result<Config, ConfigError> {
    let mut warnings = Vec::new();
    let rules = FeatureRules::new(&raw.feature_rules)
        .map_err(|error| ConfigError::new(format!("feature_rules.{}", error.field), error.message))?;
    let described = raw.described_machine_types == Some(true);
    let machine_types = MachineTypes::new(raw.machine_types, &rules, described, &mut warnings)?;
    let machine_type_from = MachineTypeFrom::new(raw.machine_type_from, &machine_types, &mut warnings)?;
    let default_machine_type = raw.default_machine_type.as_deref().map(|name| machine_types.view(name));
    let default_machine_type =
        default_machine_type.transpose().map_err(|message| ConfigError::new("default_machine_type", message))?;
    let accounts = accounts(raw.accounts, &machine_types, &mut warnings)?;
    let registries = registry::registries(raw.registries, &machine_types, environment)?;
    let username_separator = separator(raw.username_separator)?;
    let public_url = raw.public_url.map(|url| public_url(url, &mut warnings)).transpose()?;
    accounts_have_a_use(&registries, &accounts, &mut warnings)?;
    warn_of_limits_on_nothing(&registries, &machine_type_from, &mut warnings);
    let index_by_digest = raw.index_by_digest.unwrap_or_default();
    if index_by_digest == IndexByDigest::Refuse && matches!(raw.on_no_match, Some(RawOnNoMatch::Unfiltered)) {
        let message =
            "cannot be refuse while on_no_match is unfiltered, whose clients ask for the index by digest next";
        return Err(ConfigError::new("index_by_digest", message));
    }
    if machine_type_from.login {
        ambiguity::refuse(&accounts, &machine_types, &username_separator)?;
    }
    let images = images::images(raw.images, &rules, &registries, &machine_types, &mut warnings)?;
    machine_type_from.refuse_hidden(&images, &accounts, &registries)?;
    machine_type_from.warn_of_silence(&accounts, default_machine_type.as_ref(), &mut warnings);
    let dearest = accounts.values().flat_map(|account| &account.hashes).map(PasswordHash::cost).max();
    Ok(Config {
        descriptions: described.then(|| Descriptions::new(&machine_types, &rules)),
        machine_types,
        registries,
        username_separator,
        machine_type_from,
        default_machine_type,
        on_no_match: match raw.on_no_match {
            None | Some(RawOnNoMatch::Refuse) => OnNoMatch::Refuse,
            Some(RawOnNoMatch::Deny) => OnNoMatch::Deny,
            Some(RawOnNoMatch::Unfiltered) => OnNoMatch::Unfiltered,
        },
        index_by_digest,
        images,
        cache: Cache { described, ..cache::cache(raw.cache)? },
        events: raw.events.map(|events| events::receiver(events, environment)).transpose()?,
        public_url,
        token_key: raw.token_key_env.map(|variable| token_key(&variable, environment)).transpose()?,
        token_lifetime: raw.token_lifetime.map_or(Ok(LIFETIME), |text| token_lifetime(&text))?,
        decoy: dearest.and_then(PasswordHash::decoy),
        accounts,
        hash,
        warnings,
    })
}

/// Refuses a registry that has no account to check passwords against, and warns of accounts that no registry checks.
fn accounts_have_a_use(
    registries: &BTreeMap<String, Arc<Registry>>,
    accounts: &BTreeMap<String, Account>,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let registry = registries.values().find(|registry| registry.authentication == Authentication::Accounts);
    match (registry, accounts.is_empty()) {
        (Some(registry), true) => {
            let message =
                format!("registries.{} has authentication: accounts, but there is no account", registry.cluster);
            return Err(ConfigError::new("accounts", message));
        }
        (None, false) => warnings.push(
            "accounts: no registry has authentication: accounts, so these names and passwords do nothing".to_owned(),
        ),
        (Some(_), false) | (None, true) => {}
    }
    Ok(())
}

/// Warns of limits on what clients without a login may say, where nothing lets them say it.
fn warn_of_limits_on_nothing(
    registries: &BTreeMap<String, Arc<Registry>>,
    machine_type_from: &MachineTypeFrom,
    warnings: &mut Vec<String>,
) {
    let limited = registries.values().filter(|registry| registry.anonymous_machine_types.is_some());
    warnings.extend(limited.filter(|_| !machine_type_from.has_sources()).map(|registry| {
        let nothing = "nothing in machine_type_from says what clients without a login are";
        format!("registries.{}.anonymous_machine_types: {nothing}", registry.cluster)
    }));
}

/// How clients reach MetaHub: scheme and host, to which the token endpoint's path is added.
fn public_url(url: String, warnings: &mut Vec<String>) -> Result<String, ConfigError> {
    let plain = url.strip_prefix("http://");
    if plain.is_some_and(|host| !is_loopback(host)) {
        warnings.push("public_url: clients will send their passwords there without TLS".to_owned());
    }
    if plain.or_else(|| url.strip_prefix("https://")).is_some_and(registry::is_host) {
        return Ok(url);
    }
    Err(ConfigError::new(
        "public_url",
        "must be https:// or http:// and a host with an optional port, and nothing after it",
    ))
}

/// The key that seals tickets, from Envoy's environment: replicas that share it accept each other's tickets.
fn token_key(variable: &str, environment: Environment<'_>) -> Result<TicketKey, ConfigError> {
    let refuse = |message| Err(ConfigError::new("token_key_env", message));
    match environment(variable) {
        Some(secret) if secret.trim().len() >= MIN_KEY => Ok(TicketKey::derive(secret.trim().as_bytes())),
        Some(_) => refuse(format!(
            "the environment variable {variable} is shorter than {MIN_KEY} characters; make one with: \
             openssl rand -base64 32"
        )),
        None => refuse(unset(variable)),
    }
}

/// How long clients may use a ticket, in seconds.
fn token_lifetime(text: &str) -> Result<u64, ConfigError> {
    cache::duration(text)
        .filter(|seconds| LIFETIMES.contains(seconds))
        .ok_or_else(|| ConfigError::new("token_lifetime", "not a time such as 30s, 5m or 1h, from 30s to 1h"))
}

fn accounts(
    Named(raw): Named<RawAccount>,
    machine_types: &MachineTypes,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, Account>, ConfigError> {
    let mut accounts = BTreeMap::new();
    for (name, raw) in raw {
        let path = format!("accounts.{name}");
        if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
            return Err(ConfigError::new(path, "not a user name: empty, or with a colon or a control character"));
        }
        let grant = grant(&path, raw.machine_type, raw.machine_types, machine_types)?;
        let repositories = raw.repositories.map(|patterns| repositories(&path, patterns)).transpose()?;
        let hashes = hashes(&path, raw.password, raw.passwords)?;
        if hashes.iter().any(PasswordHash::is_dear) {
            warnings
                .push(format!("{path}: a bcrypt cost above 6 holds a worker for more than 5 ms at each first login"));
        }
        accounts.insert(name.clone(), Account { name, hashes, grant, repositories });
    }
    Ok(accounts)
}

fn hashes(path: &str, one: Option<Secret>, several: Option<Vec<Secret>>) -> Result<Vec<PasswordHash>, ConfigError> {
    let read = |field: String, line: &Secret| {
        PasswordHash::parse(line.expose()).map_err(|error| ConfigError::new(field, error.to_string()))
    };
    match (one, several) {
        (Some(line), None) => Ok(vec![read(format!("{path}.password"), &line)?]),
        (None, Some(lines)) if lines.len() > MAX_PASSWORDS => {
            let message =
                format!("more than {MAX_PASSWORDS}: with each of them a wrong password costs one more bcrypt check");
            Err(ConfigError::new(format!("{path}.passwords"), message))
        }
        (None, Some(lines)) if !lines.is_empty() => {
            lines.iter().enumerate().map(|(n, line)| read(format!("{path}.passwords[{n}]"), line)).collect()
        }
        (Some(_), Some(_)) => Err(ConfigError::new(path, "has both `password` and `passwords`; keep one")),
        (None, _) => Err(ConfigError::new(path, "has neither `password` nor `passwords`")),
    }
}

fn grant(
    path: &str,
    one: Option<String>,
    several: Option<Vec<String>>,
    machine_types: &MachineTypes,
) -> Result<Grant, ConfigError> {
    match (one, several) {
        (Some(_), Some(_)) => Err(ConfigError::new(path, "has both `machine_type` and `machine_types`; keep one")),
        (Some(name), None) => machine_types
            .view(&name)
            .map(Grant::Bound)
            .map_err(|message| ConfigError::new(format!("{path}.machine_type"), message)),
        (None, Some(names)) => machine_types.listed(&format!("{path}.machine_types"), names).map(Grant::Of),
        (None, None) => Ok(Grant::Any),
    }
}

fn repositories(path: &str, patterns: Vec<String>) -> Result<Vec<Pattern>, ConfigError> {
    let read = |(n, text): (usize, &String)| {
        Pattern::parse(text).map_err(|error| ConfigError::new(format!("{path}.repositories[{n}]"), error.to_string()))
    };
    patterns.iter().enumerate().map(read).collect()
}

fn separator(raw: Option<String>) -> Result<String, ConfigError> {
    let separator = raw.unwrap_or_else(|| "-".to_owned());
    if separator.is_empty() || separator.contains(':') || separator.chars().any(char::is_control) {
        return Err(ConfigError::new(
            "username_separator",
            "must be neither empty nor contain a colon or a control character",
        ));
    }
    Ok(separator)
}
