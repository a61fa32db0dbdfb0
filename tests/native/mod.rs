//! Tests that need nothing but this crate.

mod build_scripts;
mod driver;
mod envoy;
mod explain;
mod explain_documents;
mod explain_walk;
mod flow_access;
mod flow_cache;
mod flow_forwarded;
mod flow_guessing;
mod flow_large;
mod flow_lies;
mod flow_pull;
mod flow_request;
mod flow_trust;
mod flow_upstream;
mod fuzzed;
mod host_driver;
mod layers;
mod planted_faults;
mod promises;
mod schema;
pub(crate) mod selection;
mod support_images;
mod support_plateau;
