//! Clients, as their failed logins are counted.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The network of an IPv6 client: most can take any address in it.
const NETWORK: u128 = u128::MAX << 64;

/// All clients that share a budget: those of one IPv4 address, those of one IPv6 network of 64 bits, or all whose
/// address Envoy does not know (a listener on a Unix socket).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client(Option<IpAddr>);

impl Client {
    /// The client at this address. An IPv4 address that is written as an IPv6 one is the IPv4 address.
    pub(crate) fn at(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
        }))
    }

    /// Different bytes for each client.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self.0 {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(network)) => network.octets().to_vec(),
            None => Vec::new(),
        }
    }
}

impl fmt::Display for Client {
    /// The client, as log lines name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(IpAddr::V4(address)) => write!(f, "{address}"),
            Some(IpAddr::V6(network)) => write!(f, "{network}/64"),
            None => f.write_str("an unknown address"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_counts_by_network_and_ipv4_by_address() {
        for (address, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
            ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
            ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(Client::at(Some(address.parse().unwrap())).to_string(), expected, "{address}");
        }
        assert_eq!(Client::at(None).to_string(), "an unknown address");
    }

    #[test]
    fn no_two_clients_have_the_same_bytes() {
        let at = |address: &str| Client::at(address.parse().ok()).bytes();
        let mut all = [at("none"), at("0.0.0.0"), at("0.0.0.1"), at("::"), at("0:0:0:1::"), at("1::")];
        all.sort();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
        assert_eq!((at("1::2"), at("::ffff:0.0.0.1")), (at("1::3"), at("0.0.0.1")));
    }
}
