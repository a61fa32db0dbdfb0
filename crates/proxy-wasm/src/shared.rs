//! The state of one worker under one configuration, and Envoy as it sends callouts for it.

use std::rc::{Rc, Weak};
use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::Status;

use crate::metrics::Metrics;
use crate::resources::SharedData;
use metahub::config::Config;
use metahub::events::Receiver;
use metahub::flow::{Callout, Counter, WorkerState};
use metahub::host::callouts::{self, TICK, TIMEOUT};
use metahub::host::events::{PostHost, Poster, Posters};
use metahub::host::flights::Outcome;
use metahub::host::{Callouts, NotSent, Sender};
use metahub::store::resources::Resources;

/// The state that all streams of one worker and one configuration share.
pub(crate) struct Shared {
    pub(crate) envoy: Envoy,
    pub(crate) config: Option<Config>,
    pub(crate) state: WorkerState,
    pub(crate) metrics: Metrics,
    pub(crate) callouts: Callouts<Envoy>,
    /// The events of this worker, if the configuration has a receiver for them.
    pub(crate) events: Option<Rc<Poster<u32>>>,
}

thread_local! {
    /// Configurations that name the same receiver share what waits for it.
    static POSTERS: Posters<u32> = Posters::default();
}

impl Shared {
    pub(crate) fn new(root: u32, config: Option<Config>, metrics: Metrics) -> Rc<Self> {
        let events = config.as_ref().and_then(|config| POSTERS.with(|posters| posters.of(config)));
        let envoy = Envoy { root, posts: events.is_some() };
        let (state, callouts) = (WorkerState::default(), Callouts::default());
        Rc::new(Self { envoy, config, state, metrics, callouts, events })
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
    /// Whether events are posted, which takes ticks even if nothing else does.
    pub(crate) posts: bool,
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
        let period = match (ticking, self.posts) {
            (true, _) => TICK,
            (false, true) => Poster::<u32>::TICK,
            (false, false) => Duration::ZERO,
        };
        hostcalls::set_tick_period(period).is_ok()
    }

    fn time(&self) -> Option<Duration> {
        time()
    }

    fn deliver(&self, waiting: Weak<dyn OnCallout>, outcome: &Outcome) -> bool {
        let waiting = waiting.upgrade();
        if let Some(waiting) = &waiting {
            waiting.on_callout(outcome);
        }
        waiting.is_some()
    }
}

impl PostHost for Shared {
    type Id = u32;

    fn post(&self, receiver: &Receiver, body: &str) -> Option<u32> {
        let headers = receiver.headers().collect();
        let sent = hostcalls::set_effective_context(self.envoy.root).and_then(|()| {
            hostcalls::dispatch_http_call(&receiver.cluster, headers, Some(body.as_bytes()), Vec::new(), TIMEOUT)
        });
        sent.ok()
    }

    fn time(&self) -> Option<Duration> {
        time()
    }

    fn resources(&self) -> &dyn Resources {
        &SharedData
    }

    fn count(&self, counter: Counter, amount: i64) {
        self.metrics.add(counter, amount);
    }
}

fn time() -> Option<Duration> {
    hostcalls::get_current_time().ok()?.duration_since(UNIX_EPOCH).ok()
}
