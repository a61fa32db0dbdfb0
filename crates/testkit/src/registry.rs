//! A real registry (`docker-registry`, the CNCF distribution) with its own empty storage.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Login;
use super::http::{Request, Response};
use super::image::{Document, Image};
use super::process::Process;
use super::temp::TempDir;
use super::token_service::{ISSUER, SERVICE, TokenService};
use super::{Failure, Result, certificates, port};

/// The clients that may pull.
pub enum Access<'a> {
    /// Every client, which may also push.
    Open,
    /// These users, by their passwords.
    Htpasswd(&'a [Login]),
    /// Clients with a token of this service.
    Token(&'a TokenService),
    /// Every client that speaks TLS; the registry shows the test certificate.
    Tls,
    /// These users, by their passwords and with TLS.
    TlsHtpasswd(&'a [Login]),
}

/// A running registry on the loopback address.
pub struct Registry {
    process: Process,
    port: u16,
    storage: Arc<TempDir>,
    own: TempDir,
}

impl Registry {
    /// Starts a registry on a free port.
    pub fn start() -> Result<Self> {
        Self::start_on(port::free())
    }

    pub fn start_on(port: u16) -> Result<Self> {
        Self::serve(Arc::new(TempDir::new("registry")?), port, &Access::Open)
    }

    /// A second registry over the same images, for those who have access. Images are pushed to the first one.
    pub fn guarded(&self, access: &Access<'_>) -> Result<Self> {
        Self::serve(Arc::clone(&self.storage), port::free(), access)
    }

    fn serve(storage: Arc<TempDir>, port: u16, access: &Access<'_>) -> Result<Self> {
        let own = TempDir::new("registry-config")?;
        let config = own.join("config.yml");
        let mut value = configuration(storage.path(), port);
        access.configure(&mut value, &own)?;
        // JSON is YAML.
        std::fs::write(&config, value.to_string())?;
        let mut command = Command::new(binary());
        command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none");
        let mut process = Process::spawn("docker-registry", &command, &own.join("log"))?;
        let ready = match access {
            Access::Open => 200,
            Access::Htpasswd(_) | Access::Token(_) => 401,
            Access::Tls | Access::TlsHtpasswd(_) => 400, // refuses clients without TLS, and says so
        };
        process.wait_until_ready(Duration::from_secs(20), || {
            Request::get("/v2/").send(port).is_ok_and(|response| response.status == ready)
        })?;
        Ok(Self { process, port, storage, own })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Whether the registry has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Stops the registry, as if its machine had gone; the port then refuses connections.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts an open registry again that was stopped: on the same port, with the same images.
    pub fn start_again(&mut self) -> Result<()> {
        *self = Self::serve(Arc::clone(&self.storage), self.port, &Access::Open)?;
        Ok(())
    }

    /// From now on a registry with passwords knows only these users, as when its operator changes the file.
    pub fn replace_users(&self, logins: &[Login]) -> Result<()> {
        // The registry reads the file again when its time of modification has changed.
        let new = self.own.join("htpasswd.new");
        std::fs::write(&new, htpasswd(logins))?;
        Ok(std::fs::rename(new, self.own.join("htpasswd"))?)
    }

    /// Uploads a blob.
    pub fn push_blob(&self, repository: &str, blob: &Document) -> Result<()> {
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
    pub fn push_manifest(&self, repository: &str, reference: &str, manifest: &Document) -> Result<()> {
        let stored = Request::new("PUT", &format!("/v2/{repository}/manifests/{reference}"))
            .header("content-type", &manifest.media_type)
            .body(&manifest.bytes)
            .send(self.port)?;
        if stored.status == 201 { Ok(()) } else { Err(unexpected("upload of a manifest", &stored)) }
    }

    /// Uploads an image by digest; it gets a tag only with [`Registry::push_manifest`].
    pub fn push_image(&self, repository: &str, image: &Image) -> Result<()> {
        self.push_blob(repository, &image.layer)?;
        self.push_blob(repository, &image.config)?;
        self.push_manifest(repository, &image.manifest.digest(), &image.manifest)
    }
}

impl Access<'_> {
    /// Writes it into the registry's configuration, with files in this directory.
    fn configure(&self, config: &mut Value, directory: &TempDir) -> Result<()> {
        match self {
            Self::Open => {}
            Self::Tls => {
                let file = |name: &str| certificates::folder().map(|folder| folder.join(name));
                config["http"]["tls"] = json!({ "certificate": file("server.crt")?, "key": file("server.key")? });
            }
            Self::TlsHtpasswd(logins) => {
                Self::Tls.configure(config, directory)?;
                Self::Htpasswd(logins).configure(config, directory)?;
            }
            Self::Htpasswd(logins) => {
                let path = directory.join("htpasswd");
                std::fs::write(&path, htpasswd(logins))?;
                config["auth"] = json!({ "htpasswd": { "realm": "upstream", "path": path } });
            }
            Self::Token(service) => {
                let path = directory.join("certificate.pem");
                std::fs::write(&path, service.certificate())?;
                config["auth"] = json!({ "token": {
                    "realm": service.realm()?, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": path,
                } });
            }
        }
        Ok(())
    }
}

/// The file that `htpasswd -nbB` would make.
fn htpasswd(logins: &[Login]) -> String {
    let line = |login: &Login| {
        let hash = bcrypt::hash_with_salt(&login.password, 4, *b"not very secret!");
        format!("{}:{}\n", login.user, hash.expect("a password"))
    };
    logins.iter().map(line).collect()
}

fn unexpected(what: &str, response: &Response) -> Failure {
    Failure::new(format!("{what}: the registry answered {}: {}", response.status, response.text()))
}

/// The system's registry, or the one that `scripts/install.sh registry` unpacked into the tool folder.
fn binary() -> PathBuf {
    let unpacked = crate::root().join(".tools/registry/usr/bin/docker-registry");
    if unpacked.exists() { unpacked } else { PathBuf::from("docker-registry") }
}

fn configuration(root: &Path, port: u16) -> Value {
    json!({
        "version": 0.1,
        "log": { "level": "warn", "accesslog": { "disabled": false } },
        "storage": { "filesystem": { "rootdirectory": root }, "delete": { "enabled": true } },
        "http": { "addr": format!("127.0.0.1:{port}") },
    })
}
