//! containerd with its command line `ctr`, in the two ways in which it gets credentials: by option, and as a header in
//! `hosts.toml`, which is how a Kubernetes node gets its machine type.

use std::process::Command;

use base64::Engine as _;

use super::{Client, Login, Pulled, speaks_tls, split_reference, version};
use crate::command::run;
use crate::sandbox::Sandbox;
use crate::{Failure, Result};

/// The registry's name in references that go through `hosts.toml`, unless another one is given: nothing answers there.
const MIRRORED: &str = "registry.example";

/// How credentials reach containerd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// `ctr images pull --user`: sent after a 401.
    Option,
    /// `hosts.toml` makes the registry a mirror of another one and carries an `Authorization` header, which is sent
    /// with every request. References name the mirrored registry. With a `hosts.toml` of the test's own
    /// ([`Containerd::replace_hosts`]) the login goes by option.
    HostsToml,
}

/// A containerd with its own storage.
pub struct Containerd {
    sandbox: Sandbox,
    credentials: Credentials,
    login: Option<Login>,
    mirrored: String,
    hosts: Option<String>,
    pulls: u32,
    version: (u32, u32),
}

impl Containerd {
    pub const PROGRAMS: [&str; 3] = ["containerd", "ctr", "runc"];

    /// Starts the daemon.
    pub fn start(credentials: Credentials) -> Result<Self> {
        Self::start_in(Sandbox::new("containerd")?, credentials)
    }

    /// Starts the daemon in this sandbox.
    pub fn start_in(sandbox: Sandbox, credentials: Credentials) -> Result<Self> {
        let configuration = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = {:?}\n\
             [plugins.\"io.containerd.metadata.v1.bolt\"]\ncontent_sharing_policy = \"isolated\"\n",
            sandbox.path("root"),
            sandbox.path("state"),
            sandbox.path("containerd.sock"),
        );
        std::fs::write(sandbox.directory().join("config.toml"), configuration)?;
        let arguments = [format!("--config={}", sandbox.path("config.toml"))];
        let version = version(&mut sandbox.command("containerd"))?;
        let mirrored = MIRRORED.to_owned();
        let containerd = Self { sandbox, credentials, login: None, mirrored, hosts: None, pulls: 0, version };
        containerd.sandbox.start("containerd", &arguments, || run(containerd.ctr().arg("version")).is_ok())?;
        Ok(containerd)
    }

    /// From now on references that go through `hosts.toml` name this registry.
    pub fn mirror(&mut self, registry: &str) {
        registry.clone_into(&mut self.mirrored);
    }

    /// From now on `hosts.toml` is this.
    pub fn replace_hosts(&mut self, text: &str) {
        self.hosts = Some(text.to_owned());
    }

    /// From now on there is no login.
    pub fn log_out(&mut self) {
        self.login = None;
    }

    /// Words of a pull's error when a registry refuses the `Authorization` of `hosts.toml`. containerd 1.6 shows the
    /// registry's status; later ones say that they know no credentials with which to answer the challenge.
    pub fn header_refused(&self) -> &'static str {
        match self.version < (1, 7) {
            true => "401 Unauthorized",
            false => "authorization failed: no basic auth credentials",
        }
    }

    /// `ctr` in a containerd namespace that belongs to the current pull: images that another pull fetched are not seen
    /// in it.
    fn ctr(&self) -> Command {
        let mut command = self.sandbox.command("ctr");
        command.args(["--address", &self.sandbox.path("containerd.sock")]);
        command.args(["--namespace", &format!("pull-{}", self.pulls)]);
        command
    }

    /// Writes the `hosts.toml` that sends requests for the mirrored registry to `registry`, as docs/nodes.md says.
    fn write_hosts(&self, registry: &str) -> Result<()> {
        let header = self.login.as_ref().map_or_else(String::new, |login| {
            let token = base64::engine::general_purpose::STANDARD.encode(login.pair());
            format!("Authorization = \"Basic {token}\"\n")
        });
        let directory = self.sandbox.directory().join("hosts").join(&self.mirrored);
        std::fs::create_dir_all(&directory)?;
        let (url, authority) = match speaks_tls(registry) {
            true => (format!("https://{registry}"), format!("ca = {:?}\n", self.sandbox.path("ca.crt"))),
            false => (format!("http://{registry}"), String::new()),
        };
        // The header stands twice because `server`, the fallback, does not inherit the host's.
        let text = format!(
            "server = \"{url}\"\n{authority}\n[header]\n{header}\n\
             [host.\"{url}\"]\ncapabilities = [\"pull\", \"resolve\"]\n{authority}\n\
             [host.\"{url}\".header]\n{header}"
        );
        Ok(std::fs::write(directory.join("hosts.toml"), self.hosts.as_ref().unwrap_or(&text))?)
    }

    /// Pulls into a new namespace; returns the image's name there.
    fn pull_afresh(&mut self, reference: &str) -> Result<String> {
        self.pulls += 1;
        let (registry, ..) = split_reference(reference)?;
        let mut pull = self.ctr();
        pull.args(["images", "pull", "--snapshotter=native"]);
        let mut name = reference.to_owned();
        match (self.credentials, &self.login) {
            (Credentials::Option, login) => {
                pull.args((!speaks_tls(registry)).then_some("--plain-http"));
                if let Some(login) = login {
                    pull.args(["--user", &login.pair()]);
                }
            }
            (Credentials::HostsToml, _) => {
                self.write_hosts(registry)?;
                pull.args(["--hosts-dir", &self.sandbox.path("hosts")]).env_remove("SSL_CERT_FILE");
                name = reference.replacen(registry, &self.mirrored, 1);
                if let (Some(_), Some(login)) = (&self.hosts, &self.login) {
                    pull.args(["--user", &login.pair()]);
                }
            }
        }
        run(pull.arg(&name))?;
        Ok(name)
    }

    fn digest(&self, name: &str) -> Result<String> {
        let list = run(self.ctr().args(["images", "list"]))?;
        let row = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|row| row[0] == name);
        let digest = row.and_then(|row| row.get(2).map(|digest| (*digest).to_owned()));
        digest.ok_or_else(|| Failure::new(format!("containerd does not list {name}:\n{list}")))
    }
}

impl Client for Containerd {
    fn log_in(&mut self, _registry: &str, login: &Login) -> Result<()> {
        self.login = Some(login.clone());
        Ok(())
    }

    fn fetch(&mut self, reference: &str) -> Result<String> {
        let name = self.pull_afresh(reference)?;
        self.digest(&name)
    }

    fn pull(&mut self, reference: &str) -> Result<Pulled> {
        let name = self.pull_afresh(reference)?;
        let digest = self.digest(&name)?;
        let mut container = self.ctr();
        container.args(["run", "--rm", "--snapshotter=native"]);
        container.arg(format!("--cgroup={}/{}", self.sandbox.name(), self.pulls));
        container.args(["--fifo-dir", &self.sandbox.path("fifo"), "--runc-root", &self.sandbox.path("runc")]);
        let printed = run(container.args([&name, "one"]))?;
        Ok(Pulled { digest, printed: Some(printed.trim_end().to_owned()) })
    }

    fn logs_in(&self) -> bool {
        false
    }

    fn refused(&self) -> &'static [&'static str] {
        &["401 Unauthorized", "authorization failed"]
    }

    fn shows_messages(&self) -> bool {
        false
    }

    fn sandbox(&self) -> Option<&Sandbox> {
        Some(&self.sandbox)
    }
}
