//! The stage of every client: the demo repository in a registry, and Envoy with the filter before it.

use serde_json::{Value, json};

use metahub_testkit::client::Login;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Builder, Envoy};
use metahub_testkit::stage::{Stage, stage};

/// The machine types that pull, with the features of the image that each must get.
pub(crate) const MACHINES: [(&str, &[&str]); 3] =
    [("type1", &["cpu:broadwell"]), ("type2", &["cpu:skylake"]), ("type3", &["cpu:broadwell", "nvcap:5.2"])];

/// The demo repository, with more logins.
pub(super) fn start() -> Stage {
    stage().config(add_logins).start().unwrap()
}

/// A second Envoy like the first, independent of it.
pub(super) fn another_envoy(stage: &Stage) -> Envoy {
    Builder::before(stage.registry().port()).config(add_logins).start().unwrap()
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
