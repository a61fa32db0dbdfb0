//! `machine_type_from.hosts`: the hosts that clients use for MetaHub, and what their machines are.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::super::error::ConfigError;
use super::super::machine_types::MachineTypes;
use crate::auth::account::View;

/// The longest host name, in bytes (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Hosts by their canonical names, sorted; a wildcard's begins with `*.`. Without a view the label in its place names
/// the machine type.
#[derive(Debug, Default)]
pub struct Hosts(Vec<(String, Option<View>)>);

/// The answer of a host to the question for its clients' machine type.
#[derive(Debug)]
pub enum HostClaim<'a> {
    /// The view that the configuration gives this host.
    Configured(&'a View),
    /// The label that stands in the place of a wildcard, in lower case: the name of a machine type, if there is one of
    /// that name.
    Label(String),
}

impl Hosts {
    /// Validates hosts and the names of what their machines are.
    ///
    /// # Errors
    /// [`ConfigError`] for the first that cannot be accepted, and for a host that is there twice: two wildcards with a
    /// host in common are the same but for letter case, because `*` is one label.
    pub(super) fn new(raw: BTreeMap<String, String>, machine_types: &MachineTypes) -> Result<Self, ConfigError> {
        let field = |text: &str| format!("machine_type_from.hosts.{text}");
        let mut read = Vec::with_capacity(raw.len());
        for (text, name) in raw {
            let refuse = |message: String| ConfigError::new(field(&text), message);
            let host = host(&text).map_err(|message| refuse(message.to_owned()))?;
            let view = match name.as_str() {
                "*" if host.starts_with('*') => None,
                "*" => return Err(refuse("only the label in the place of `*.` can name the machine type".to_owned())),
                name => Some(machine_types.view(name).map_err(refuse)?),
            };
            read.push((host, text, view));
        }
        read.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        for ((one, other, _), (another, text, _)) in read.iter().zip(read.iter().skip(1)) {
            if one == another {
                let message = format!("the same hosts as {other}; letter case and a final dot do not count");
                return Err(ConfigError::new(field(text), message));
            }
        }
        Ok(Self(read.into_iter().map(|(host, _, view)| (host, view)).collect()))
    }

    /// The claim of a request's `:authority` (or `Host`). An exact name goes before a wildcard; port, letter case and
    /// a final dot do not count.
    #[must_use]
    pub fn find(&self, authority: &[u8]) -> Option<HostClaim<'_>> {
        if self.is_empty() {
            return None;
        }
        let host = canonical(without_port(std::str::from_utf8(authority).ok()?))?;
        if let Some(view) = self.get(&host) {
            return view.map(HostClaim::Configured);
        }
        let (label, rest) = host.split_once('.')?;
        match self.get(&format!("*.{rest}"))? {
            Some(view) => Some(HostClaim::Configured(view)),
            None => Some(HostClaim::Label(label.to_owned())),
        }
    }

    /// Whether no host is configured.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some wildcard's label names the machine type.
    pub(super) fn has_labels(&self) -> bool {
        self.0.iter().any(|(_, view)| view.is_none())
    }

    fn get(&self, host: &str) -> Option<Option<&View>> {
        let place = self.0.binary_search_by(|(other, _)| other.as_str().cmp(host)).ok()?;
        self.0.get(place).map(|(_, view)| view.as_ref())
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The canonical form of a host as the configuration names it.
fn host(text: &str) -> Result<String, &'static str> {
    let malformed = "not a host name, `*.` and a host name, or an IPv6 address in brackets";
    let canonical = match text.strip_prefix("*.") {
        // One label before an address is no host.
        Some(rest) if rest.starts_with('[') => None,
        Some(rest) => canonical(rest).map(|rest| format!("*.{rest}")),
        None => canonical(text),
    };
    let has_port = || without_port(text) != text && host(without_port(text)).is_ok();
    canonical.ok_or_else(|| if has_port() { "a port does not count here; leave it out" } else { malformed })
}

/// The form in which hosts are compared: lower case, without a final dot, IPv6 addresses in brackets and as RFC 5952
/// writes them. `None` for what is no host.
fn canonical(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_plain);
    (host.len() <= MAX_HOST && host.split('.').all(is_label)).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
