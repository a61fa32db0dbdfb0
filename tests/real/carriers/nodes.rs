//! Nodes: each has its own network and its own runtime, which is told what the node is; all have one secret.

use std::net::Ipv4Addr;

use super::hubs::{ADDRESSED, HUB, Hub, host_of};
use super::ways::{Program, Reason, Way};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::podman::Podman;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client, Login};
use metahub_testkit::sandbox::Sandbox;
use metahub_testkit::{Failure, Result};

/// The machine types of the two nodes of each client, and the features of the image that each must get. The first is
/// all that such a machine has.
pub(super) const MACHINES: [(&str, &[&str]); 2] = [("type1", &["cpu:broadwell"]), ("type2", &["cpu:skylake"])];

/// The node's own namespaces; it knows MetaHub's names.
pub(super) fn node(purpose: &str) -> Sandbox {
    let sandbox = Sandbox::with_network(purpose).unwrap();
    let [here, addressed] = sandbox.network().expect("its own network").here();
    let hosts = MACHINES.map(|(machine, _)| host_of(machine));
    let mut names = vec![(HUB, here), (ADDRESSED, addressed)];
    names.extend(hosts.iter().map(|host| (host.as_str(), here)));
    sandbox.name_hosts(&names).unwrap();
    sandbox
}

/// The address of a node on connections to [`ADDRESSED`].
pub(super) fn telling(sandbox: &Sandbox) -> Ipv4Addr {
    sandbox.network().expect("its own network").there()[1]
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
        let (authority, login) = (hub.authority(way, text), hub.login(way, text));
        let path = if way == Way::Path { format!("/machines/{text}") } else { String::new() };
        match self {
            Self::Containerd(containerd) => {
                containerd.mirror(&hub.name());
                containerd.replace_hosts(&hosts_toml(&authority, &path, (way == Way::Header).then_some(text)));
                match login {
                    Some(login) => containerd.log_in(&authority, &login)?,
                    None => containerd.log_out(),
                }
                containerd.fetch(&hub.image())
            }
            Self::Docker(docker) => {
                keep_only(docker, &authority, login.as_ref())?;
                docker.fetch(&format!("{authority}{path}/{REPOSITORY}:latest"))
            }
            Self::Podman(podman) => moved(podman, hub, (&authority, &path), login.as_ref()),
            Self::Skopeo(skopeo) => moved(skopeo, hub, (&authority, &path), login.as_ref()),
        }
    }

    /// Checks what a program can say of itself.
    pub(super) fn prove(&self, reason: Reason) -> Result<()> {
        match (reason, self) {
            (Reason::ClassicStore, Self::Docker(docker)) if docker.keeps_images_in_containerd()? => {
                Err(Failure::new("docker's images are in containerd: let it send the header"))
            }
            _ => Ok(()),
        }
    }
}

/// Stores this login alone, or none.
fn keep_only(client: &mut impl Client, registry: &str, login: Option<&Login>) -> Result<()> {
    match login {
        Some(login) => client.keep(registry, login),
        // The file of credentials has one login.
        None => client.keep("elsewhere.test", &Login::new("nobody", "nothing")),
    }
}

/// The way to MetaHub, as containerd reads it, with no login. The header and the path stand twice, for the host and for
/// `server`, which inherits nothing.
pub(super) fn hosts_toml(authority: &str, path: &str, header: Option<&str>) -> String {
    let (url, whole) = match path {
        "" => (format!("http://{authority}"), ""),
        path => (format!("http://{authority}/v2{path}"), "override_path = true\n"),
    };
    let table = |name: &str| header.map(|text| format!("\n[{name}header]\nX-MetaHub-Machine-Type = {text:?}\n"));
    let (root, host) = (table("").unwrap_or_default(), table(&format!("host.{url:?}.")).unwrap_or_default());
    format!("server = {url:?}\n{whole}{root}\n[host.{url:?}]\ncapabilities = [\"pull\", \"resolve\"]\n{whole}{host}")
}

/// Sends what is asked of a registry elsewhere.
pub(super) fn registries_conf(prefix: &str, location: &str) -> String {
    format!("[[registry]]\nprefix = {prefix:?}\nlocation = {location:?}\n")
}

/// Pulls with a registries.conf that moves the registry of the image's name, whose login is looked up under the new
/// name.
fn moved(client: &mut impl Client, hub: &Hub, to: (&str, &str), login: Option<&Login>) -> Result<String> {
    let (authority, path) = to;
    let text = registries_conf(&hub.name(), &format!("{authority}{path}"));
    let text = format!("unqualified-search-registries = []\n{text}insecure = true\n");
    let directory = client.sandbox().expect("a client in a sandbox").directory();
    std::fs::write(directory.join("registries.conf"), text)?;
    keep_only(client, authority, login)?;
    client.fetch(&hub.image())
}
