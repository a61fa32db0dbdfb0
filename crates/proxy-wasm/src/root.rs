//! The root context of one worker and one configuration: it sends callouts and delivers their answers.
//!
//! Only its own callbacks can send callouts under its name, because the SDK notes who was active.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, MapType};

use crate::http::Http;
use crate::metrics::Metrics;
use crate::resources::SharedData;
use crate::shared::Shared;
use metahub::config::Config;
use metahub::host::{Sender as _, put_in_force};

/// One per worker and configuration: a reload makes a new one, and streams keep the one they began with.
pub(crate) struct Root {
    shared: Rc<Shared>,
}

impl Root {
    /// The one that Envoy knows by this number; it has no configuration yet.
    pub(crate) fn new(id: u32) -> Self {
        Self { shared: Shared::new(id, None, Metrics::default()) }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, id: u32, headers: usize, size: usize, _trailers: usize) {
        let shared = &*self.shared;
        // A callout without headers was reset or cut off.
        let status = || (headers > 0).then(status).flatten();
        if shared.events.as_ref().is_some_and(|events| events.answered(shared, id, status)) {
            return;
        }
        shared.callouts.answered(&shared.envoy, id, size, |size| (headers > 0).then(|| answer(size)));
    }
}

/// Its configuration has been replaced, and no stream uses it any more. `on_done` is too costly for that: every stream
/// would have it too, so `tools/trim` takes it out of the filter.
impl Drop for Root {
    fn drop(&mut self) {
        if let Some(events) = &self.shared.events {
            events.end(&*self.shared);
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten();
        match Config::parse(&bytes.unwrap_or_default(), &|name| std::env::var(name).ok()) {
            Ok(config) => {
                let metrics = Metrics::define();
                put_in_force(&config, &SharedData, |counter, amount| metrics.add(counter, amount));
                self.shared = Shared::new(self.shared.envoy.root, Some(config), metrics);
                // Events need ticks always; callouts ask for them.
                !self.shared.envoy.posts || self.shared.envoy.set_ticking(false)
            }
            Err(error) => {
                log::error!("configuration refused, the one before stays in force: {error}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.shared.callouts.on_tick(&self.shared.envoy);
        if let Some(events) = &self.shared.events {
            events.on_tick(&*self.shared);
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(context_id, Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The status of the answer that Envoy has at hand.
fn status() -> Option<u16> {
    let status = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, ":status").ok()??;
    str::from_utf8(&status).ok()?.parse().ok()
}

/// Headers and body of the answer that Envoy has at hand.
fn answer(size: usize) -> (Vec<(String, Vec<u8>)>, Vec<u8>) {
    let headers = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default();
    let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).ok().flatten();
    (headers, body.unwrap_or_default())
}
