//! How MetaHub knows who asks.

use serde::Deserialize;

/// Who checks a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub enum Authentication {
    /// MetaHub, against `accounts`.
    Accounts,
    /// The registry itself, or its token service.
    Upstream,
    /// Nobody: the login name only names the machine type.
    None,
}
