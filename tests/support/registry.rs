//! A real registry (`docker-registry`, the CNCF distribution) with its own empty storage.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::http::{Request, Response};
use super::image::{Document, Image};
use super::process::Process;
use super::temp::TempDir;
use super::{Failure, Result, port};

/// A running registry without access control, on the loopback address.
pub(crate) struct Registry {
    process: Process,
    port: u16,
    _storage: TempDir,
}

impl Registry {
    /// Starts a registry on a free port.
    pub(crate) fn start() -> Result<Self> {
        Self::start_on(port::free())
    }

    pub(crate) fn start_on(port: u16) -> Result<Self> {
        let storage = TempDir::new("registry")?;
        let config = storage.join("config.yml");
        let root = storage.join("data");
        std::fs::write(&config, configuration(&root, port))?;
        let mut command = Command::new(binary());
        command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none");
        let mut process = Process::spawn("docker-registry", &command, &storage.join("log"))?;
        process.wait_until_ready(Duration::from_secs(20), || {
            Request::get("/v2/").send(port).is_ok_and(|response| response.status == 200)
        })?;
        Ok(Self { process, port, _storage: storage })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Whether the registry has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Stops the registry, as if its machine had gone; the port then refuses connections.
    pub(crate) fn stop(&mut self) {
        self.process.stop();
    }

    /// Uploads a blob.
    pub(crate) fn push_blob(&self, repository: &str, blob: &Document) -> Result<()> {
        let started = Request::new("POST", &format!("/v2/{repository}/blobs/uploads/")).send(self.port)?;
        let location = started.header("location").unwrap_or_default();
        // The registry answers with an absolute URL that carries the state of the upload as a query.
        let path = location.find("/v2/").and_then(|start| location.get(start..));
        let path = path.ok_or_else(|| unexpected("start of an upload", &started))?;
        let separator = if path.contains('?') { '&' } else { '?' };
        let target = format!("{path}{separator}digest={}", blob.digest());
        let stored = Request::new("PUT", &target)
            .header("content-type", "application/octet-stream")
            .body(&blob.bytes)
            .send(self.port)?;
        if stored.status == 201 { Ok(()) } else { Err(unexpected("upload of a blob", &stored)) }
    }

    /// Stores a manifest or an index under a tag or under its own digest.
    pub(crate) fn push_manifest(&self, repository: &str, reference: &str, manifest: &Document) -> Result<()> {
        let stored = Request::new("PUT", &format!("/v2/{repository}/manifests/{reference}"))
            .header("content-type", &manifest.media_type)
            .body(&manifest.bytes)
            .send(self.port)?;
        if stored.status == 201 { Ok(()) } else { Err(unexpected("upload of a manifest", &stored)) }
    }

    /// Uploads an image by digest; it gets a tag only with [`Registry::push_manifest`].
    pub(crate) fn push_image(&self, repository: &str, image: &Image) -> Result<()> {
        self.push_blob(repository, &image.layer)?;
        self.push_blob(repository, &image.config)?;
        self.push_manifest(repository, &image.manifest.digest(), &image.manifest)
    }
}

fn unexpected(what: &str, response: &Response) -> Failure {
    Failure::new(format!("{what}: the registry answered {}: {}", response.status, response.text()))
}

/// The system's registry, or the one that `scripts/install.sh registry` unpacked into the tool folder.
fn binary() -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/registry/usr/bin/docker-registry");
    if unpacked.exists() { unpacked } else { PathBuf::from("docker-registry") }
}

fn configuration(root: &Path, port: u16) -> String {
    format!(
        "version: 0.1\n\
         log: {{level: warn, accesslog: {{disabled: false}}}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
         http: {{addr: '127.0.0.1:{port}'}}\n",
        root.display()
    )
}
