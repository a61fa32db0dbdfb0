//! `machine_type_from`: the places that say a client's machine type beside its login.

mod addresses;
mod hosts;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::addresses::Addresses;
pub use self::hosts::{HostClaim, Hosts};
use super::error::ConfigError;
use super::machine_types::MachineTypes;
use super::raw_machine_type_from::RawMachineTypeFrom;
use super::registry::Registry;
use crate::auth::account::{Account, Grant, View};
use crate::images::Images;
use crate::oci::reference::Repository;

/// First components of the paths that MetaHub serves.
const OWN_PATHS: [&str; 2] = ["v2", "metahub"];

/// The longest label of a host name, in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// The places that say a client's machine type. Each is off unless the configuration has it, but the login.
#[derive(Debug)]
pub struct MachineTypeFrom {
    /// Whether the header `X-MetaHub-Machine-Type` does.
    pub header: bool,
    /// The component of a path that a machine type follows.
    pub path: Option<String>,
    /// The hosts that clients use for MetaHub.
    pub hosts: Hosts,
    /// The networks of clients.
    pub addresses: Addresses,
    /// Whether the end of a login name does.
    pub login: bool,
}

impl MachineTypeFrom {
    /// Validates what is written, and warns of machine types that a place cannot name.
    ///
    /// # Errors
    /// [`ConfigError`] for the first value that cannot be accepted.
    pub(super) fn new(
        raw: Option<RawMachineTypeFrom>,
        machine_types: &MachineTypes,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let Some(raw) = raw else {
            let (hosts, addresses) = (Hosts::default(), Addresses::default());
            return Ok(Self { header: false, path: None, hosts, addresses, login: true });
        };
        let is_refused = |path: &String| !is_component(path) || OWN_PATHS.contains(&path.as_str());
        if raw.path.as_ref().is_some_and(is_refused) {
            let message = "not one component of a repository's name (lower-case letters and digits, joined by '.', \
                           '_', '__' or '-'), or a path of MetaHub's own";
            return Err(ConfigError::new("machine_type_from.path", message));
        }
        let from = Self {
            header: raw.header == Some(true),
            path: raw.path,
            hosts: Hosts::new(raw.hosts, machine_types)?,
            addresses: Addresses::new(raw.addresses, machine_types)?,
            login: raw.login != Some(false),
        };
        let mut warn = |place: &str, is_sayable: fn(&str) -> bool| {
            let mut silent = machine_types.keys().filter(|name| !is_sayable(name));
            if let Some(first) = silent.next() {
                let count = 1 + silent.count();
                let message = format!("cannot name {count} of the machine types, such as {first}");
                warnings.push(format!("machine_type_from.{place}: {message}"));
            }
        };
        if from.path.is_some() {
            warn("path", is_component);
        }
        if from.hosts.has_labels() {
            warn("hosts", |name| name.len() <= MAX_LABEL && !name.contains('.'));
        }
        Ok(from)
    }

    /// Whether anything but the login may say a machine type.
    #[must_use]
    pub fn has_sources(&self) -> bool {
        let Self { header, path, hosts, addresses, login: _ } = self;
        *header || path.is_some() || !hosts.is_empty() || !addresses.is_empty()
    }

    /// Refuses a path that hides a repository which the configuration names: no client could ask for it.
    ///
    /// # Errors
    /// [`ConfigError`] for `machine_type_from.path`.
    pub(super) fn refuse_hidden(
        &self,
        images: &Images,
        accounts: &BTreeMap<String, Account>,
        registries: &BTreeMap<String, Arc<Registry>>,
    ) -> Result<(), ConfigError> {
        let patterns = images.patterns.iter().map(|(pattern, _)| pattern.as_str());
        for name in images.exact.keys().map(String::as_str).chain(patterns) {
            self.refuse_to_hide(&format!("images.{name}"), name)?;
        }
        for account in accounts.values() {
            for pattern in account.repositories.iter().flatten() {
                self.refuse_to_hide(&format!("accounts.{}.repositories", account.name()), pattern.as_str())?;
            }
        }
        for Registry { cluster, default_namespace, prefix, .. } in registries.values().map(Arc::as_ref) {
            // A prefix too: an answer's `Location` below it would read like the path of a machine type.
            for (field, name) in [("default_namespace", default_namespace), ("prefix", prefix)] {
                if let Some(name) = name {
                    self.refuse_to_hide(&format!("registries.{cluster}.{field}"), name.as_str())?;
                }
            }
        }
        Ok(())
    }

    fn refuse_to_hide(&self, field: &str, repository: &str) -> Result<(), ConfigError> {
        match &self.path {
            Some(path) if repository.split('/').next() == Some(path) => {
                let message = format!("hides {field}: {repository}; choose a word with which no repository begins");
                Err(ConfigError::new("machine_type_from.path", message))
            }
            _ => Ok(()),
        }
    }

    /// Warns if a login gets no machine type from anywhere.
    pub(super) fn warn_of_silence(
        &self,
        accounts: &BTreeMap<String, Account>,
        default: Option<&View>,
        warnings: &mut Vec<String>,
    ) {
        let is_bound = |account: &Account| matches!(account.grant, Grant::Bound(_));
        if !self.login && !self.has_sources() && default.is_none() && !accounts.values().any(is_bound) {
            warnings.push("machine_type_from.login: is false, and nothing else says a login's machine type".to_owned());
        }
    }
}

fn is_component(name: &str) -> bool {
    !name.contains('/') && Repository::parse(name).is_ok()
}
