//! What tests and the demo run against: real processes, a real registry, a real Envoy with the shipped configuration.
//!
//! Three rules hold everywhere here. Ports are free ones, readiness is polled (nothing sleeps and hopes), and every
//! process ends with the value that owns it, also when a test panics or is killed. Fallible functions return
//! [`Result`]: a test unwraps it, the demo prints it.

#![allow(dead_code, reason = "shared by the tests and by examples/demo.rs; neither uses all of it")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "test code: clippy knows the exemption only inside #[test] functions"
)]

pub(crate) mod bench;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod elf;
pub(crate) mod envoy;
pub(crate) mod http;
pub(crate) mod image;
pub(crate) mod key;
pub(crate) mod memory;
pub(crate) mod mock_registry;
pub(crate) mod plateau;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod raw_http2;
pub(crate) mod registries;
pub(crate) mod registry;
pub(crate) mod sandbox;
pub(crate) mod schema;
pub(crate) mod tar;
pub(crate) mod temp;
pub(crate) mod tls_front;
pub(crate) mod token_service;

use std::fmt;
use std::time::{Duration, Instant};

/// Something in the test environment did not work; the text says what and, where possible, what to do.
#[derive(Clone)]
pub(crate) struct Failure(String);

/// The result of everything here that can fail.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
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
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
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
