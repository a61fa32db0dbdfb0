//! The adapter to Envoy: callbacks become events, steps become host calls. Nothing is decided here.
//!
//! Header values are read as bytes and host calls through `proxy_wasm::hostcalls`: the SDK's trait methods unwrap,
//! and a panic takes the worker's VM down with every stream in it.

mod http;
mod memory;
mod metrics;

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};

use self::http::Http;
use self::metrics::Metrics;
use crate::config::Config;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

/// One per worker and configuration: a reload makes a new one, and streams keep the one they began with.
#[derive(Default)]
struct Root {
    config: Option<Rc<Config>>,
    metrics: Rc<Metrics>,
}

impl Context for Root {}

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
                self.metrics = Rc::new(Metrics::define());
                self.config = Some(Rc::new(config));
                true
            }
            Err(error) => {
                log(LogLevel::Error, &format!("configuration refused, the one before stays in force: {error}"));
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(self.config.clone(), Rc::clone(&self.metrics))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// A log line that cannot be written is no reason to fail a request.
fn log(level: LogLevel, line: &str) {
    let _ = hostcalls::log(level, line);
}
