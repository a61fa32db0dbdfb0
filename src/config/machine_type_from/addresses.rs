//! `machine_type_from.addresses`: the networks of clients, and what their machines are.
//!
//! All addresses are IPv6 here: an IPv4 address is its IPv4-mapped one (RFC 4291, section 2.5.5.2), so that both ways
//! of writing it are one. Networks are sorted by their first address. Two networks are apart or one is within the
//! other, so an address is in the last network that begins at or before it, or in one around that, or in none.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::super::error::ConfigError;
use super::super::machine_types::MachineTypes;
use crate::auth::account::View;

/// The most networks: a bound for the time that a configuration takes.
const MAX_NETWORKS: usize = 10_000;

/// The bits of a prefix that make an IPv6 address an IPv4-mapped one.
const MAPPED: u8 = 96;

/// Networks with the view of their clients.
#[derive(Debug, Default)]
pub struct Addresses(Vec<Network>);

#[derive(Debug)]
struct Network {
    first: u128,
    /// The length of the prefix.
    length: u8,
    /// The place of the smallest network around this one.
    around: Option<usize>,
    view: View,
}

impl Network {
    const fn contains(&self, address: u128) -> bool {
        (address ^ self.first) & mask(self.length) == 0
    }
}

impl Addresses {
    /// Validates networks and the names of what their machines are.
    ///
    /// # Errors
    /// [`ConfigError`] for the first that cannot be accepted, and for a network that is there twice.
    pub(super) fn new(raw: BTreeMap<String, String>, machine_types: &MachineTypes) -> Result<Self, ConfigError> {
        if raw.len() > MAX_NETWORKS {
            let message = format!("more than {MAX_NETWORKS} networks; join some, or let nodes say what they are");
            return Err(ConfigError::new("machine_type_from.addresses", message));
        }
        let field = |text: &str| format!("machine_type_from.addresses.{text}");
        let mut read = Vec::with_capacity(raw.len());
        for (text, name) in raw {
            let network = network(&text).map_err(|message| ConfigError::new(field(&text), message))?;
            let view = machine_types.view(&name).map_err(|message| ConfigError::new(field(&text), message))?;
            read.push((network, text, view));
        }
        read.sort_by_key(|(network, ..)| *network);
        for ((one, other, _), (another, text, _)) in read.iter().zip(read.iter().skip(1)) {
            if one == another {
                return Err(ConfigError::new(field(text), format!("the same network as {other}; keep one")));
            }
        }
        let mut addresses = Self(Vec::with_capacity(read.len()));
        for ((first, length), _, view) in read {
            let around = addresses.innermost(addresses.0.len(), first).map(|(place, _)| place);
            addresses.0.push(Network { first, length, around, view });
        }
        Ok(addresses)
    }

    /// The view of a client at this address: that of the smallest network with it.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&View> {
        let address = bits(address);
        let behind = self.0.partition_point(|network| network.first <= address);
        let (_, network) = self.innermost(behind, address)?;
        // `::/0` is all of IPv6 and none of IPv4.
        (network.length >= MAPPED || !is_mapped(address)).then_some(&network.view)
    }

    /// Whether no network is configured.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest network with this address, and its place; `behind` is the place of the first network that begins
    /// behind the address.
    fn innermost(&self, behind: usize, address: u128) -> Option<(usize, &Network)> {
        let mut place = behind.checked_sub(1)?;
        loop {
            let network = self.0.get(place)?;
            if network.contains(address) {
                return Some((place, network));
            }
            place = network.around?;
        }
    }
}

/// The first address of a network and the length of its prefix.
fn network(text: &str) -> Result<(u128, u8), String> {
    let malformed = || "not a network such as 10.1.0.0/16 or 2001:db8::/32, nor an address".to_owned();
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().map_err(|_| malformed())?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => Some(longest),
        // Rust reads `+8` and `08` too.
        Some(text) => text.parse().ok().filter(|length: &u8| *length <= longest && text == length.to_string()),
    };
    let length = length.ok_or_else(malformed)? + (128 - longest);
    let address = bits(address);
    let first = address & mask(length);
    if is_mapped(address) && length < MAPPED {
        return Err("IPv4-mapped addresses count as IPv4; write the IPv4 network".to_owned());
    }
    if first != address {
        let length = if is_mapped(first) { length - MAPPED } else { length };
        let first = Ipv6Addr::from_bits(first).to_canonical();
        return Err(format!("its address has bits behind the prefix; write {first}/{length}"));
    }
    Ok((first, length))
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

const fn is_mapped(address: u128) -> bool {
    address >> 32 == 0xffff
}

/// A prefix's bits.
const fn mask(length: u8) -> u128 {
    match length {
        0 => 0,
        length => u128::MAX << (128 - length),
    }
}

#[cfg(test)]
mod tests;
