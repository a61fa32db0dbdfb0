//! docker: its command line and a daemon of our own, which manages a containerd of its own.

use std::path::Path;
use std::process::Command;

use super::{Client, Login, Pulled, auth_file};
use crate::command::{run, run_with_input};
use crate::sandbox::{RANGE, Sandbox};
use crate::{Failure, Result};

const DEBIAN: &str = "/usr/bin/docker";

/// A docker daemon with its own storage that touches neither the host's networks nor its other daemons.
pub struct Docker {
    sandbox: Sandbox,
}

impl Docker {
    pub const PROGRAMS: [&str; 4] = ["docker", "dockerd", "containerd", "runc"];

    /// Starts the daemon.
    pub fn start() -> Result<Self> {
        Self::start_in(Sandbox::new("docker")?)
    }

    /// Starts the daemon in this sandbox.
    pub fn start_in(sandbox: Sandbox) -> Result<Self> {
        std::fs::write(sandbox.directory().join("daemon.json"), "{}")?;
        let value = |flag: &str, name: &str| format!("--{flag}={}", sandbox.path(name));
        let arguments = [
            value("config-file", "daemon.json"),
            value("data-root", "data"),
            value("exec-root", "exec"),
            value("pidfile", "dockerd.pid"),
            format!("--host=unix://{}", sandbox.path("docker.sock")),
            format!("--cgroup-parent={}", sandbox.name()),
            "--exec-opt=native.cgroupdriver=cgroupfs".to_owned(),
            // Copies layers instead of stacking them: works on every file system, also inside containers.
            "--storage-driver=vfs".to_owned(),
            "--bridge=none".to_owned(),
            "--iptables=false".to_owned(),
            "--ip6tables=false".to_owned(),
            "--ip-forward=false".to_owned(),
            "--ip-masq=false".to_owned(),
            "--group=root".to_owned(),
            // As it does for 127.0.0.0/8 anyway.
            format!("--insecure-registry={RANGE}"),
        ];
        let docker = Self { sandbox };
        docker.sandbox.start("dockerd", &arguments, || run(docker.command().arg("version")).is_ok())?;
        Ok(docker)
    }

    /// `docker`, talking to this daemon, with credentials in its own directory.
    pub fn command(&self) -> Command {
        // Debian's own belongs to Debian's daemon; another one may come first in the search path.
        let program = if Path::new(DEBIAN).exists() { DEBIAN } else { "docker" };
        let mut command = self.sandbox.command(program);
        command.env("DOCKER_HOST", format!("unix://{}", self.sandbox.path("docker.sock")));
        command.env("DOCKER_CONFIG", self.sandbox.path("docker-config"));
        command
    }

    /// Whether the daemon has the containerd image store, not its classic one.
    pub fn keeps_images_in_containerd(&self) -> Result<bool> {
        let status = run(self.command().args(["info", "--format", "{{.DriverStatus}}"]))?;
        Ok(status.contains("io.containerd.snapshotter"))
    }

    /// The digest under which the daemon knows `reference`.
    fn digest(&self, reference: &str) -> Result<String> {
        let format = "{{range .RepoDigests}}{{println .}}{{end}}";
        let known = run(self.command().args(["image", "inspect", "--format", format, reference]))?;
        let digests: Vec<&str> = known.split_whitespace().filter_map(|name| Some(name.split_once('@')?.1)).collect();
        match digests.as_slice() {
            [digest] => Ok((*digest).to_owned()),
            _ => Err(Failure::new(format!("docker knows {reference} under {} digests: {known}", digests.len()))),
        }
    }
}

impl Client for Docker {
    fn log_in(&mut self, registry: &str, login: &Login) -> Result<()> {
        let mut command = self.command();
        command.args(["login", "--username", &login.user, "--password-stdin", registry]);
        run_with_input(&mut command, login.password.as_bytes())
    }

    fn keep(&mut self, registry: &str, login: &Login) -> Result<()> {
        std::fs::create_dir_all(self.sandbox.path("docker-config"))?;
        Ok(std::fs::write(self.sandbox.path("docker-config/config.json"), auth_file(registry, login))?)
    }

    fn fetch(&mut self, reference: &str) -> Result<String> {
        run(self.command().args(["pull", reference]))?;
        let digest = self.digest(reference)?;
        run(self.command().args(["image", "rm", "--force", reference]))?;
        Ok(digest)
    }

    fn pull(&mut self, reference: &str) -> Result<Pulled> {
        run(self.command().args(["pull", reference]))?;
        let digest = self.digest(reference)?;
        let printed = run(self.command().args(["run", "--rm", "--network=none", "--pull=never", reference]))?;
        run(self.command().args(["image", "rm", "--force", reference]))?;
        Ok(Pulled { digest, printed: Some(printed.trim_end().to_owned()) })
    }

    fn logs_in(&self) -> bool {
        true
    }

    fn refused(&self) -> &'static [&'static str] {
        &["401 Unauthorized", "no basic auth credentials", "unauthorized"]
    }

    fn shows_messages(&self) -> bool {
        true
    }

    fn sandbox(&self) -> Option<&Sandbox> {
        Some(&self.sandbox)
    }
}
