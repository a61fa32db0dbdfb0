//! MetaHub: one image name, the right image for each machine.
//!
//! A proxy-wasm filter for Envoy that stands between container runtimes and an OCI registry. A machine logs in
//! as a *machine type*; every manifest list or OCI index it pulls by tag comes back as the one entry that fits.
//!
//! The modules follow a request's way: [`request`] → [`identity`], [`token`], [`login`], [`access`] → [`machine_type`] →
//! [`index`] → [`select`] → [`errors`] or the answer, driven by [`flow`]. Nothing here knows Envoy except `filter`,
//! which exists only in the WebAssembly build.

pub mod access;
pub mod body;
pub mod cache;
pub mod config;
pub mod digest;
pub mod errors;
pub mod explain;
pub mod feature;
pub mod flights;
pub mod flow;
pub mod headers;
pub mod identity;
pub mod in_memory;
pub mod index;
pub mod json;
pub mod jwt;
pub mod login;
pub mod machine_type;
pub mod media_type;
pub mod memory;
pub mod microarchitecture;
pub mod platform;
pub mod query;
pub mod realm;
pub mod request;
pub mod secret;
pub mod select;
pub mod token;
pub mod upstream;
pub mod words;
