//! Log lines go to Envoy's log. The SDK's own logger unwraps, but a line that cannot be written must not fail a
//! request.

use log::{Level, LevelFilter, Log, Metadata, Record};
use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;

struct EnvoyLog;

/// Lets the `log` crate's macros write to Envoy's log.
pub(crate) fn install() {
    if log::set_logger(&EnvoyLog).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for EnvoyLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        };
        let _ = hostcalls::log(level, &record.args().to_string());
    }

    fn flush(&self) {}
}
