//! The one integration test binary: behaviour through the public interface.

// Helpers beside the tests may panic too (clippy.toml allows it under this attribute only).
#[cfg(test)]
mod native;
