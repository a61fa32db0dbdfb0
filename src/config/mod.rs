//! The configuration: raw as written by the operator, then validated. Nothing behind this module sees a raw value.

mod ambiguity;
mod authentication;
mod cache;
mod document;
mod environment;
mod error;
mod hash;
mod json;
mod login;
mod machine_types;
mod raw;
mod registry;
#[cfg(feature = "schema")]
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod validate;
mod values;

use std::sync::Arc;

pub use authentication::Authentication;
pub use environment::Environment;
pub use error::ConfigError;
pub use login::{Login, Refused};
pub use registry::Registry;
#[cfg(feature = "schema")]
pub use schema::schema;

use self::machine_types::MachineTypes;
use crate::auth::account::{Account, View};
use crate::auth::password::PasswordHash;
use crate::auth::token::Key;
use crate::machine_type::MachineType;
use crate::select::OnNoMatch;
use crate::store::cache::Cache;
use std::collections::BTreeMap;

/// A validated configuration.
#[derive(Debug)]
pub struct Config {
    pub(crate) machine_types: MachineTypes,
    pub(crate) registries: BTreeMap<String, Arc<Registry>>,
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) username_separator: String,
    pub(crate) default_machine_type: Option<View>,
    pub(crate) on_no_match: OnNoMatch,
    pub(crate) cache: Cache,
    pub(crate) public_url: Option<String>,
    pub(crate) token_key: Option<Key>,
    decoy: Option<PasswordHash>,
    hash: String,
    warnings: Vec<String>,
}

// Hosts that share a process with others hand one configuration to all their threads.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Config>()
};

impl Config {
    /// Reads a plugin configuration: JSON text (Envoy's `StringValue`) or a binary `google.protobuf.Struct`.
    /// `environment` answers for variables that it names.
    ///
    /// ```
    /// use metahub::config::Config;
    ///
    /// let no_environment = |_: &str| None;
    /// let text = br#"{
    ///     "machine_types": { "type1": { "features": ["cpu:skylake"] } },
    ///     "registries": { "registry": { "host": "registry.example", "authentication": "none", "anonymous": "type1" } }
    /// }"#;
    /// Config::parse(text, &no_environment)?;
    ///
    /// let error = Config::parse(br#"{ "machine_types": { "type1": { "cpu": "skylake" } } }"#, &no_environment);
    /// assert!(error.is_err_and(|error| error.to_string().starts_with("machine_types.type1")));
    /// # Ok::<(), metahub::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] with the path of the first field that is wrong.
    pub fn parse(bytes: &[u8], environment: Environment<'_>) -> Result<Self, ConfigError> {
        let document = source::read(bytes)?;
        let hash = hash::of(&document);
        validate::validate(values::read(document)?, hash, environment)
    }

    /// The registry behind an Envoy cluster, if the configuration names it.
    #[must_use]
    pub fn registry(&self, cluster: &str) -> Option<&Arc<Registry>> {
        self.registries.get(cluster)
    }

    /// sha256 of the configuration, the same for every replica that runs it, whatever the order of its keys.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// How many machine types there are.
    #[must_use]
    pub fn machine_type_count(&self) -> usize {
        self.machine_types.len()
    }

    /// The machine types that a caller may use, by name: an account's, or all where there are no accounts. Who sees
    /// whole indexes may see them explained for every type.
    #[must_use]
    pub fn allowed_machine_types(&self, account: Option<&Account>) -> Vec<Arc<MachineType>> {
        let unfiltered = account.is_none_or(|account| account.may_use(&View::Unfiltered));
        let allowed = |machine_type: &&Arc<MachineType>| {
            unfiltered || account.is_some_and(|account| account.may_use(&View::Machine(Arc::clone(machine_type))))
        };
        self.machine_types.values().filter(allowed).cloned().collect()
    }

    /// The cache as configured.
    #[must_use]
    pub const fn cache(&self) -> Cache {
        self.cache
    }

    /// What an operator should know although the configuration is in force.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A hash that no password matches, as expensive as the dearest account's: an unknown account costs what a wrong
    /// password costs. `None` without accounts.
    pub(crate) const fn decoy(&self) -> Option<&PasswordHash> {
        self.decoy.as_ref()
    }
}
