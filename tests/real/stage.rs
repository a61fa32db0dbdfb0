//! Envoy before a registry with the demo image.

use metahub_testkit::bench::Bench;
use metahub_testkit::envoy::{Builder, Envoy};
use metahub_testkit::registry::Registry;

/// The processes, and what the image is.
pub(super) struct Stage {
    pub(super) bench: Bench,
    pub(super) registry: Registry,
    pub(super) envoy: Envoy,
}

impl Stage {
    /// With the Envoy that `before` makes for the registry.
    pub(super) fn set(before: impl FnOnce(&Registry) -> Builder) -> Self {
        let registry = Registry::start().unwrap();
        let bench = Bench::build();
        bench.push(&registry).unwrap();
        let envoy = before(&registry).start().unwrap();
        Self { bench, registry, envoy }
    }
}
