//! Free TCP ports on the loopback address.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below Linux's ephemeral range (32768 and up): there an outgoing connection could take the port in the moment
/// between our finding it free and a server's binding it.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Ports handed out by this process; tests run in parallel threads, and a port stays free until its server binds it.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nothing listens on and that no other caller in this process was given.
pub fn free() -> u16 {
    // Another process starts elsewhere in the range, so that two test runs rarely meet.
    let span = RANGE.end - RANGE.start;
    let start = u16::try_from(std::process::id().wrapping_mul(151) % u32::from(span)).unwrap_or(0);
    for _ in 0..span {
        let port = RANGE.start + (start + NEXT.fetch_add(1, Ordering::Relaxed) % span) % span;
        if is_free(port) && TAKEN.lock().unwrap().insert(port) {
            return port;
        }
    }
    panic!("no free port in {RANGE:?}");
}

/// Whether a server could listen on this loopback port now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).is_ok()
}
