//! What every client meets: the demo repository in a registry, and Envoy with the filter before it.

use serde_json::{Value, json};

pub(super) use super::super::stage::Stage;
use metahub_testkit::Result;
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::Login;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Builder, Envoy};
use metahub_testkit::registry::Registry;

/// The machine types that pull, with the features of the image that each must get.
pub(crate) const MACHINES: [(&str, &[&str]); 3] =
    [("type1", &["cpu:broadwell"]), ("type2", &["cpu:skylake"]), ("type3", &["cpu:broadwell", "nvcap:5.2"])];

/// Envoy with the filter in front of a registry with the demo repository.
pub(crate) fn before(registry: &Registry) -> Builder {
    Envoy::before(registry.port()).config(add_logins)
}

impl Stage {
    /// A second Envoy like the first, which it knows nothing of.
    pub(crate) fn another_envoy(&self) -> Result<Envoy> {
        before(&self.registry).start()
    }

    /// Where clients reach MetaHub.
    pub(crate) fn front(&self) -> String {
        format!("127.0.0.1:{}", self.envoy.port())
    }

    /// The demo repository's tag, through MetaHub.
    pub(crate) fn tag(&self) -> String {
        format!("{}/{REPOSITORY}:latest", self.front())
    }

    /// A manifest of the demo repository by digest, through MetaHub.
    pub(crate) fn by_digest(&self, digest: &str) -> String {
        format!("{}/{REPOSITORY}@{digest}", self.front())
    }

    /// The same at the registry itself, which asks for no credentials.
    pub(crate) fn directly(&self, digest: &str) -> String {
        format!("127.0.0.1:{}/{REPOSITORY}@{digest}", self.registry.port())
    }
}

/// The login bound to a machine type; its password is its name.
pub(crate) fn login(machine: &str) -> Login {
    let user = format!("qnib-{machine}");
    Login::new(&user, &user)
}

/// The login that sees indexes as they are.
pub(crate) fn unfiltered() -> Login {
    Login::new("everything", "qnib-type1")
}

/// Adds a machine that no entry of the demo repository fits, its login, and one that sees indexes as they are; each
/// password is the login's name.
fn add_logins(config: &mut Value) {
    config.add("machine_types.arm1", json!({ "architecture": "arm64" }));
    let accounts = [
        ("qnib-arm1", "arm1", "$2y$05$kr25QcMCe.74YgdfvNTPVOAqne/XAd5zfoOtyUUhPvDpIR8drBnRK"),
        ("everything", "unfiltered", "$2y$05$okLZ6CV1P2.NBGAgVDXdd.lVETudF8wCDJ/9igUITRMc6.Hj7ah9i"),
    ];
    for (name, machine_type, hash) in accounts {
        config.add(&format!("accounts.{name}"), json!({ "password": hash, "machine_type": machine_type }));
    }
}
