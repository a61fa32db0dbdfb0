//! Log lines as values, for tests and fuzzing.

use std::cell::RefCell;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// A line that was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its level.
    pub level: Level,
    /// Its text.
    pub text: String,
}

thread_local! {
    static LINES: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

struct Collector;

impl Log for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = Line { level: record.level(), text: record.args().to_string() };
        LINES.with_borrow_mut(|lines| lines.push(line));
    }

    fn flush(&self) {}
}

/// The result of an action, and what this thread has logged in it.
pub fn collect<T>(action: impl FnOnce() -> T) -> (T, Vec<Line>) {
    // All threads share one collector; the first to come installs it.
    if log::set_logger(&Collector).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
    let before = LINES.take();
    let result = action();
    (result, LINES.replace(before))
}
