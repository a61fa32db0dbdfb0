//! The adapter to Envoy: callbacks become events, steps become host calls. Nothing is decided here.
//!
//! Header values are read as bytes and host calls through `proxy_wasm::hostcalls`: the SDK's trait methods unwrap,
//! and a panic takes the worker's VM down with every stream in it.

// Natively there is nothing to be host to.
#![cfg(target_arch = "wasm32")]

mod callouts;
mod http;
mod metrics;
mod resources;

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};

use self::callouts::Callouts;
use self::http::Http;
use self::metrics::Metrics;
use self::resources::SharedData;
use metahub::config::Config;
use metahub::flow::{Counter, WorkerState};

/// Apart, because the SDK's macro makes public functions.
mod entry {
    use super::Root;

    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| Box::<Root>::default());
    }}
}

/// What all streams of one worker and one configuration share.
#[derive(Default)]
struct Worker {
    config: Option<Rc<Config>>,
    metrics: Metrics,
    callouts: Callouts,
    state: WorkerState,
}

/// One per worker and configuration: a reload makes a new one, and streams keep the one they began with.
#[derive(Default)]
struct Root {
    worker: Rc<Worker>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, size: usize, _trailers: usize) {
        self.worker.callouts.answered(token, headers, size);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten();
        match Config::parse(&bytes.unwrap_or_default(), &|name| std::env::var(name).ok()) {
            Ok(config) => {
                for warning in config.warnings() {
                    log(LogLevel::Warn, warning);
                }
                let count = config.machine_type_count();
                log(LogLevel::Info, &format!("configuration in force: {count} machine types, {}", config.hash()));
                let metrics = Metrics::define();
                let growth = config.cache().resize(&SharedData);
                metrics.add(Counter::CacheBytes, growth.bytes);
                metrics.add(Counter::CacheEvicted, growth.evicted);
                self.worker = Rc::new(Worker { config: Some(Rc::new(config)), metrics, ..Worker::default() });
                true
            }
            Err(error) => {
                log(LogLevel::Error, &format!("configuration refused, the one before stays in force: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.worker.callouts.on_tick();
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(context_id, Rc::clone(&self.worker))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// A log line that cannot be written is no reason to fail a request.
fn log(level: LogLevel, line: &str) {
    let _ = hostcalls::log(level, line);
}
