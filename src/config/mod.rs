//! The configuration: raw as written by the operator, then validated. Nothing behind this module sees a raw value.

mod ambiguity;
mod authentication;
mod cache;
mod claimed;
mod configuration;
mod descriptions;
mod document;
mod environment;
mod error;
mod events;
mod hash;
mod images;
mod json;
mod login;
mod machine_type_from;
mod machine_types;
mod parse;
mod policies;
mod raw;
mod raw_images;
mod raw_machine_type_from;
mod registry;
#[cfg(feature = "schema")]
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod validate;
mod values;

pub use authentication::Authentication;
pub use claimed::InvalidClaim;
pub use configuration::Config;
pub use environment::Environment;
pub use error::ConfigError;
pub use login::LoginClaim;
pub use machine_type_from::{Addresses, HostClaim, Hosts, MachineTypeFrom};
pub use policies::{IndexByDigest, Mode};
pub use registry::Registry;
#[cfg(feature = "schema")]
pub use schema::{page, schema};
