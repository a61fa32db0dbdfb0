//! Names of hardware, and the rules of what runs on it: features, microarchitectures, versions.

pub mod feature;
pub mod microarchitecture;
