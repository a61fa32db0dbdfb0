//! An Envoy under construction.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{
    Envoy, Ports, Speaks, WATCHED, add_cluster, add_registry, binary, bootstrap, filter, fresh_wasm, in_folder,
};
use crate::config::{self, Edit as _};
use crate::http::Request;
use crate::process::Process;
use crate::temp::TempDir;
use crate::{Failure, Result, certificates, port};

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
    comment: Option<&'static str>,
    configuration: Option<Value>,
    clusters: Vec<&'static str>,
    edit_bootstrap: Vec<Change>,
    edit_file: Vec<Change>,
}

type Change = Box<dyn FnOnce(&mut Value)>;

impl Builder {
    /// An Envoy in front of the server on the port `upstream`, with MetaHub's filter, the shipped machine types and
    /// two worker threads.
    pub fn before(upstream: u16) -> Self {
        Self::alone().upstream(upstream)
    }

    /// The same, without an upstream yet.
    pub(crate) fn alone() -> Self {
        Self::of_folder("")
    }

    /// An Envoy with the configuration of a folder below `envoy/` whose registries are elsewhere.
    pub fn of_folder(folder: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            ports: Ports { clients: port::free(), admin: port::free(), upstream: None },
            stand_ins: Vec::new(),
            certificates: None,
            concurrency: 2,
            filter: true,
            show_access_log: false,
            log_level: "info",
            component_log_level: None,
            environment: Vec::new(),
            comment: None,
            configuration: None,
            clusters: Vec::new(),
            edit_bootstrap: Vec::new(),
            edit_file: Vec::new(),
        }
    }

    /// With the configuration of this folder below `envoy/`; it leads to the demo's registry too.
    pub fn in_folder(mut self, folder: &str) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// In front of the server on this port, if the files lead to the demo's registry.
    pub fn upstream(mut self, port: u16) -> Self {
        self.ports.upstream = Some(port);
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

    /// Adds a variable to Envoy's environment, and lets the filter see it.
    pub fn filter_environment(self, name: &'static str, value: &'static str) -> Self {
        self.environment(name, value).file(move |file| filter::show_variable(file, name))
    }

    /// Uncomments the one line of metahub.yaml that begins with this.
    pub fn uncommented(mut self, line: &'static str) -> Self {
        self.comment = Some(line);
        self
    }

    /// Puts this in the place of MetaHub's own configuration. A registry without `host` is the one behind Envoy;
    /// clients reach those that are not called `registry` by the host `<name>.test`.
    pub fn configuration(mut self, configuration: Value) -> Self {
        self.configuration = Some(configuration);
        self
    }

    /// Adds a cluster that leads to what is behind Envoy too.
    pub fn cluster(mut self, name: &'static str) -> Self {
        self.clusters.push(name);
        self
    }

    /// Changes envoy.yaml, in which ports and paths are replaced already.
    pub fn bootstrap(mut self, change: impl FnOnce(&mut Value) + 'static) -> Self {
        self.edit_bootstrap.push(Box::new(change));
        self
    }

    /// Changes MetaHub's own configuration in metahub.yaml.
    pub fn config(self, change: impl FnOnce(&mut Value) + 'static) -> Self {
        self.file(|file| change(filter::own(file)))
    }

    /// Changes metahub.yaml as a whole.
    pub fn file(mut self, change: impl FnOnce(&mut Value) + 'static) -> Self {
        self.edit_file.push(Box::new(change));
        self
    }

    /// Starts Envoy and waits until it accepts connections and has a filter configuration.
    pub fn start(mut self) -> Result<Envoy> {
        if self.filter {
            fresh_wasm()?;
        }
        let directory = TempDir::new("envoy")?;
        let (bootstrap, file) = self.files(&directory)?;
        let bootstrap_path = directory.join("envoy.yaml");
        // JSON is YAML.
        fs::write(&bootstrap_path, bootstrap.to_string())?;
        fs::write(directory.join(WATCHED), file.to_string())?;
        let (command, log) = (self.command(&bootstrap_path)?, directory.join("log"));
        let mut process = if self.show_access_log {
            Process::spawn_showing_output("envoy", &command, &log)?
        } else {
            Process::spawn("envoy", &command, &log)?
        };
        let admin = self.ports.admin;
        process.wait_until_ready(Duration::from_secs(30), || {
            Request::get("/ready").send(admin).is_ok_and(|response| response.status == 200)
        })?;
        Ok(Envoy { process, ports: self.ports, file, directory })
    }

    /// envoy.yaml and metahub.yaml with all changes.
    fn files(&mut self, directory: &TempDir) -> Result<(Value, Value)> {
        let watched = directory.join(WATCHED);
        let watched = watched.parent().expect("the watched folder");
        fs::create_dir(watched)?;
        let mut bootstrap = config::shipped(&in_folder(&self.folder, "envoy.yaml"))?;
        bootstrap::place(&mut bootstrap, self.ports, watched);
        let mut file = filter_file(&self.folder, self.comment, self.ports.upstream)?;
        if let Some(configuration) = self.configuration.take() {
            *filter::own(&mut file) = placed(configuration, self.ports.upstream, &mut bootstrap);
        }
        for (name, port) in self.clusters.iter().zip(self.ports.upstream.iter().cycle()) {
            add_cluster(&mut bootstrap, name, *port, Speaks::Http1);
        }
        if self.folder == "tls-listener" {
            let certificates = match &self.certificates {
                Some(folder) => folder,
                None => certificates::folder()?,
            };
            bootstrap::set_certificate(&mut bootstrap, &certificate_file(certificates, directory)?);
        }
        if !self.stand_ins.is_empty() {
            bootstrap::stand_in(&mut bootstrap, &self.stand_ins)?;
        }
        if !self.filter {
            bootstrap::remove_filter(&mut bootstrap);
        }
        self.edit_bootstrap.drain(..).for_each(|change| change(&mut bootstrap));
        self.edit_file.drain(..).for_each(|change| change(&mut file));
        Ok((bootstrap, file))
    }

    fn command(&self, bootstrap: &Path) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.arg("--config-path").arg(bootstrap);
        command.args(["--concurrency", &self.concurrency.to_string(), "--log-level", self.log_level]);
        if let Some(levels) = self.component_log_level {
            command.args(["--component-log-level", levels]);
        }
        // Several Envoys on one machine must not share memory; without hot restart none does.
        command.args(["--disable-hot-restart", "--drain-time-s", "1"]);
        // The access log must not come ten seconds late for a person who watches or for a test that reads it.
        command.args(["--file-flush-interval-msec", "100"]);
        command.envs(self.environment.iter().copied());
        Ok(command)
    }
}

/// The shipped metahub.yaml, for this port of the demo's registry.
fn filter_file(folder: &str, comment: Option<&str>, upstream: Option<u16>) -> Result<Value> {
    let name = in_folder(folder, "metahub.yaml");
    let mut file = match comment {
        Some(line) => config::parse(&config::uncommented(&config::shipped_text(&name)?, line))?,
        None => config::shipped(&name)?,
    };
    filter::place(&mut file, upstream);
    Ok(file)
}

/// A configuration of MetaHub's own in which registries without a host are the one on this port; Envoy's file learns of
/// those that it does not have.
fn placed(mut configuration: Value, upstream: Option<u16>, bootstrap: &mut Value) -> Value {
    let Some(port) = upstream else { return configuration };
    for (name, registry) in configuration.at_mut("registries").as_object_mut().expect("registries by name") {
        if registry.get("host").is_none() {
            registry.add("host", format!("127.0.0.1:{port}"));
            if name != "registry" {
                add_registry(bootstrap, name, port, Speaks::Http1);
            }
        }
    }
    configuration
}

/// The file that says where the listener's certificate is: in a copy of this folder, in which a test may replace it.
fn certificate_file(folder: &Path, directory: &TempDir) -> Result<PathBuf> {
    let certs = directory.join("certs");
    fs::create_dir(&certs)?;
    for file in ["server.crt", "server.key"] {
        let from = folder.join(file);
        fs::copy(&from, certs.join(file)).map_err(|error| Failure::new(format!("{}: {error}", from.display())))?;
    }
    let mut file = config::shipped("tls-listener/certificate.yaml")?;
    let certificate = file.at_mut("resources.0.tls_certificate");
    let place = |name: &str| certs.join(name).display().to_string();
    certificate.set("certificate_chain.filename", place("server.crt"));
    certificate.set("private_key.filename", place("server.key"));
    certificate.set("watched_directory.path", certs.display().to_string());
    let path = directory.join("certificate.yaml");
    fs::write(&path, file.to_string())?;
    Ok(path)
}
