//! Counters in Envoy's statistics, defined once: `wasmcustom.metahub_…`.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use crate::flow::Counter;

/// Envoy's numbers of our counters.
#[derive(Default)]
pub(super) struct Metrics(Vec<(Counter, u32)>);

impl Metrics {
    /// Defines all counters, so that each is visible, as zero, from the start.
    pub(super) fn define() -> Self {
        let define = |counter: &Counter| {
            let id = hostcalls::define_metric(MetricType::Counter, counter.name()).ok()?;
            Some((*counter, id))
        };
        Self(Counter::ALL.iter().filter_map(define).collect())
    }

    pub(super) fn increment(&self, counter: Counter) {
        if let Some((_, id)) = self.0.iter().find(|(defined, _)| *defined == counter) {
            let _ = hostcalls::increment_metric(*id, 1);
        }
    }
}
