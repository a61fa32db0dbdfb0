//! The state of one worker under one configuration, and Envoy as it sends callouts for it.

use std::rc::{Rc, Weak};
use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

use crate::metrics::Metrics;
use metahub::config::Config;
use metahub::flow::{Callout, WorkerState};
use metahub::host::callouts::{self, TICK, TIMEOUT};
use metahub::host::flights::Outcome;
use metahub::host::{Callouts, NotSent, Sender};

/// The state that all streams of one worker and one configuration share.
pub(crate) struct Shared {
    pub(crate) envoy: Envoy,
    pub(crate) config: Option<Config>,
    pub(crate) state: WorkerState,
    pub(crate) metrics: Metrics,
    pub(crate) callouts: Callouts<Envoy>,
}

impl Shared {
    pub(crate) fn new(envoy: Envoy, config: Option<Config>, metrics: Metrics) -> Rc<Self> {
        Rc::new(Self { envoy, config, state: WorkerState::default(), metrics, callouts: Callouts::default() })
    }
}

/// A stream, as far as a callout concerns it.
pub(crate) trait OnCallout {
    /// A callout that it waits for has come to this.
    fn on_callout(&self, outcome: &Outcome);
}

/// Envoy, as it sends callouts.
#[derive(Clone, Copy)]
pub(crate) struct Envoy {
    /// Its number of the root context.
    pub(crate) root: u32,
}

impl Sender for Envoy {
    type Waiting = Weak<dyn OnCallout>;
    type Id = u32;
    type Error = Status;

    fn send(&self, callout: &Callout) -> Result<u32, NotSent<Status>> {
        let headers = callouts::headers(callout).collect();
        // After a delivery Envoy still acts for the stream that had it, and would end the callout with that.
        let sent = hostcalls::set_effective_context(self.root)
            .and_then(|()| hostcalls::dispatch_http_call(&callout.cluster, headers, None, Vec::new(), TIMEOUT));
        sent.map_err(|status| {
            if status == Status::InternalFailure { NotSent::Busy(status) } else { NotSent::Impossible(status) }
        })
    }

    fn set_ticking(&self, ticking: bool) -> bool {
        hostcalls::set_tick_period(if ticking { TICK } else { Duration::ZERO }).is_ok()
    }

    fn time(&self) -> Option<Duration> {
        hostcalls::get_current_time().ok()?.duration_since(UNIX_EPOCH).ok()
    }

    fn deliver(&self, waiting: Weak<dyn OnCallout>, outcome: &Outcome) -> bool {
        let waiting = waiting.upgrade();
        if let Some(waiting) = &waiting {
            waiting.on_callout(outcome);
        }
        waiting.is_some()
    }
}
