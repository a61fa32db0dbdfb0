//! The memory of earlier requests: the store that the process shares, and the cache in it. The clock and the randomness
//! of the host stand with them.

pub mod cache;
pub mod in_memory;
pub(crate) mod keys;
pub mod resources;
