//! The surroundings of tests and the demo: real processes, a real registry, a real Envoy with the shipped
//! configuration.
//!
//! Three rules hold everywhere here. Ports are free ones, readiness is polled (nothing sleeps and hopes), and every
//! process ends with the value that owns it, also when a test panics or is killed. Fallible functions return
//! [`Result`]: a test unwraps it, the demo prints it.

pub mod bench;
pub mod certificates;
pub mod client;
pub mod command;
pub mod config;
pub mod elf;
pub mod envoy;
pub mod http;
pub mod image;
pub mod key;
pub mod plateau;
pub mod port;
pub mod process;
pub mod registry;
pub mod sandbox;
pub mod schema;
pub mod server;
pub mod skip;
pub mod stage;
pub mod tar;
pub mod temp;
pub mod tls_front;
pub mod token_service;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The top of the repository.
pub fn root() -> &'static Path {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.and_then(Path::parent).expect("crates/testkit stands two folders below it")
}

/// Something in the test environment did not work; the text says what and, where possible, what to do.
#[derive(Clone)]
pub struct Failure(String);

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `unwrap` prints the Debug form; a multi-line text (a process's log) is unreadable when escaped.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Calls `probe` every 10 ms until it returns a value; fails after `limit`, naming `what` was waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!("{what}: not within {limit:?}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
