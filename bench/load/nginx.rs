//! The static upstream: nginx with one worker, serving documents and blobs from files.
//!
//! A tag is `at-<hex digest>` and so names its index by itself; nginx needs no table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use metahub::oci::index::MAX_BYTES;

use crate::content::{hex, manifest};
use metahub_bench::indexes::{index, padded};
use metahub_testkit::process::Process;
use metahub_testkit::temp::TempDir;
use metahub_testkit::{Result, http, port};

/// The token that the guarded port wants, and that the token service gives to every client.
pub(crate) const TOKEN: &str = "bench-token-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A document or a blob, by the hexadecimal part of its digest.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) hex: String,
    pub(crate) length: u64,
}

/// A running nginx with its files.
pub(crate) struct Nginx {
    process: Process,
    /// Every client may pull.
    pub(crate) port: u16,
    /// Only with [`TOKEN`].
    pub(crate) guarded: u16,
    /// The token service.
    pub(crate) tokens: u16,
    /// The image to which all indexes lead.
    pub(crate) image: Item,
    files: TempDir,
}

impl Nginx {
    /// Starts on free ports.
    pub(crate) fn start() -> Result<Self> {
        let files = TempDir::new("nginx")?;
        for folder in ["index", "manifest", "blob", "temporary"] {
            fs::create_dir(files.join(folder))?;
        }
        let image = store(&files, "manifest", manifest(0).as_bytes())?;
        let ports = [port::free(), port::free(), port::free()];
        fs::write(files.join("nginx.conf"), text(files.path(), ports))?;
        let process = launch(&files, ports[0])?;
        let [port, guarded, tokens] = ports;
        Ok(Self { process, port, guarded, tokens, image, files })
    }

    /// Stops nginx; its ports refuse connections then.
    pub(crate) fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it again, on the same ports and with the same files.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.process = launch(&self.files, self.port)?;
        Ok(())
    }

    /// An index of this many entries of four features each; all lead to [`Nginx::image`].
    pub(crate) fn index(&self, entries: usize) -> Result<Item> {
        store(&self.files, "index", self.list(entries).as_bytes())
    }

    /// The same, filled up to the largest size that MetaHub reads.
    pub(crate) fn largest_index(&self, entries: usize) -> Result<Item> {
        self.index_of(entries, MAX_BYTES)
    }

    /// The same, filled up to this many bytes.
    pub(crate) fn index_of(&self, entries: usize, bytes: usize) -> Result<Item> {
        store(&self.files, "index", padded(self.list(entries), bytes).as_bytes())
    }

    /// The file of an index.
    pub(crate) fn path(&self, index: &Item) -> PathBuf {
        self.files.join("index").join(&index.hex)
    }

    fn list(&self, entries: usize) -> String {
        let length = usize::try_from(self.image.length).unwrap_or_default();
        index(entries, 4, (&format!("sha256:{}", self.image.hex), length))
    }

    /// A blob of this many bytes.
    pub(crate) fn blob(&self, length: usize) -> Result<Item> {
        let bytes: Vec<u8> = (0..length).map(|position| position.to_le_bytes()[position % 3]).collect();
        store(&self.files, "blob", &bytes)
    }
}

fn store(files: &TempDir, folder: &str, bytes: &[u8]) -> Result<Item> {
    let hex = hex(bytes);
    fs::write(files.join(folder).join(&hex), bytes)?;
    Ok(Item { hex, length: bytes.len() as u64 })
}

fn launch(files: &TempDir, port: u16) -> Result<Process> {
    let mut command = Command::new(binary());
    command.arg("-p").arg(files.path()).arg("-c").arg(files.join("nginx.conf")).args(["-g", "daemon off;"]);
    let mut process = Process::spawn("nginx", &command, &files.join("log"))?;
    process.wait_until_ready(Duration::from_secs(10), || {
        http::Request::get("/v2/").send(port).is_ok_and(|answer| answer.status == 200)
    })?;
    Ok(process)
}

/// Debian's nginx is not on every user's path.
fn binary() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }
}

fn text(files: &Path, [port, guarded, tokens]: [u16; 3]) -> String {
    let files = files.display();
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {files}/temporary/{name};\n"))
        .concat();
    format!(
        r#"worker_processes 1;
pid {files}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
{folders}  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  open_file_cache max=1000 inactive=1h;
  open_file_cache_valid 1h;
  etag off;
  root {files};
  map_hash_bucket_size 256;
  map $http_authorization $known {{ default 0; "Bearer {TOKEN}" 1; }}
  server {{ listen 127.0.0.1:{port}; {DOCUMENTS} }}
  server {{ listen 127.0.0.1:{guarded}; if ($known = 0) {{ return 401; }} {DOCUMENTS} }}
  server {{
    listen 127.0.0.1:{tokens};
    location = /token {{ default_type application/json; return 200 '{{"token":"{TOKEN}","expires_in":86400}}'; }}
  }}
}}
"#
    )
}

const DOCUMENTS: &str = r#"
    location = /v2/ { default_type application/json; return 200 "{}"; }
    location ~ "^/v2/.+/manifests/at-(?<hex>[0-9a-f]{64})$" {
      default_type application/vnd.oci.image.index.v1+json;
      add_header Docker-Content-Digest sha256:$hex;
      add_header Docker-Distribution-Api-Version registry/2.0;
      try_files /index/$hex =404;
    }
    location ~ "^/v2/.+/manifests/sha256:(?<hex>[0-9a-f]{64})$" {
      default_type application/vnd.oci.image.manifest.v1+json;
      add_header Docker-Content-Digest sha256:$hex;
      add_header Docker-Distribution-Api-Version registry/2.0;
      try_files /manifest/$hex @index;
    }
    location @index {
      default_type application/vnd.oci.image.index.v1+json;
      add_header Docker-Content-Digest sha256:$hex;
      add_header Docker-Distribution-Api-Version registry/2.0;
      try_files /index/$hex =404;
    }
    location ~ "^/v2/.+/blobs/sha256:(?<hex>[0-9a-f]{64})$" {
      default_type application/octet-stream;
      add_header Docker-Content-Digest sha256:$hex;
      add_header Docker-Distribution-Api-Version registry/2.0;
      try_files /blob/$hex =404;
    }
"#;
