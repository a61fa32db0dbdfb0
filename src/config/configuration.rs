//! The validated configuration, the only form that code outside this folder sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::descriptions::Descriptions;
use super::machine_type_from::MachineTypeFrom;
use super::machine_types::MachineTypes;
use super::policies::IndexByDigest;
use super::registry::Registry;
use crate::auth::account::{Account, View};
use crate::auth::password::PasswordHash;
use crate::auth::ticket::TicketKey;
use crate::events::Receiver;
use crate::images::Images;
use crate::machine_type::MachineType;
use crate::select::OnNoMatch;
use crate::store::cache::Cache;

/// A validated configuration.
#[derive(Debug)]
pub struct Config {
    pub(crate) machine_types: MachineTypes,
    pub(super) descriptions: Option<Descriptions>,
    pub(crate) registries: BTreeMap<String, Arc<Registry>>,
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) username_separator: String,
    pub(super) machine_type_from: MachineTypeFrom,
    pub(crate) default_machine_type: Option<View>,
    pub(crate) on_no_match: OnNoMatch,
    pub(crate) index_by_digest: IndexByDigest,
    pub(super) images: Images,
    pub(crate) cache: Cache,
    pub(super) events: Option<Receiver>,
    pub(crate) public_url: Option<String>,
    pub(crate) token_key: Option<TicketKey>,
    /// How long clients are told that they may use a ticket, in seconds.
    pub(crate) token_lifetime: u64,
    pub(super) decoy: Option<PasswordHash>,
    pub(super) hash: String,
    pub(super) warnings: Vec<String>,
}

// Hosts that share a process with others hand one configuration to all their threads.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Config>()
};

impl Config {
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

    /// The machine types that a caller may use, by name: an account's, or all where there are no accounts. An account
    /// that may see whole indexes may see them explained for every type.
    #[must_use]
    pub fn allowed_machine_types(&self, account: Option<&Account>) -> Vec<Arc<MachineType>> {
        let unfiltered = account.is_none_or(|account| account.may_use(&View::Unfiltered));
        let allowed = |machine_type: &&Arc<MachineType>| {
            unfiltered || account.is_some_and(|account| account.may_use(&View::Machine(Arc::clone(machine_type))))
        };
        self.machine_types.values().filter(allowed).cloned().collect()
    }

    /// The places that say a client's machine type.
    #[must_use]
    pub const fn machine_type_from(&self) -> &MachineTypeFrom {
        &self.machine_type_from
    }

    /// Whether anything but the login may say a machine type: a header, a path, a host or an address.
    #[must_use]
    pub fn has_sources(&self) -> bool {
        self.machine_type_from.has_sources()
    }

    /// The images whose variants are tags or repositories.
    #[must_use]
    pub const fn images(&self) -> &Images {
        &self.images
    }

    /// The cache as configured.
    #[must_use]
    pub const fn cache(&self) -> Cache {
        self.cache
    }

    /// The receiver of events; `None` if they are not posted.
    #[must_use]
    pub const fn events(&self) -> Option<&Receiver> {
        self.events.as_ref()
    }

    /// Problems that an operator should know of, although the configuration is in force.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A hash that no password matches. Its check costs as much as that of the most expensive account, so that an
    /// unknown account costs as much as a wrong password. `None` without accounts.
    pub(crate) const fn decoy(&self) -> Option<&PasswordHash> {
        self.decoy.as_ref()
    }
}
