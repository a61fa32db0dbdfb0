//! Mirrors between clients and MetaHub, by what their requests say. A mirror that keeps a tag gives one machine's image
//! to every node behind it. It is counted, and never refused: some ask for each tag, and many keep digests only.

use super::onward;
use super::report::{Counter, Report};
use crate::config::Config;
use crate::machine_type::MachineType;
use crate::oci::reference::{Repository, Tag};
use crate::text::headers::Headers;

/// Products that mirrors name in `User-Agent` (RFC 9110 §10.1.5), without their version: Spegel, Dragonfly's dfdaemon,
/// Harbor, zot and other programs that copy with regclient. `Go-http-client` is what a Go program sends that names
/// itself no better: distribution's pull-through cache and Kraken. No container runtime does.
const PRODUCTS: [&str; 5] = ["spegel", "dragonfly", "harbor-registry-client", "regclient", "Go-http-client"];
/// regclient's own command line, with which people ask.
const COMMAND: &str = "regclient/regctl";
/// The headers of requests that Spegel and dfdaemon pass on.
const HEADERS: [&str; 2] = ["x-spegel-mirrored", "x-dragonfly-registry"];

/// How a request shows that it came through a mirror; `None` if it does not.
fn sign(config: &Config, headers: Headers<'_>) -> Option<&'static str> {
    let agent = headers.text("user-agent").unwrap_or_default();
    let product = agent.split(['/', ' ']).next().unwrap_or_default();
    let product = PRODUCTS.into_iter().find(|name| *name == product && !agent.starts_with(COMMAND));
    let own = || HEADERS.into_iter().find(|name| headers.has(name));
    product.or_else(own).or_else(|| names_metahub(config, headers).then_some("ns"))
}

/// Whether containerd's `ns` names the host that was asked, or one by which nodes say what they are. containerd adds it
/// only where it asks another host than the image's own, so the one that it asked has passed the request on, or that
/// host's word is lost.
fn names_metahub(config: &Config, headers: Headers<'_>) -> bool {
    let ns = headers.text(":path").and_then(onward::host);
    ns.map(|ns| ns.replace("%3A", ":").replace("%3a", ":")).is_some_and(|ns| {
        headers.text(":authority").is_some_and(|host| ns.eq_ignore_ascii_case(host))
            || config.machine_type_from().hosts.find(ns.as_bytes()).is_some()
    })
}

/// The report of a request for a tag that came through a mirror.
pub(super) fn report(
    config: &Config,
    headers: Headers<'_>,
    repository: &Repository,
    tag: &Tag,
    machine_type: &MachineType,
) -> Option<Report> {
    let sign = sign(config, headers)?;
    let line = format!(
        "{repository}:{tag} is asked for through a mirror ({sign}) for machine type {}; a mirror that keeps the tag \
         gives this image to other kinds of nodes",
        machine_type.label()
    );
    Some(Report { topic: Some(format!("mirror {sign}")), ..Report::fault(Counter::Mirrored, line) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::feature::FeatureRules;
    use crate::machine_type::described::Notation;

    #[test]
    fn mirrors_are_known_by_what_they_send() {
        let config = br#"{
            "machine_types": { "a": { "architecture": "amd64" } },
            "machine_type_from": { "hosts": { "gpu1.hub.example": "a", "*.nodes.hub.example": "*" } },
            "registries": { "r": { "host": "r", "authentication": "none" } }
        }"#;
        let config = Config::parse(config, &|_| None).unwrap();
        let rows: [(&[(&str, &str)], Option<&str>); 25] = [
            (&[("user-agent", "spegel")], Some("spegel")),
            (&[("user-agent", "dragonfly/1.0.11")], Some("dragonfly")),
            (&[("user-agent", "harbor-registry-client")], Some("harbor-registry-client")),
            (&[("user-agent", "regclient/regclient (v0.11.5)")], Some("regclient")),
            (&[("user-agent", "regclient/regsync (v0.11.5)")], Some("regclient")),
            (&[("user-agent", "Go-http-client/1.1")], Some("Go-http-client")),
            (&[("user-agent", "Go-http-client/2.0")], Some("Go-http-client")),
            (&[("user-agent", "regclient/regctl (v0.11.5)")], None),
            (&[("user-agent", "spegelish/1")], None),
            (&[("user-agent", "containerd/2.3.1 (spegel)")], None),
            (&[("user-agent", "")], None),
            (&[("user-agent", "containerd/2.3.1"), ("x-spegel-mirrored", "true")], Some("x-spegel-mirrored")),
            (&[("user-agent", "containerd/2.3.1"), ("x-dragonfly-registry", "x")], Some("x-dragonfly-registry")),
            (&[(":path", "/v2/a/manifests/1?ns=hub.example"), (":authority", "hub.example")], Some("ns")),
            (&[(":path", "/v2/a/manifests/1?x=y&ns=HUB.example"), (":authority", "hub.example")], Some("ns")),
            (&[(":path", "/v2/a/manifests/1?ns=hub%3A5000"), (":authority", "hub:5000")], Some("ns")),
            (&[(":path", "/v2/a/manifests/1?ns=hub%3a5000"), (":authority", "hub:5000")], Some("ns")),
            (&[(":path", "/v2/a/manifests/1?ns=gpu1.hub.example"), (":authority", "hub.example")], Some("ns")),
            (&[(":path", "/v2/a/manifests/1?ns=x.nodes.hub.example:80"), (":authority", "hub.example")], Some("ns")),
            // As containerd asks MetaHub for the images of another registry.
            (&[(":path", "/v2/a/manifests/1?ns=docker.io"), (":authority", "hub.example")], None),
            (&[(":path", "/v2/a/manifests/1?ns=hub.example:5000"), (":authority", "hub.example")], None),
            (&[(":path", "/v2/a/manifests/1?ns="), (":authority", "hub.example")], None),
            (&[(":path", "/v2/a/manifests/1"), (":authority", "hub.example")], None),
            (&[(":path", "/v2/a/manifests/1?ns=hub.example")], None),
            (&[], None),
        ];
        for (headers, expected) in rows {
            let list: Vec<_> =
                headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
            assert_eq!(sign(&config, Headers(&list)), expected, "{headers:?}");
        }
    }

    /// A described machine's name may have a kilobyte.
    #[test]
    fn the_line_cuts_a_description() {
        let config = br#"{ "machine_types": { "a": { "architecture": "amd64" } },
            "registries": { "r": { "host": "r", "authentication": "none" } } }"#;
        let config = Config::parse(config, &|_| None).unwrap();
        let features: Vec<String> = (0..10).map(|number| format!("{number}{}", "x".repeat(60))).collect();
        let text = format!("cpu=icelake,{}", features.join(","));
        let machine = MachineType::described(&text, Notation::Plain, &FeatureRules::default()).unwrap();
        let headers = [("user-agent".to_owned(), b"spegel".to_vec())];
        let (repository, tag) = (Repository::parse("a").unwrap(), Tag::parse("b").unwrap());
        let report = report(&config, Headers(&headers), &repository, &tag, &machine).unwrap();
        let line = report.line.unwrap();
        assert!(line.contains("cpu=icelake") && line.contains("...") && line.len() < 350, "{line}");
    }
}
