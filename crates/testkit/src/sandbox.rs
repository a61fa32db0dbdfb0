//! A place for container software that leaves nothing behind: namespaces of its own (see `sandbox.sh`), a directory
//! and a name for its control groups. In it [`TLS_HOST`] is this machine, and the test authority is trusted.
//!
//! Daemons, their shims and all that they run end with the value, also when a test panics or the test run is killed:
//! the supervising script waits on a pipe that only we hold open. It leads its own process group, so Ctrl-C reaches us
//! and not it.

mod network;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub use self::network::{Network, RANGE};
use super::certificates::{TLS_HOST, authority};
use super::command::search_path;
use super::{Failure, Result, wait_for};

const SCRIPT: &str = include_str!("sandbox.sh");

/// Namespaces that end, with all that is in them, when this value is dropped.
pub struct Sandbox {
    supervisor: Child,
    /// The first process in the namespaces, as we see it.
    init: String,
    name: String,
    directory: PathBuf,
    network: Option<Network>,
}

impl Sandbox {
    /// Makes the namespaces and an empty directory; nothing runs in them yet.
    pub fn new(purpose: &str) -> Result<Self> {
        Self::make(purpose, "")
    }

    /// The same with a network namespace, from which this machine is reached by [`Network::here`] alone.
    pub fn with_network(purpose: &str) -> Result<Self> {
        let mut sandbox = Self::make(purpose, "--net")?;
        sandbox.network = Some(Network::attach(&sandbox.init, &sandbox.name)?);
        Ok(sandbox)
    }

    fn make(purpose: &str, namespaces: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("metahub-{purpose}-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(&name);
        // The name is that of a dead process's directory, if it exists at all.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory)?;
        // Connections to 0.0.0.0 reach this machine, but docker does not know that: it asks for a good certificate.
        let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        std::fs::write(directory.join("etc-hosts"), format!("{hosts}\n0.0.0.0 {TLS_HOST}\n"))?;
        std::fs::copy(authority()?, directory.join("ca.crt"))?;
        let mut supervisor = Command::new("sh")
            .args(["-c", SCRIPT, "sandbox.sh"])
            .arg(&directory)
            .arg(&name)
            .arg(namespaces)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let mut init = String::new();
        let output = supervisor.stdout.take().ok_or_else(|| Failure::new("the sandbox has no output"))?;
        BufReader::new(output).read_line(&mut init)?;
        let sandbox = Self { supervisor, init: init.trim().to_owned(), name, directory, network: None };
        if sandbox.init.is_empty() {
            return Err(Failure::new("cannot make a mount and a process namespace (root is needed)"));
        }
        Ok(sandbox)
    }

    /// An empty directory of the sandbox's own, seen at the same path inside and outside.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A path in [`Sandbox::directory`] as text, for arguments and configuration files.
    pub fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// The name that everything made here should carry: the sandbox removes control groups named like it, and
    /// [`traces`] finds what is left.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// The sandbox's own network, if it has one.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// From now on these names mean these addresses in the sandbox.
    pub fn name_hosts(&self, hosts: &[(&str, Ipv4Addr)]) -> Result<()> {
        // In place: the file is mounted.
        let mut file = std::fs::OpenOptions::new().append(true).open(self.directory.join("etc-hosts"))?;
        hosts.iter().try_for_each(|(name, address)| writeln!(file, "{address} {name}"))?;
        Ok(())
    }

    /// Whether this process may make namespaces.
    pub fn is_possible() -> bool {
        let mut trial = Command::new("unshare");
        trial.args(["--mount", "--pid", "--fork", "true"]).stderr(Stdio::null());
        trial.status().is_ok_and(|status| status.success())
    }

    /// The command that runs `program` in the sandbox. It gets a home of its own, trusts the test authority, finds
    /// programs of the test's own ([`Sandbox::add_program`]), and gets no other environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init, "--mount", "--pid"]);
        command.args(self.network.as_ref().map(|_| "--net")).args(["--", program]);
        let programs = format!("{}:{}", self.path("bin"), search_path());
        command.env_clear().env("PATH", programs).env("HOME", &self.directory).env("TMPDIR", &self.directory);
        command.env("SSL_CERT_FILE", self.directory.join("ca.crt"));
        command
    }

    /// From now on commands in the sandbox find this shell script under this name.
    pub fn add_program(&self, name: &str, script: &str) -> Result<()> {
        let program = self.directory.join("bin").join(name);
        std::fs::create_dir_all(self.directory.join("bin"))?;
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n"))?;
        Ok(std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?)
    }

    /// Starts a daemon in the sandbox, with its output in `<name>.log`, and waits until `ready` holds.
    pub fn start(&self, name: &str, arguments: &[String], ready: impl Fn() -> bool) -> Result<()> {
        let log = self.path(&format!("{name}.log"));
        let status = self
            .command("sh")
            .args(["-c", r#"log=$1; shift; "$@" > "$log" 2>&1 < /dev/null &"#, "sh", &log, name])
            .args(arguments)
            .status()?;
        if !status.success() {
            return Err(Failure::new(format!("cannot start {name} in its sandbox: {status}")));
        }
        wait_for(name, Duration::from_secs(30), || ready().then_some(())).map_err(|failure| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            Failure::new(format!("{failure}; its log:\n{log}"))
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let ended =
            wait_for("the end of a sandbox", Duration::from_secs(20), || self.supervisor.try_wait().ok().flatten());
        if let Err(failure) = ended {
            eprintln!("{failure}: {}", self.name);
            let _ = self.supervisor.kill();
            let _ = self.supervisor.wait();
        }
    }
}

/// Everything on this machine that still has a sandbox's name: processes, mounts in any namespace, control groups,
/// links to networks, files.
pub fn traces(name: &str) -> Vec<String> {
    let mut traces = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let process = entry.path();
        let bears_name = |file: &str| {
            let text = std::fs::read(process.join(file)).unwrap_or_default();
            text.windows(name.len()).any(|window| window == name.as_bytes())
        };
        for file in ["cmdline", "mountinfo", "cgroup"] {
            if bears_name(file) {
                traces.push(format!("{}", process.join(file).display()));
            }
        }
    }
    let groups = Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("{name}*")]).output();
    let groups = groups.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    traces.extend(groups.lines().map(str::to_owned));
    for link in std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten() {
        let alias = std::fs::read_to_string(link.path().join("ifalias")).unwrap_or_default();
        traces.extend((alias.trim_end() == name).then(|| link.path().display().to_string()));
    }
    let directory = std::env::temp_dir().join(name);
    traces.extend(directory.exists().then(|| directory.display().to_string()));
    traces
}
