//! A request as it arrives: its route, its headers and the client's address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::text::headers::Headers;

/// A request as it arrives.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// The Envoy cluster that its route leads to.
    pub cluster: Option<&'a str>,
    /// All request headers.
    pub headers: Headers<'a>,
    /// The client's address. Asking costs a call into Envoy, so the address is asked for only where a password must be
    /// checked, and where it says the machine type.
    pub address: &'a dyn Fn() -> Option<IpAddr>,
}

impl fmt::Debug for Arrival<'_> {
    /// The headers are left out: `Authorization` is one of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// The address in Envoy's attribute `source.address`, such as `10.0.0.1:5555` or `[::1]:5555`. A socket that has a path
/// instead, or none, has no address.
#[must_use]
pub fn source_address(attribute: &[u8]) -> Option<IpAddr> {
    Some(std::str::from_utf8(attribute).ok()?.parse::<SocketAddr>().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_envoy_calls_the_source() {
        for (attribute, expected) in [
            (&b"10.0.0.1:5555"[..], Some("10.0.0.1")),
            (b"10.0.0.1:0", Some("10.0.0.1")),
            (b"[::1]:5555", Some("::1")),
            (b"[::ffff:10.0.0.1]:5555", Some("::ffff:10.0.0.1")),
            (b"[fe80::1%2]:5555", Some("fe80::1")),
            (b"/run/metahub.socket", None),
            (b"10.0.0.1", None),
            (b"", None),
            (b"\xff:1", None),
        ] {
            assert_eq!(source_address(attribute), expected.map(|text| text.parse().unwrap()), "{attribute:?}");
        }
    }
}
