//! The `hosts.toml` of docs/nodes.md, word for word, and why each of its lines is there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use metahub_testkit::Result;
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::certificates::{TLS_HOST, authority};
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::{Client as _, Pulled};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{self, stage};

/// The registry whose images nodes name, MetaHub before it, and a node.
struct Stage {
    containerd: Containerd,
    base: stage::Stage,
}

stands_on_base!(Stage);

impl Stage {
    fn set() -> Option<Self> {
        if reason_to_skip("containerd", &Containerd::PROGRAMS, true).unwrap().is_some() {
            return None;
        }
        let base = stage().folder("tls-listener").start().unwrap();
        let mut containerd = Containerd::start(Credentials::HostsToml).unwrap();
        containerd.mirror(&format!("127.0.0.1:{}", base.registry().port()));
        Some(Self { containerd, base })
    }

    /// The page's file with these credentials.
    fn hosts(&self, password: &str) -> String {
        let page = include_str!("../../docs/nodes.md");
        let (_, rest) = page.split_once("```toml\nserver = ").expect("hosts.toml in docs/nodes.md");
        let (text, _) = rest.split_once("```").expect("its end");
        let text =
            replace(&format!("server = {text}"), "metahub.example", &format!("{TLS_HOST}:{}", self.envoy.port()), 3);
        let text = replace(&text, "/etc/metahub/ca.crt", &authority().unwrap().display().to_string(), 2);
        replace(&text, "bm9kZS1ncHU6c2VjcmV0", &STANDARD.encode(format!("qnib-type2:{password}")), 2)
    }

    fn pull(&mut self, hosts: &str) -> Result<Pulled> {
        self.containerd.replace_hosts(hosts);
        let registry = self.registry().port();
        self.containerd.pull(&format!("127.0.0.1:{registry}/{REPOSITORY}:latest"))
    }
}

/// Replaces `from`, which the page's text must have this many times.
fn replace(text: &str, from: &str, to: &str, times: usize) -> String {
    assert_eq!(text.matches(from).count(), times, "occurrences of {from:?} in:\n{text}");
    text.replace(from, to)
}

/// The lines of a table, which begins with `[name]`, cut out of a TOML text.
fn without_table(text: &str, name: &str) -> String {
    let (before, rest) = text.split_once(name).expect("the table");
    let (_, after) = rest.split_once("\n\n").unwrap_or((rest, ""));
    format!("{before}{after}")
}

#[test]
fn a_node_gets_its_image_or_none() {
    let Some(mut stage) = Stage::set() else { return };
    let selected = stage.bench.digest(&["cpu:skylake"]);
    let (good, wrong) = (stage.hosts("qnib-type2"), stage.hosts("wrong"));
    assert_eq!(stage.pull(&good).unwrap().digest, selected);
    let error = stage.pull(&wrong).unwrap_err().to_string();
    assert!(error.contains(stage.containerd.header_refused()), "{error}");

    // Without `server` a wrong password is not an error: the node gets the image that every node gets.
    let server = good.lines().next().unwrap();
    let unnoticed = stage.pull(&replace(&wrong, server, "", 1)).unwrap();
    assert_eq!(unnoticed.digest, stage.bench.list.digest(), "is `server` not needed any more?");

    // Nor is a mistake in the file one.
    let unnoticed = stage.pull(&format!("{good}mistake = = 1\n")).unwrap();
    assert_eq!(unnoticed.digest, stage.bench.list.digest(), "does containerd refuse a file with a mistake now?");

    // With the header in one of the tables only, one of two tries comes without a login. The result depends on
    // containerd's version; it is never another image.
    let root = without_table(&good, "[header]");
    let host = without_table(&good, &format!("[host.\"https://{TLS_HOST}:{}\".header]", stage.envoy.port()));
    for (name, hosts) in [("without the root's", root), ("without the host's", host)] {
        let outcome = stage.pull(&hosts);
        assert!(outcome.is_err() || outcome.is_ok_and(|pulled| pulled.digest == selected), "{name}");
    }
}
