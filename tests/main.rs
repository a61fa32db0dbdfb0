//! The one integration test binary: behaviour through the public interface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, in its helpers too"
)]

// Helpers beside the tests may panic too (clippy.toml allows it under this attribute only).
#[cfg(test)]
mod native;
