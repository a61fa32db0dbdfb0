//! What hardware is called, and what runs on what: features and their rules, microarchitectures, versions.

pub mod feature;
pub mod microarchitecture;
