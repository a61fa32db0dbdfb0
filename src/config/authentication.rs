//! The ways in which clients are authenticated.

use serde::Deserialize;

/// The party that checks passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub enum Authentication {
    /// MetaHub does, by `accounts`.
    Accounts,
    /// The registry, or its token service; clients log in there with their own passwords.
    Upstream,
    /// No side does: any password is accepted, and the login only names the machine type.
    None,
}
