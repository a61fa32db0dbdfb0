//! Choices of the operator with a fixed set of words.

use serde::Deserialize;

/// The part that MetaHub plays before a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub enum Mode {
    /// A tag is answered with the entry that fits.
    #[default]
    Select,
    /// Indexes pass as they are; what would have been selected is counted and logged.
    Observe,
}

/// The answer to a machine type that asks for an index by its digest. Selection has no say there, because digest
/// references are never rewritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub enum IndexByDigest {
    /// The index as it is.
    #[default]
    Pass,
    /// An error 403 that says to pull by tag.
    Refuse,
}
