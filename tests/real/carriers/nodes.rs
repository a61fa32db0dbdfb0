//! Nodes: each has its own network and its own runtime, which is told what the node is; all have one secret.

use super::hubs::{HUB, Hub};
use super::ways::{Program, Way};
use metahub_testkit::Result;
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::podman::Podman;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client, Login};
use metahub_testkit::sandbox::Sandbox;

/// The machine types of the two nodes of each client, and the image that each must get.
pub(super) const MACHINES: [(&str, &[&str]); 2] = [("type1", &["cpu:broadwell"]), ("type2", &["cpu:skylake"])];

/// The node's own namespaces; it knows MetaHub's names.
pub(super) fn node(purpose: &str) -> Sandbox {
    let sandbox = Sandbox::with_network(purpose).unwrap();
    let [here, _] = sandbox.network().expect("its own network").here();
    sandbox.name_hosts(&[(HUB, here)]).unwrap();
    sandbox
}

/// The programs that a client needs.
pub(super) const fn needs(program: Program) -> &'static [&'static str] {
    match program {
        Program::Containerd => &Containerd::PROGRAMS,
        Program::Docker => &Docker::PROGRAMS,
        Program::Podman => &Podman::PROGRAMS,
        Program::Skopeo => &Skopeo::PROGRAMS,
    }
}

/// A node with its runtime.
pub(super) enum Node {
    Containerd(Containerd),
    Docker(Docker),
    Podman(Podman),
    Skopeo(Skopeo),
}

impl Node {
    pub(super) fn start(program: Program, sandbox: Sandbox) -> Result<Self> {
        Ok(match program {
            Program::Containerd => Self::Containerd(Containerd::start_in(sandbox, Credentials::HostsToml)?),
            Program::Docker => Self::Docker(Docker::start_in(sandbox)?),
            Program::Podman => Self::Podman(Podman::new_in(sandbox)?),
            Program::Skopeo => Self::Skopeo(Skopeo::new_in(sandbox)?),
        })
    }

    /// Says in this way what the node is, and pulls; returns the digest of the image that came.
    pub(super) fn pull(&mut self, hub: &Hub, way: Way, text: &str) -> Result<String> {
        let authority = hub.authority();
        let login = hub.login(way, text);
        let image = format!("{authority}/{REPOSITORY}:latest");
        match self {
            Self::Containerd(containerd) => {
                containerd.mirror(&authority);
                containerd.replace_hosts(&hosts_toml(&authority));
                match login {
                    Some(login) => containerd.log_in(&authority, &login)?,
                    None => containerd.log_out(),
                }
                containerd.fetch(&image)
            }
            Self::Docker(docker) => {
                docker.keep_only(&authority, login.as_ref())?;
                docker.fetch(&image)
            }
            Self::Podman(podman) => {
                podman.keep_only(&authority, login.as_ref())?;
                podman.fetch(&image)
            }
            Self::Skopeo(skopeo) => {
                skopeo.keep_only(&authority, login.as_ref())?;
                skopeo.fetch(&image)
            }
        }
    }
}

trait KeepOnly: Client {
    /// Stores this login, or none.
    fn keep_only(&mut self, registry: &str, login: Option<&Login>) -> Result<()> {
        match login {
            Some(login) => self.keep(registry, login),
            // The file has one login.
            None => self.keep("elsewhere.test", &Login::new("nobody", "nothing")),
        }
    }
}

impl<C: Client> KeepOnly for C {}

/// The way to MetaHub, with no login.
fn hosts_toml(authority: &str) -> String {
    format!(
        "server = \"http://{authority}\"\n\n\
         [host.\"http://{authority}\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
    )
}
