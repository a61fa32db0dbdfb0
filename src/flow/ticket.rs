//! MetaHub's tickets, as one registry's clients get and show them: the key that seals them, and the place where they
//! are good.

use crate::auth::access;
use crate::auth::account::Account;
use crate::auth::secret::Secret;
use crate::auth::ticket::{Binding, GRACE, InvalidTicket, Ticket, TicketKey};
use crate::config::{Authentication, Config, Registry};
use crate::store::keys::ProcessKey;
use crate::store::resources::Resources;

/// Makes a ticket for this registry; `None` without randomness.
pub(super) fn seal(config: &Config, resources: &dyn Resources, registry: &Registry, ticket: &Ticket) -> Option<Secret> {
    let (key, random) = (key(config, resources)?, resources.random()?);
    let (nonce, _) = random.split_first_chunk()?;
    let until = resources.now().saturating_add(config.token_lifetime).saturating_add(GRACE);
    key.seal(&place(&key, registry), ticket, until, *nonce)
}

/// Reads a ticket that was made for this registry.
pub(super) fn open(
    config: &Config,
    resources: &dyn Resources,
    registry: &Registry,
    token: &str,
) -> Result<Ticket, InvalidTicket> {
    let key = key(config, resources).ok_or(InvalidTicket::Foreign)?;
    key.open(&place(&key, registry), token, resources.now())
}

/// The binding of this account's tickets.
pub(super) fn binding(config: &Config, resources: &dyn Resources, account: &Account) -> Option<Binding> {
    key(config, resources).map(|key| access::binding(&key, account))
}

/// The configured key, or else this process's.
fn key(config: &Config, resources: &dyn Resources) -> Option<TicketKey> {
    config.token_key.clone().or_else(|| Some(TicketKey::derive(ProcessKey::of(resources)?.expose())))
}

/// The place where a ticket is good: one registry's passwords must never reach another.
fn place(key: &TicketKey, registry: &Registry) -> [u8; 32] {
    let authentication = match registry.authentication {
        Authentication::Accounts => "accounts",
        Authentication::Upstream => "upstream",
        Authentication::None => "none",
    };
    key.digest(&[b"place", registry.cluster.as_bytes(), registry.host.as_bytes(), authentication.as_bytes()])
}
