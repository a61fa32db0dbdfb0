//! What several benchmarks share.

pub mod indexes;
