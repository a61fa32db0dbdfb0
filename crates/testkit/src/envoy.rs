//! The pinned Envoy with the shipped configuration, on other ports.
//!
//! The files under `envoy/` are used as they stand, but for ports and paths: what tests prove is what is shipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::http::{Request, Response};
use super::process::Process;
use super::temp::TempDir;
use super::{Failure, Result, certificates, port, wait_for};

/// The filter as the shipped configuration names it.
const WASM: &str = "dist/metahub.wasm";

/// An Envoy to be started.
pub struct Builder {
    folder: String,
    ports: Ports,
    stand_ins: Vec<(&'static str, u16)>,
    certificates: Option<PathBuf>,
    concurrency: u16,
    filter: bool,
    show_access_log: bool,
    log_level: &'static str,
    component_log_level: Option<&'static str>,
    environment: Vec<(&'static str, &'static str)>,
    edit_bootstrap: Vec<Edit>,
    edit_config: Vec<Edit>,
}

type Edit = Box<dyn FnOnce(String) -> String>;

/// The ports in the shipped files.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub clients: u16,
    pub admin: u16,
    /// The demo's registry, where the files lead to one.
    pub upstream: Option<u16>,
}

/// A running Envoy.
pub struct Envoy {
    process: Process,
    ports: Ports,
    directory: TempDir,
}

impl Envoy {
    /// An Envoy in front of the server on the port `upstream`, with MetaHub's filter, the shipped machine types and
    /// two worker threads.
    pub fn before(upstream: u16) -> Builder {
        Builder::new("", Some(upstream))
    }

    /// An Envoy with the configuration of a folder below `envoy/` whose registries are elsewhere.
    pub fn of_folder(folder: &str) -> Builder {
        Builder::new(folder, None)
    }

    /// The port for clients.
    pub fn port(&self) -> u16 {
        self.ports.clients
    }

    pub fn admin_port(&self) -> u16 {
        self.ports.admin
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process id, for what a test reads from `/proc`.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether Envoy has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Sends a request through Envoy.
    pub fn send(&self, request: &Request) -> Result<Response> {
        request.send(self.ports.clients)
    }

    /// The sum of all counters and gauges whose name begins with `prefix` and ends with `suffix`.
    pub fn stat(&self, prefix: &str, suffix: &str) -> Result<u64> {
        let text = Request::get("/stats?usedonly").send(self.ports.admin)?.text();
        let matching = text.lines().filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            (name.starts_with(prefix) && name.ends_with(suffix)).then(|| value.parse::<u64>().ok())?
        });
        Ok(matching.sum())
    }

    /// How many configurations of the filter Envoy has accepted and refused.
    pub fn updates(&self) -> Result<Updates> {
        let count = |suffix| self.stat("extension_config_discovery.http_filter.metahub.", suffix);
        // A failure is a file that is no YAML or no Envoy configuration; a rejection is the filter's own word.
        let refused = count(".update_rejected")? + count(".update_failure")?;
        Ok(Updates { accepted: count(".update_success")?, refused })
    }

    /// The filter's configuration file as Envoy reads it now.
    pub fn config(&self) -> String {
        fs::read_to_string(self.config_path()).unwrap_or_default()
    }

    /// The folder with the certificate of a listener with TLS, which Envoy watches.
    pub fn certificates(&self) -> PathBuf {
        self.directory.join("certs")
    }

    /// Where the watched file is; replace it by renaming another file over it, or with [`Envoy::replace_config`].
    pub fn config_path(&self) -> PathBuf {
        self.directory.join("watched/metahub.yaml")
    }

    /// Replaces the filter's configuration file at once, as an operator would; Envoy reads it a moment later.
    pub fn replace_config(&self, text: &str) -> Result<()> {
        // Written outside of the watched directory: only the rename must be seen.
        let new = self.directory.join("metahub.yaml.new");
        fs::write(&new, text)?;
        fs::rename(&new, self.config_path())?;
        Ok(())
    }

    /// Replaces the configuration and waits for Envoy's verdict: whether it was accepted.
    pub fn reload(&self, text: &str) -> Result<bool> {
        let before = self.updates()?;
        self.replace_config(text)?;
        wait_for("Envoy to read the new configuration", Duration::from_secs(10), || {
            let now = self.updates().ok()?;
            (now != before).then_some(now.accepted > before.accepted)
        })
    }
}

/// What became of the configurations that Envoy read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updates {
    pub accepted: u64,
    pub refused: u64,
}

impl Builder {
    fn new(folder: &str, upstream: Option<u16>) -> Self {
        Self {
            folder: folder.to_owned(),
            ports: Ports { clients: port::free(), admin: port::free(), upstream },
            stand_ins: Vec::new(),
            certificates: None,
            concurrency: 2,
            filter: true,
            show_access_log: false,
            log_level: "info",
            component_log_level: None,
            environment: Vec::new(),
            edit_bootstrap: Vec::new(),
            edit_config: Vec::new(),
        }
    }

    /// With the configuration of this folder below `envoy/`; it leads to the demo's registry too.
    pub fn in_folder(mut self, folder: &str) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Shows the certificate of this folder where the files name one, not the tests'.
    pub fn certificates(mut self, folder: &Path) -> Self {
        self.certificates = Some(folder.to_owned());
        self
    }

    /// The server on this port stands for `host`, port 443; it shows the test certificate.
    pub fn stand_in(mut self, host: &'static str, port: u16) -> Self {
        self.stand_ins.push((host, port));
        self
    }

    /// Uses given ports instead of free ones.
    pub fn ports(mut self, clients: u16, admin: u16) -> Self {
        self.ports.clients = clients;
        self.ports.admin = admin;
        self
    }

    /// The number of worker threads; each has its own instance of the filter.
    pub fn concurrency(mut self, threads: u16) -> Self {
        self.concurrency = threads;
        self
    }

    /// Without MetaHub's filter: for comparisons.
    pub fn without_filter(mut self) -> Self {
        self.filter = false;
        self
    }

    /// The access log goes to our standard output instead of the log.
    pub fn show_access_log(mut self) -> Self {
        self.show_access_log = true;
        self
    }

    /// Envoy's log level; `info` unless told.
    pub fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = level;
        self
    }

    /// The log levels of single components, such as `wasm:debug`.
    pub fn component_log_level(mut self, levels: &'static str) -> Self {
        self.component_log_level = Some(levels);
        self
    }

    /// Adds a variable to Envoy's environment.
    pub fn environment(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// Changes envoy.yaml after ports and paths were replaced. The function must find what it replaces: see
    /// [`replace`].
    pub fn edit_bootstrap(mut self, edit: impl FnOnce(String) -> String + 'static) -> Self {
        self.edit_bootstrap.push(Box::new(edit));
        self
    }

    /// Changes metahub.yaml before the start.
    pub fn edit_config(mut self, edit: impl FnOnce(String) -> String + 'static) -> Self {
        self.edit_config.push(Box::new(edit));
        self
    }

    /// Starts Envoy and waits until it accepts connections and has a filter configuration.
    pub fn start(self) -> Result<Envoy> {
        let binary = binary()?;
        let directory = TempDir::new("envoy")?;
        let watched = directory.join("watched");
        fs::create_dir(&watched)?;

        let mut config = config_file(&shipped(&in_folder(&self.folder, "metahub.yaml"))?, self.ports.upstream);
        if self.filter {
            fresh_wasm()?;
        }
        for edit in self.edit_config {
            config = edit(config);
        }
        fs::write(watched.join("metahub.yaml"), config)?;

        let mut bootstrap = bootstrap_file(&self.folder, self.ports, &watched)?;
        if self.folder == "tls-listener" {
            let certificates = match &self.certificates {
                Some(folder) => folder,
                None => certificates::folder()?,
            };
            bootstrap = with_certificate(&bootstrap, certificates, &directory)?;
        }
        if !self.stand_ins.is_empty() {
            bootstrap = with_stand_ins(&bootstrap, &self.stand_ins)?;
        }
        if !self.filter {
            bootstrap = without_filter(&bootstrap);
        }
        for edit in self.edit_bootstrap {
            bootstrap = edit(bootstrap);
        }
        let bootstrap_path = directory.join("envoy.yaml");
        fs::write(&bootstrap_path, bootstrap)?;

        let mut command = Command::new(binary);
        command.arg("--config-path").arg(&bootstrap_path);
        command.args(["--concurrency", &self.concurrency.to_string(), "--log-level", self.log_level]);
        if let Some(levels) = self.component_log_level {
            command.args(["--component-log-level", levels]);
        }
        // Several Envoys on one machine must not share memory; without hot restart none does.
        command.args(["--disable-hot-restart", "--drain-time-s", "1"]);
        // The access log is for whoever watches, or for a test that reads it: not ten seconds late.
        command.args(["--file-flush-interval-msec", "100"]);
        command.envs(self.environment);
        let log = directory.join("log");
        let mut process = if self.show_access_log {
            Process::spawn_showing_output("envoy", &command, &log)?
        } else {
            Process::spawn("envoy", &command, &log)?
        };
        let admin = self.ports.admin;
        process.wait_until_ready(Duration::from_secs(30), || {
            Request::get("/ready").send(admin).is_ok_and(|response| response.status == 200)
        })?;
        Ok(Envoy { process, ports: self.ports, directory })
    }
}

/// Replaces `from`, which must be there exactly `times` times: otherwise the shipped file has changed and whoever
/// edits it here must look again.
pub fn replace(text: &str, from: &str, to: &str, times: usize) -> String {
    assert_eq!(text.matches(from).count(), times, "occurrences of {from:?} in:\n{text}");
    text.replace(from, to)
}

/// The text of a shipped file.
pub fn shipped(name: &str) -> Result<String> {
    let path = crate::root().join("envoy").join(name);
    fs::read_to_string(&path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// The name of a file of a folder below `envoy/`, which may be `envoy/` itself.
pub fn in_folder(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
}

/// The shipped envoy.yaml on other ports, watching another directory.
fn bootstrap_file(folder: &str, ports: Ports, watched: &Path) -> Result<String> {
    let text = shipped(&in_folder(folder, "envoy.yaml"))?;
    let (folder, watched) = (in_folder("envoy", folder), watched.display());
    let folder = folder.trim_end_matches('/');
    let text = replace(&text, "port_value: 8080", &format!("port_value: {}", ports.clients), 1);
    let mut text = replace(&text, "port_value: 9901", &format!("port_value: {}", ports.admin), 1);
    if let Some(upstream) = ports.upstream {
        text = replace(&text, "port_value: 5000", &format!("port_value: {upstream}"), 1);
        let host = |port: u16| format!("host_rewrite_literal: \"127.0.0.1:{port}\"");
        text = replace(&text, &host(5000), &host(upstream), 3);
    }
    let text = replace(&text, &format!("path: {folder}/metahub.yaml"), &format!("path: {watched}/metahub.yaml"), 1);
    Ok(replace(&text, &format!("{{ path: {folder} }}"), &format!("{{ path: {watched} }}"), 1))
}

/// The shipped metahub.yaml (or an operator's edited one) for another upstream port, with the filter's absolute path.
pub fn config_file(text: &str, upstream: Option<u16>) -> String {
    let wasm = crate::root().join(WASM);
    let text = text.replace(&format!("filename: {WASM}"), &format!("filename: {}", wasm.display()));
    let Some(upstream) = upstream else { return text };
    text.replace("host: \"127.0.0.1:5000\"", &format!("host: \"127.0.0.1:{upstream}\""))
}

/// The listener's certificate from a copy of this folder, in which a test may replace it.
fn with_certificate(bootstrap: &str, folder: &Path, directory: &TempDir) -> Result<String> {
    let certs = directory.join("certs");
    fs::create_dir(&certs)?;
    for file in ["server.crt", "server.key"] {
        let from = folder.join(file);
        fs::copy(&from, certs.join(file)).map_err(|error| Failure::new(format!("{}: {error}", from.display())))?;
    }
    let file = "tls-listener/certificate.yaml";
    let certificate = replace(&shipped(file)?, ": certs", &format!(": {}", certs.display()), 3);
    let path = directory.join("certificate.yaml");
    fs::write(&path, certificate)?;
    Ok(replace(bootstrap, &format!("path: envoy/{file}"), &format!("path: {}", path.display()), 1))
}

/// Leads to servers of ours instead of these hosts. All that is said of their names stays: SNI, Host, and what the
/// certificate must be for; it is the test authority's.
fn with_stand_ins(bootstrap: &str, stand_ins: &[(&str, u16)]) -> Result<String> {
    let authority = certificates::authority()?;
    let mut text = bootstrap.replace("/etc/ssl/certs/ca-certificates.crt", &authority.display().to_string());
    for (host, port) in stand_ins {
        let address = |host: &str, port: u16| format!("address: {host}, port_value: {port}");
        text = replace(&text, &address(host, 443), &address("127.0.0.1", *port), 1);
    }
    Ok(text)
}

/// Cuts the filter's entry out of the list of HTTP filters.
fn without_filter(bootstrap: &str) -> String {
    let start = bootstrap.find("          - name: metahub\n").expect("the filter's entry");
    let end = bootstrap.find("          - name: envoy.filters.http.router\n").expect("the router's entry");
    format!("{}{}", &bootstrap[..start], &bootstrap[end..])
}

pub fn binary() -> Result<PathBuf> {
    let path = crate::root().join(".tools/envoy/envoy/_bin/envoy");
    let hint = || Failure::new("Envoy is not in the tool folder: run `scripts/install.sh envoy`");
    if path.exists() { Ok(path) } else { Err(hint()) }
}

/// The compiled filter; refused when a source is newer, so that no test passes on a filter that is not under test.
pub fn fresh_wasm() -> Result<PathBuf> {
    let path = crate::root().join(WASM);
    let built = modified(&path).ok_or_else(|| Failure::new("the filter is not built: run `make build`"))?;
    let sources = ["src", "crates/proxy-wasm", "Cargo.toml", "Cargo.lock", "build.rs", "rust-toolchain.toml"];
    for source in sources.map(|name| crate::root().join(name)) {
        if let Some(newer) = newest(&source).filter(|time| *time > built) {
            let age = newer.duration_since(built).unwrap_or_default();
            let text = format!("the filter is {age:?} older than {}: run `make build`", source.display());
            return Err(Failure::new(text));
        }
    }
    Ok(path)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// The latest modification below `path`.
fn newest(path: &Path) -> Option<SystemTime> {
    let below = fs::read_dir(path).into_iter().flatten().flatten().filter_map(|entry| newest(&entry.path()));
    below.chain(path.is_file().then(|| modified(path)).flatten()).max()
}
