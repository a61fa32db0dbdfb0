//! The root context of one worker and one configuration: it sends callouts and delivers their answers.
//!
//! Only its own callbacks can send callouts under its name, because the SDK notes who was active.

use std::rc::{Rc, Weak};
use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, MapType, Status};

use crate::http::{Http, Stream};
use crate::metrics::Metrics;
use crate::resources::SharedData;
use metahub::config::Config;
use metahub::flow::{Callout, WorkerState};
use metahub::host::callouts::{self, TICK, TIMEOUT};
use metahub::host::flights::Outcome;
use metahub::host::{Callouts, NotSent, Sender, put_in_force};

/// What all streams of one worker and one configuration share.
pub(crate) struct Shared {
    pub(crate) envoy: Envoy,
    pub(crate) config: Option<Config>,
    pub(crate) state: WorkerState,
    pub(crate) metrics: Metrics,
    pub(crate) callouts: Callouts<Envoy>,
}

/// One per worker and configuration: a reload makes a new one, and streams keep the one they began with.
pub(crate) struct Root {
    shared: Rc<Shared>,
}

impl Shared {
    fn new(envoy: Envoy, config: Option<Config>, metrics: Metrics) -> Rc<Self> {
        Rc::new(Self { envoy, config, state: WorkerState::default(), metrics, callouts: Callouts::default() })
    }
}

impl Root {
    /// The one that Envoy knows by this number; it has no configuration yet.
    pub(crate) fn new(id: u32) -> Self {
        Self { shared: Shared::new(Envoy { root: id }, None, Metrics::default()) }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, id: u32, headers: usize, size: usize, _trailers: usize) {
        // Without headers it was reset, or cut off.
        self.shared.callouts.answered(&self.shared.envoy, id, size, |size| (headers > 0).then(|| answer(size)));
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten();
        match Config::parse(&bytes.unwrap_or_default(), &|name| std::env::var(name).ok()) {
            Ok(config) => {
                let metrics = Metrics::define();
                put_in_force(&config, &SharedData, |counter, amount| metrics.add(counter, amount));
                self.shared = Shared::new(self.shared.envoy, Some(config), metrics);
                true
            }
            Err(error) => {
                log::error!("configuration refused, the one before stays in force: {error}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.shared.callouts.on_tick(&self.shared.envoy);
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(context_id, Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Envoy, as it sends callouts.
#[derive(Clone, Copy)]
pub(crate) struct Envoy {
    /// Its number of the root context.
    root: u32,
}

impl Sender for Envoy {
    type Waiting = Weak<Stream>;
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

    fn deliver(&self, waiting: Weak<Stream>, outcome: &Outcome) -> bool {
        let stream = waiting.upgrade();
        if let Some(stream) = &stream {
            stream.on_callout(outcome);
        }
        stream.is_some()
    }
}

/// Headers and body of the answer that Envoy has at hand.
fn answer(size: usize) -> (Vec<(String, Vec<u8>)>, Vec<u8>) {
    let headers = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default();
    let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).ok().flatten();
    (headers, body.unwrap_or_default())
}
