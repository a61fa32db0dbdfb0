//! Counters and gauges in Envoy's statistics, defined once: `wasmcustom.metahub_…`.

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use metahub::flow::Counter;

/// Envoy's numbers of our counters.
#[derive(Default)]
pub(crate) struct Metrics(Vec<(Counter, u32)>);

impl Metrics {
    /// Defines all of them, so that each is visible, as zero, from the start.
    pub(crate) fn define() -> Self {
        let define = |counter: &Counter| {
            let kind = if counter.is_gauge() { MetricType::Gauge } else { MetricType::Counter };
            let id = hostcalls::define_metric(kind, counter.name()).ok()?;
            Some((*counter, id))
        };
        Self(Counter::ALL.iter().filter_map(define).collect())
    }

    /// Adds to a counter or a gauge; a counter takes nothing but more.
    pub(crate) fn add(&self, counter: Counter, amount: i64) {
        if let Some((_, id)) = self.0.iter().find(|(defined, _)| *defined == counter)
            && (amount > 0 || counter.is_gauge())
        {
            let _ = hostcalls::increment_metric(*id, amount);
        }
    }
}
