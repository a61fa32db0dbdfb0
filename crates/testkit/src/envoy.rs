//! The pinned Envoy with the shipped configuration, on other ports.
//!
//! The files under `envoy/` are used as they are, except for ports, paths and a test's own changes by path, so that
//! tests prove the files that are shipped.

mod bootstrap;
mod builder;
mod filter;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

pub use self::bootstrap::{
    Speaks, add_cluster, add_plain_cluster, add_registry, cluster, http_of_cluster, manager, remove_filter, speak,
    trusted_authority,
};
pub(crate) use self::bootstrap::{address, plain_cluster};
pub use self::builder::Builder;
pub use self::filter::{fresh_wasm, own, place, set_module, vm};
use super::http::{Request, Response};
use super::process::Process;
use super::temp::TempDir;
use super::{Failure, Result, wait_for};

/// The filter's configuration file, in a folder that Envoy watches.
const WATCHED: &str = "watched/metahub.yaml";

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
    /// The filter's configuration file at the start.
    file: Value,
    directory: TempDir,
}

impl Envoy {
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

    /// Resident memory, in bytes.
    pub fn resident(&self) -> Result<u64> {
        self.process.resident()
    }

    /// Processor time used so far, in steps of 10 ms. Unlike the clock's it does not depend on what else runs.
    pub fn cpu_time(&self) -> Result<Duration> {
        self.process.cpu_time()
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
        // A failure is a file that is not YAML or not an Envoy configuration; a rejection is the filter's own verdict.
        let refused = count(".update_rejected")? + count(".update_failure")?;
        Ok(Updates { accepted: count(".update_success")?, refused })
    }

    /// MetaHub's own configuration that Envoy was started with.
    pub fn config(&self) -> Value {
        own(&mut self.file.clone()).take()
    }

    /// The whole file around it.
    pub fn file(&self) -> &Value {
        &self.file
    }

    /// The folder with the certificate of a listener with TLS, which Envoy watches.
    pub fn certificates(&self) -> PathBuf {
        self.directory.join("certs")
    }

    /// Where the watched file is; replace it by renaming another file over it, or with [`Envoy::replace_text`].
    fn config_path(&self) -> PathBuf {
        self.directory.join(WATCHED)
    }

    /// The text of the filter's configuration file with this configuration of MetaHub's own.
    pub fn text_with(&self, config: &Value) -> String {
        let mut file = self.file.clone();
        *own(&mut file) = config.clone();
        file.to_string()
    }

    /// Replaces MetaHub's own configuration at once, as an operator would; Envoy reads it a moment later.
    pub fn replace_config(&self, config: &Value) -> Result<()> {
        self.replace_text(&self.text_with(config))
    }

    /// As [`Envoy::replace_config`], with any text as the whole file.
    pub fn replace_text(&self, text: &str) -> Result<()> {
        // Written outside of the watched directory: only the rename must be seen.
        let new = self.directory.join("metahub.yaml.new");
        fs::write(&new, text)?;
        fs::rename(&new, self.config_path())?;
        Ok(())
    }

    /// Replaces MetaHub's own configuration and waits for Envoy's verdict: whether it was accepted.
    pub fn reload(&self, config: &Value) -> Result<bool> {
        self.reload_text(&self.text_with(config))
    }

    /// As [`Envoy::reload`], with any text as the whole file.
    pub fn reload_text(&self, text: &str) -> Result<bool> {
        let before = self.updates()?;
        self.replace_text(text)?;
        wait_for("Envoy to read the new configuration", Duration::from_secs(10), || {
            let now = self.updates().ok()?;
            (now != before).then_some(now.accepted > before.accepted)
        })
    }
}

/// The verdicts on the configurations that Envoy read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updates {
    pub accepted: u64,
    pub refused: u64,
}

/// The program.
pub fn binary() -> Result<PathBuf> {
    let path = crate::root().join(".tools/envoy/envoy/_bin/envoy");
    let hint = || Failure::new("Envoy is not in the tool folder: run `scripts/install.sh envoy`");
    if path.exists() { Ok(path) } else { Err(hint()) }
}

/// The name of a file of a folder below `envoy/`, which may be `envoy/` itself.
pub fn in_folder(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
}
