//! MetaHub: one image name, the right image for each machine.
//!
//! This is the core, which knows nothing of Envoy: it takes what arrives and says what is to be done. A client says its
//! *machine type*, by its login or by what its node adds; every manifest list or OCI index that it pulls by tag comes
//! back as the one entry that fits.
//!
//! The folders stand in the order in which a request's data comes through them.

pub mod text;

pub mod hardware;

pub mod oci;

pub mod machine_type;

pub mod select;

pub mod store;

pub mod auth;

pub mod events;

pub mod images;

pub mod config;

pub mod request;

pub mod flow;

pub mod host;

// The library's own tests share code with tests that see it from outside, and that code calls it by its name.
#[cfg(test)]
extern crate self as metahub;
