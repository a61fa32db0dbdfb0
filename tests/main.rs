//! The one integration binary.
//!
//! `native` needs nothing but this crate and runs with `make check`. `real` needs Envoy, a registry and container
//! clients, which `make test` installs; run one of them with `make test ARGS=real::…`.

#[cfg(test)]
mod native;
#[cfg(test)]
mod real;
#[cfg(test)]
mod support;
