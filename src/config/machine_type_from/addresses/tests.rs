//! Which network an address is in.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::tests::{parse, with};
use crate::config::{Config, ConfigError};

fn configuration(addresses: Value) -> Result<Config, ConfigError> {
    parse(&with("/machine_type_from", json!({ "addresses": addresses })))
}

fn found<'c>(config: &'c Config, address: &str) -> &'c str {
    config.machine_type_from().addresses.find(address.parse().unwrap()).map_or("-", View::name)
}

#[test]
fn the_longest_prefix_counts() {
    let config = configuration(json!({
        "10.0.0.0/8": "type1",
        "10.1.0.0/16": "type2",
        "10.1.2.0/24": "type1",
        "10.1.2.3": "unfiltered",
        "192.168.0.0/31": "type2",
        "::ffff:172.16.0.0/108": "type2",
        "2001:db8::/32": "type2",
        "2001:db8:0:1::/64": "type1",
        "2001:db8::1/128": "unfiltered",
        "::/0": "type1",
    }));
    let config = config.unwrap();
    for (address, expected) in [
        ("9.255.255.255", "-"),
        ("10.0.0.0", "type1"),
        ("10.1.0.0", "type2"),
        ("10.1.2.2", "type1"),
        ("10.1.2.3", "unfiltered"),
        ("10.1.2.4", "type1"),
        ("10.1.3.0", "type2"),
        ("10.255.255.255", "type1"),
        ("11.0.0.0", "-"),
        ("::ffff:10.1.2.3", "unfiltered"),
        ("::ffff:0a01:0300", "type2"),
        ("::10.1.2.3", "type1"),
        ("192.168.0.1", "type2"),
        ("192.168.0.2", "-"),
        ("172.16.0.1", "type2"),
        ("172.32.0.0", "-"),
        ("0.0.0.0", "-"),
        ("255.255.255.255", "-"),
        ("2001:db8::", "type2"),
        ("2001:db8::1", "unfiltered"),
        ("2001:db8:0:1:ffff::", "type1"),
        ("2001:db8:0:2::", "type2"),
        ("2001:db9::", "type1"),
        ("::", "type1"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "type1"),
    ] {
        assert_eq!(found(&config, address), expected, "{address}");
    }
    let all = configuration(json!({ "0.0.0.0/0": "type1" })).unwrap();
    let said = ["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4", "::", "::1:0:0:0"].map(|address| found(&all, address));
    assert_eq!(said, ["type1", "type1", "type1", "-", "-"]);
    let none = configuration(json!({})).unwrap();
    assert_eq!((found(&none, "10.0.0.1"), found(&none, "::1")), ("-", "-"));
}

#[test]
fn networks_are_refused_with_what_is_wrong() {
    let malformed = "not a network such as 10.1.0.0/16 or 2001:db8::/32, nor an address";
    let mapped = "IPv4-mapped addresses count as IPv4; write the IPv4 network";
    for (network, message) in [
        ("", malformed),
        ("/8", malformed),
        ("10.0.0.0/", malformed),
        ("10.0.0.0/33", malformed),
        ("::/129", malformed),
        ("10.0.0.0/-1", malformed),
        ("10.0.0.0/+8", malformed),
        ("10.0.0.0/08", malformed),
        ("10.0.0.0/8/8", malformed),
        ("10.0.0.0/255.0.0.0", malformed),
        ("10.0/8", malformed),
        ("10.0.0.01", malformed),
        (" 10.0.0.1", malformed),
        ("10.0.0.1:80", malformed),
        ("[::1]", malformed),
        ("fe80::1%2", malformed),
        ("*", malformed),
        ("::ffff:0.0.0.0/95", mapped),
        ("::ffff:10.0.0.0/16", mapped),
        ("10.1.2.3/16", "its address has bits behind the prefix; write 10.1.0.0/16"),
        ("10.0.0.1/0", "its address has bits behind the prefix; write 0.0.0.0/0"),
        ("::ffff:10.1.2.3/120", "its address has bits behind the prefix; write 10.1.2.0/24"),
        ("2001:db8::1/32", "its address has bits behind the prefix; write 2001:db8::/32"),
        ("::1/0", "its address has bits behind the prefix; write ::/0"),
    ] {
        assert_eq!(super::network(network), Err(message.to_owned()), "{network}");
    }
}

#[test]
fn a_network_that_is_there_twice_is_refused() {
    for (one, other) in
        [("10.0.0.0/8", "::ffff:10.0.0.0/104"), ("10.0.0.1", "10.0.0.1/32"), ("2001:db8::/32", "2001:DB8:0::/32")]
    {
        let error = configuration(json!({ one: "type1", other: "type1" })).unwrap_err();
        assert!(error.message.starts_with("the same network as "), "{error}");
        assert!(error.to_string().contains(one) && error.to_string().contains(other), "{error}");
    }
}

#[test]
fn ten_thousand_networks_are_the_most() {
    let networks = |count: u32| {
        let members = (0..count).map(|number| (Ipv4Addr::from(number << 8).to_string() + "/24", json!("type1")));
        configuration(Value::Object(members.collect()))
    };
    let config = networks(10_000).unwrap();
    assert_eq!((found(&config, "0.39.15.255"), found(&config, "0.39.16.0")), ("type1", "-"));
    assert_eq!(networks(10_001).unwrap_err().field, "machine_type_from.addresses");
}

/// Addresses of few bits, so that networks are often within each other, on both sides of the IPv4-mapped ones.
fn address() -> impl Strategy<Value = u128> {
    let bases = prop_oneof![Just(0_u128), Just(0xffff_0000_0000), Just(0xfffe_0000_0000), Just(0x2001_0db8 << 96)];
    let bit = (0_u32..128).prop_map(|bit| 1_u128 << bit);
    let bits = prop::collection::vec(prop_oneof![3 => (0_u32..34).prop_map(|bit| 1_u128 << bit), 1 => bit], 0..4);
    (bases, bits).prop_map(|(base, bits)| bits.into_iter().fold(base, |address, bit| address ^ bit))
}

proptest! {
    /// The rule as it is stated, network by network.
    #[test]
    fn it_is_the_longest_prefix_of_all(
        networks in prop::collection::vec((address(), 0_u8..=128), 0..40),
        clients in prop::collection::vec(address(), 1..20),
    ) {
        let mut stated: BTreeMap<(Ipv6Addr, u8), usize> = BTreeMap::new();
        let mut written = serde_json::Map::new();
        let mut document = with("/accounts", json!({}));
        document["registries"]["registry"]["authentication"] = json!("none");
        for (position, (address, length)) in networks.iter().copied().enumerate() {
            let first = Ipv6Addr::from_bits(address & mask(length));
            if first.to_ipv4_mapped().is_some() && length < 96 || stated.contains_key(&(first, length)) {
                continue;
            }
            // Half of the IPv4 networks are written as such.
            let text = match first.to_ipv4_mapped() {
                Some(first) if position % 2 == 0 => format!("{first}/{}", length - 96),
                _ => format!("{first}/{length}"),
            };
            stated.insert((first, length), position);
            written.insert(text, json!(format!("n{position}")));
            document["machine_types"][format!("n{position}")] = json!({ "architecture": "amd64" });
        }
        document["machine_type_from"] = json!({ "addresses": written });
        let config = parse(&document).unwrap();
        for client in networks.iter().map(|(address, _)| *address).chain(clients) {
            let client = Ipv6Addr::from_bits(client);
            let longest = stated
                .iter()
                .filter(|((first, length), _)| {
                    let is_same_family = client.to_ipv4_mapped().is_none() || *length >= 96;
                    is_same_family && client.to_bits() & mask(*length) == first.to_bits()
                })
                .max_by_key(|((_, length), _)| *length)
                .map_or_else(|| "-".to_owned(), |(_, position)| format!("n{position}"));
            prop_assert_eq!(found(&config, &client.to_string()), &longest, "{}", client);
            if let Some(client) = client.to_ipv4_mapped() {
                prop_assert_eq!(found(&config, &client.to_string()), &longest, "{}", client);
            }
        }
    }
}
