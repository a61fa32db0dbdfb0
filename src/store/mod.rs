//! What is kept of earlier requests: the process-wide memory, and the cache in it.

pub mod cache;
pub mod in_memory;
pub(crate) mod keys;
pub mod memory;
