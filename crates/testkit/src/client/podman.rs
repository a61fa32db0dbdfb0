//! podman with its own storage. It has no daemon, but its containers have monitors, mounts and control groups.

use std::process::Command;

use super::{Client, Login, Pulled, auth_file, speaks_tls, version};
use crate::command::{run, run_with_input};
use crate::sandbox::Sandbox;
use crate::{Failure, Result};

/// Errors of the library of podman and skopeo (containers/image) when credentials are missing or refused.
pub(crate) const REFUSED: [&str; 3] = ["invalid username/password", "unauthorized", "authentication required"];

/// podman, sharing nothing with the host's.
pub struct Podman {
    sandbox: Sandbox,
    version: (u32, u32),
}

impl Podman {
    pub const PROGRAMS: [&str; 3] = ["podman", "conmon", "runc"];

    /// Writes podman's configuration; nothing runs yet.
    pub fn new() -> Result<Self> {
        Self::new_in(Sandbox::new("podman")?)
    }

    /// The same in this sandbox.
    pub fn new_in(sandbox: Sandbox) -> Result<Self> {
        let path = |name: &str| sandbox.path(name);
        // No `static_dir`: the clean-up that conmon starts does not hear of it, and every run then lasts 20 s.
        // Limits below the host's: podman's own are higher than an unprivileged root may set. File locks, because the
        // others are in shared memory under a name that the host's podman uses too.
        let containers = format!(
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nlock_type = \"file\"\n\
             runtime = \"runc\"\n\
             tmp_dir = {:?}\nvolume_path = {:?}\n\
             [network]\nnetwork_config_dir = {:?}\n",
            path("tmp"),
            path("volumes"),
            path("networks"),
        );
        let storage =
            format!("[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n", path("storage"), path("run"));
        std::fs::write(path("containers.conf"), containers)?;
        std::fs::write(path("storage.conf"), storage)?;
        std::fs::write(path("registries.conf"), "unqualified-search-registries = []\n")?;
        std::fs::write(path("auth.json"), "{}")?;
        let version = version(&mut sandbox.command("podman"))?;
        Ok(Self { sandbox, version })
    }

    fn command(&self) -> Command {
        self.configured("podman")
    }

    /// A shell's commands, in which podman, buildah and skopeo have this storage, and docker's command line a home of
    /// its own. They run in an empty directory. Debian's programs come first, as for [`super::docker::Docker`].
    pub fn shell(&self, commands: &str) -> Command {
        let mut command = self.configured("sh");
        command.args(["-ec", &format!("cd \"$HOME\"\nPATH=/usr/bin:$PATH\n{commands}")]);
        command
    }

    /// A program in the sandbox that finds this configuration.
    fn configured(&self, program: &str) -> Command {
        let mut command = self.sandbox.command(program);
        command.env("CONTAINERS_CONF", self.sandbox.path("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", self.sandbox.path("storage.conf"));
        command.env("CONTAINERS_REGISTRIES_CONF", self.sandbox.path("registries.conf"));
        command.env("REGISTRY_AUTH_FILE", self.sandbox.path("auth.json"));
        command
    }

    /// The digest of what the registry answered to `reference`: an image's or an index's. podman 4 states this one.
    /// podman 5 states the digest of the image that it took from an index, and knows the index's beside it.
    fn digest(&self, reference: &str) -> Result<String> {
        let format = "{{.Digest}}{{range .RepoDigests}} {{.}}{{end}}";
        let known = run(self.command().args(["image", "inspect", "--format", format, reference]))?;
        let (stated, names) = known.trim().split_once(' ').unwrap_or_default();
        let digests: Vec<&str> = names.split(' ').filter_map(|name| Some(name.split_once('@')?.1)).collect();
        match (self.version.0, digests.as_slice()) {
            (..5, digests) if digests.contains(&stated) => Ok(stated.to_owned()),
            (5.., [digest]) if *digest == stated => Ok(stated.to_owned()),
            (5.., [index, image] | [image, index]) if *image == stated => Ok((*index).to_owned()),
            _ => Err(Failure::new(format!("podman {:?} knows {reference} as: {known}", self.version))),
        }
    }
}

impl Client for Podman {
    fn log_in(&mut self, registry: &str, login: &Login) -> Result<()> {
        let mut command = self.command();
        command.args(["login", &verify(registry), "--username", &login.user, "--password-stdin", registry]);
        run_with_input(&mut command, login.password.as_bytes())
    }

    fn keep(&mut self, registry: &str, login: &Login) -> Result<()> {
        Ok(std::fs::write(self.sandbox.path("auth.json"), auth_file(registry, login))?)
    }

    fn fetch(&mut self, reference: &str) -> Result<String> {
        run(self.command().args(["pull", &verify(reference), reference]))?;
        let digest = self.digest(reference)?;
        run(self.command().args(["image", "rm", "--all", "--force"]))?;
        Ok(digest)
    }

    fn pull(&mut self, reference: &str) -> Result<Pulled> {
        run(self.command().args(["pull", &verify(reference), reference]))?;
        let digest = self.digest(reference)?;
        let mut container = self.command();
        container.args(["run", "--rm", "--network=none", "--pull=never", "--cgroup-parent", &self.sandbox.name()]);
        let printed = run(container.arg(reference))?;
        run(self.command().args(["image", "rm", "--all", "--force"]))?;
        Ok(Pulled { digest, printed: Some(printed.trim_end().to_owned()) })
    }

    fn logs_in(&self) -> bool {
        true
    }

    fn refused(&self) -> &'static [&'static str] {
        &REFUSED
    }

    fn shows_messages(&self) -> bool {
        true
    }

    fn sandbox(&self) -> Option<&Sandbox> {
        Some(&self.sandbox)
    }
}

/// The option that says whether the registry must show a good certificate; without it, it may even speak no TLS.
pub(crate) fn verify(registry: &str) -> String {
    format!("--tls-verify={}", speaks_tls(registry))
}
