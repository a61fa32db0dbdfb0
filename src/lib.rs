//! MetaHub: one image name, the right image for each machine.
//!
//! A proxy-wasm filter for Envoy that stands between container runtimes and an OCI registry. A machine logs in
//! as a *machine type*; every manifest list or OCI index it pulls by tag comes back as the one entry that fits.
//!
//! The modules follow a request's way: [`request`] → [`identity`] → [`machine_type`] → [`index`] → [`select`] →
//! [`errors`] and the answer, driven by [`flow`]. Nothing here knows Envoy except `filter`, which exists only in
//! the WebAssembly build.

pub mod digest;
pub mod feature;
pub mod index;
pub mod machine_type;
pub mod media_type;
pub mod microarchitecture;
pub mod platform;
pub mod select;
pub mod words;
