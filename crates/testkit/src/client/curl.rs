//! curl, over HTTP/1.1 or over HTTP/2 without TLS (h2c), with a fresh connection for each request.

use std::process::Command;

use metahub::oci::digest::Digest;
use metahub::oci::media_type;

use super::{Client, Login, Pulled, split_reference};
use crate::command::run_for_bytes;
use crate::{Failure, Result};

/// Which HTTP curl speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    /// With prior knowledge: no upgrade is negotiated.
    Http2,
}

/// An answer as curl shows it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header that must not occur twice.
    pub fn header(&self, name: &str) -> Result<&str> {
        let values: Vec<&str> = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| &**value).collect();
        match values.as_slice() {
            [value] => Ok(value),
            _ => Err(Failure::new(format!("the answer {} has {} headers {name}", self.status, values.len()))),
        }
    }

    /// The last of the blocks that `curl --include` prints, as 1xx answers come first.
    fn parse(output: &[u8]) -> Option<Self> {
        let end = output.windows(4).position(|window| window == b"\r\n\r\n")?;
        let (head, rest) = output.split_at(end);
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        if (100..200).contains(&status) {
            return Self::parse(&rest[4..]);
        }
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Self { status, headers: lines.filter_map(header).collect(), body: rest[4..].to_vec() })
    }
}

/// The header lines of a client that takes every kind of manifest.
pub fn accept() -> Vec<String> {
    media_type::ALL.iter().map(|kind| format!("Accept: {kind}")).collect()
}

/// curl with the credentials of one login.
pub struct Curl {
    version: Version,
    /// The host (`host:port`) that gets the credentials, and they.
    login: Option<(String, Login)>,
}

impl Curl {
    pub const PROGRAMS: [&str; 1] = ["curl"];

    pub fn new(version: Version) -> Self {
        Self { version, login: None }
    }

    /// Asks `url` with `GET`, or with `HEAD`, and the given header lines.
    pub fn ask(&self, method: &str, url: &str, headers: &[String]) -> Result<Answer> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "60"]);
        let login = self.login.as_ref().filter(|(host, _)| url.starts_with(&format!("http://{host}/")));
        // Without a login the host is not known; with one, other hosts are registries, which speak no h2c.
        command.arg(match self.version {
            Version::Http2 if login.is_some() || self.login.is_none() => "--http2-prior-knowledge",
            _ => "--http1.1",
        });
        if method == "HEAD" {
            command.arg("--head");
        }
        if let Some((_, login)) = login {
            command.args(["--user", &login.pair()]);
        }
        for header in headers {
            command.args(["--header", header]);
        }
        command.arg(url).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let output = run_for_bytes(&mut command)?;
        Answer::parse(&output).ok_or_else(|| Failure::new(format!("{method} {url}: not an HTTP answer")))
    }

    /// `HEAD` and `GET` of a manifest, which must agree in all that describes it. Returns the `GET`.
    pub fn manifest(&self, reference: &str) -> Result<Answer> {
        let (host, repository, tag) = split_reference(reference)?;
        let url = format!("http://{host}/v2/{repository}/manifests/{tag}");
        let accept = accept();
        let (head, get) = (self.ask("HEAD", &url, &accept)?, self.ask("GET", &url, &accept)?);
        if get.status != 200 {
            return Err(Failure::new(format!("{} {url}: {}", get.status, String::from_utf8_lossy(&get.body))));
        }
        let digest = Digest::of(&get.body).to_string();
        let agree = head.status == 200
            && get.header("docker-content-digest")? == digest
            && get.header("content-length")? == get.body.len().to_string();
        for name in ["docker-content-digest", "content-length", "content-type"] {
            if !agree || head.header(name)? != get.header(name)? {
                return Err(Failure::new(format!("HEAD and GET of {url} do not agree: {head:?} {get:?}")));
            }
        }
        Ok(get)
    }

    fn blob(&self, reference: &str, digest: &str) -> Result<()> {
        let (host, repository, _) = split_reference(reference)?;
        let answer = self.ask("GET", &format!("http://{host}/v2/{repository}/blobs/{digest}"), &[])?;
        let actual = Digest::of(&answer.body);
        if answer.status == 200 && actual.as_str() == digest {
            return Ok(());
        }
        Err(Failure::new(format!("blob {digest}: {}, {actual}", answer.status)))
    }
}

impl Client for Curl {
    fn log_in(&mut self, registry: &str, login: &Login) -> Result<()> {
        self.login = Some((registry.to_owned(), login.clone()));
        let answer = self.ask("GET", &format!("http://{registry}/v2/"), &[])?;
        if answer.status == 200 { Ok(()) } else { Err(Failure::new(format!("{} {registry}", answer.status))) }
    }

    fn pull(&mut self, reference: &str) -> Result<Pulled> {
        let answer = self.manifest(reference)?;
        let manifest: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let layers = manifest["layers"].as_array().into_iter().flatten();
        for descriptor in layers.chain(manifest.get("config")) {
            self.blob(reference, descriptor["digest"].as_str().unwrap_or_default())?;
        }
        Ok(Pulled { digest: Digest::of(&answer.body).to_string(), printed: None })
    }

    fn logs_in(&self) -> bool {
        true
    }

    fn refused(&self) -> &'static [&'static str] {
        &["401 "]
    }

    fn shows_messages(&self) -> bool {
        true
    }
}
