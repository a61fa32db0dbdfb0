//! The `registries.conf` of docs/nodes.md, word for word but for what a trial without TLS needs.

use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client as _, Login};
use metahub_testkit::command::run;
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::stage::{Stage, stage};

/// A node, which has logins for MetaHub only, and the registry that its images name.
struct Node {
    skopeo: Skopeo,
    base: Stage,
}

stands_on_base!(Node);

impl Node {
    fn set() -> Option<Self> {
        if reason_to_skip("registries.conf", &Skopeo::PROGRAMS, true).unwrap().is_some() {
            return None;
        }
        let node = Self { skopeo: Skopeo::new().unwrap(), base: stage().start().unwrap() };
        let page = include_str!("../../docs/nodes.md");
        let (_, section) = page.split_once("\n## CRI-O, podman").expect("its section in docs/nodes.md");
        let (_, rest) = section.split_once("```toml\n[[registry]]\n").expect("registries.conf in docs/nodes.md");
        let (text, _) = rest.split_once("```").expect("its end");
        let text = format!("[[registry]]\n{text}insecure = true\n");
        assert_eq!(text.matches("metahub.example").count(), 1, "{text}");
        let text = text.replace("metahub.example", &node.front());
        std::fs::write(node.directory().join("registries.conf"), text).unwrap();
        Some(node)
    }

    fn directory(&self) -> &std::path::Path {
        self.skopeo.sandbox().unwrap().directory()
    }

    /// The manifest that a pull leaves, by its own registry's name; the node has this login for `registry`.
    fn pull(&mut self, registry: &str, password: &str) -> Result<Vec<u8>, String> {
        self.skopeo.keep(registry, &Login::new("qnib-type2", password)).unwrap();
        let copy = self.directory().join("copy");
        let mut command = self.skopeo.command();
        let conf = self.directory().join("registries.conf").display().to_string();
        command.args(["--registries-conf", &conf, "copy", &format!("docker://registry.example/{REPOSITORY}:latest")]);
        run(command.arg(format!("dir:{}", copy.display()))).map_err(|failure| failure.to_string())?;
        Ok(std::fs::read(copy.join("manifest.json")).unwrap())
    }
}

#[test]
fn a_registry_that_moved_is_asked_with_metahubs_login() {
    let Some(mut node) = Node::set() else { return };
    let front = node.front();
    let pulled = node.pull(&front, "qnib-type2").unwrap();
    assert_eq!(pulled, node.bench.image(&["cpu:skylake"]).manifest.bytes);
    let refused = node.pull(&front, "wrong").unwrap_err();
    assert!(refused.contains("wrong password"), "{refused}");
    // There is no way back to the registry, and its own login is not sent to MetaHub.
    let refused = node.pull("registry.example", "qnib-type2").unwrap_err();
    assert!(refused.contains("log in to MetaHub"), "{refused}");
}
