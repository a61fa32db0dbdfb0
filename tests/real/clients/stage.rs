//! What every client meets: the demo repository in a registry, and Envoy with the filter before it.

pub(super) use super::super::stage::Stage;
use metahub_testkit::Result;
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::Login;
use metahub_testkit::envoy::{Builder, Envoy, replace};
use metahub_testkit::registry::Registry;

/// A machine that no entry of the demo repository fits.
const MISFIT: &str = "arm1: { architecture: arm64 }";
/// Its login and one that sees indexes as they are; each password is the login's name.
const ACCOUNTS: [&str; 2] = [
    r#"qnib-arm1: { password: "$2y$05$kr25QcMCe.74YgdfvNTPVOAqne/XAd5zfoOtyUUhPvDpIR8drBnRK", machine_type: arm1 }"#,
    r#"everything: { password: "$2y$05$okLZ6CV1P2.NBGAgVDXdd.lVETudF8wCDJ/9igUITRMc6.Hj7ah9i", machine_type: unfiltered }"#,
];

/// The machine types that pull, with the features of the image that each must get.
pub(crate) const MACHINES: [(&str, &[&str]); 3] =
    [("type1", &["cpu:broadwell"]), ("type2", &["cpu:skylake"]), ("type3", &["cpu:broadwell", "nvcap:5.2"])];

/// Envoy with the filter in front of a registry with the demo repository.
pub(crate) fn before(registry: &Registry) -> Builder {
    Envoy::before(registry.port()).edit_config(with_more_logins)
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

fn with_more_logins(config: String) -> String {
    let config = replace(&config, "machine_types:\n", &format!("machine_types:\n            {MISFIT}\n"), 1);
    let accounts = ACCOUNTS.map(|account| format!("            {account}\n")).concat();
    replace(&config, "          accounts:\n", &format!("          accounts:\n{accounts}"), 1)
}
