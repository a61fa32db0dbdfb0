//! The one integration binary: behaviour through the public interface.
//!
//! `native` needs nothing but this crate and runs with `make check`. `real` needs Envoy, a registry and container
//! clients, which `make test` installs; run one of them with `make test ARGS=real::…`.

// Helpers beside the tests may panic too (clippy.toml allows it under this attribute only).
#[cfg(test)]
mod native;
#[cfg(test)]
mod real;
