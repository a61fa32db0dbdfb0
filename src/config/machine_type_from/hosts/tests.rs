//! Which host says what.

use serde_json::json;

use super::*;
use crate::config::Config;
use crate::config::tests::{parse, with};

fn config() -> Config {
    let hosts = json!({
        "GPU1.hub.example": "type1",
        "gpu1.nodes.example.": "type1",
        "*.Nodes.example": "*",
        "*.arm.example": "type2",
        "all.arm.example": "unfiltered",
        "10.0.0.1": "type1",
        "[2001:DB8:0::1]": "type2",
        "localhost": "type1",
    });
    parse(&with("/machine_type_from", json!({ "hosts": hosts }))).unwrap()
}

#[test]
fn hosts_say_what_is_configured() {
    let config = config();
    let said = |authority: &[u8]| match config.machine_type_from().hosts.find(authority) {
        None => "-".to_owned(),
        Some(HostClaim::Configured(view)) => view.name().to_owned(),
        Some(HostClaim::Label(label)) => format!("*{label}"),
    };
    for (authority, expected, why) in [
        ("gpu1.hub.example", "type1", "an exact name"),
        ("GPU1.Hub.Example", "type1", "letter case"),
        ("gpu1.hub.example:8443", "type1", "a port"),
        ("gpu1.hub.example.", "type1", "a final dot"),
        ("Gpu1.hub.example.:80", "type1", "all of them"),
        ("gpu1.hub.example:", "type1", "an empty port (RFC 3986, section 3.2.3)"),
        ("gpu1.hub.example..", "-", "two final dots"),
        ("gpu1.hub.example:http", "-", "no port"),
        ("hub.example", "-", "another name"),
        ("x.gpu1.hub.example", "-", "a name below"),
        ("gpu1.nodes.example:80", "type1", "an exact name goes before a wildcard"),
        ("type9.nodes.example", "*type9", "a label, whatever it says"),
        ("TYPE2.nodes.example:5000", "*type2", "a label in lower case"),
        ("unfiltered.nodes.example", "*unfiltered", "a label is never more than a text"),
        ("a.b.nodes.example", "-", "a wildcard is one label"),
        (".nodes.example", "-", "and not none"),
        ("nodes.example", "-", "and not the name itself"),
        ("*.nodes.example", "-", "a client's wildcard is no host"),
        ("x.arm.example", "type2", "a wildcard with a machine type"),
        ("all.arm.example", "unfiltered", "the operator's word"),
        ("10.0.0.1:5000", "type1", "an IPv4 address"),
        ("[2001:db8::1]", "type2", "an IPv6 address"),
        ("[2001:DB8::0:1]:5000", "type2", "an IPv6 address otherwise written, with a port"),
        ("2001:db8::1", "-", "an IPv6 address without brackets is none"),
        ("[2001:db8::1", "-", "nor with one"),
        ("localhost", "type1", "one label"),
        ("user@localhost", "-", "a user is no part of a host"),
        ("local host", "-", "a blank"),
        ("", "-", "nothing"),
        (".", "-", "a dot"),
        (":80", "-", "a port alone"),
    ] {
        assert_eq!(said(authority.as_bytes()), expected, "{authority}: {why}");
    }
    assert_eq!(said(b"\xff.nodes.example"), "-", "not UTF-8");
    assert_eq!(said("\u{e4}.nodes.example".as_bytes()), "-", "not ASCII");
    assert_eq!(said(format!("{}.nodes.example", "a".repeat(300)).as_bytes()), "-", "too long");
}

#[test]
fn hosts_are_refused_with_what_is_wrong() {
    let malformed = "not a host name, `*.` and a host name, or an IPv6 address in brackets";
    let port = "a port does not count here; leave it out";
    for (host, message) in [
        ("", malformed),
        (".", malformed),
        ("*", malformed),
        ("*.", malformed),
        ("*a.example", malformed),
        ("*.*.example", malformed),
        ("a.*", malformed),
        ("*.[::1]", malformed),
        ("[10.0.0.1]", malformed),
        ("::1", malformed),
        ("https://a.example", malformed),
        ("a.example/v2", malformed),
        ("a b", malformed),
        ("a.example:80", port),
        ("*.a.example:", port),
        ("[::1]:80", port),
    ] {
        assert_eq!(super::host(host), Err(message), "{host}");
    }
    assert_eq!(super::host(&"a".repeat(253)), Ok("a".repeat(253)));
    assert_eq!(super::host(&"a".repeat(254)), Err(malformed));
}

/// Two wildcards with a host in common are one: each stands for one label.
#[test]
fn hosts_that_are_there_twice_are_refused() {
    for (one, other) in [
        ("a.example", "A.example"),
        ("a.example", "a.example."),
        ("*.a.example", "*.A.example"),
        ("*.a.example", "*.a.example."),
        ("[::1]", "[0:0::1]"),
    ] {
        let from = json!({ "hosts": { one: "type1", other: "type1" } });
        let error = parse(&with("/machine_type_from", from)).unwrap_err();
        assert!(error.message.contains("; letter case and a final dot do not count"), "{error}");
        let named = [one, other].map(|host| error.to_string().contains(host));
        assert_eq!(named, [true, true], "{error}");
    }
    let from = json!({ "hosts": { "*.a.example": "*", "*.b.a.example": "*", "c.a.example": "type1" } });
    assert!(parse(&with("/machine_type_from", from)).is_ok(), "these have no host in common");
}
