//! Code that several benchmarks share.

pub mod indexes;
