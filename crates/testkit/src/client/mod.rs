//! Real clients, each behind the same few calls, so that one table of cases runs against all of them.

pub mod containerd;
pub mod curl;
pub mod docker;
pub mod oci_client;
pub mod podman;
pub mod skopeo;

use std::process::Command;

use base64::Engine as _;

use super::certificates::TLS_HOST;
use super::command::run;
use super::sandbox::Sandbox;
use super::{Failure, Result};

/// A user name and its password.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl Login {
    pub fn new(user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: password.to_owned() }
    }

    /// `user:password`, as several clients take it.
    pub fn pair(&self) -> String {
        format!("{}:{}", self.user, self.password)
    }
}

/// The result of a client's pull.
#[derive(Debug)]
pub struct Pulled {
    /// The digest of the manifest that the client holds now, as the client itself states it or as its bytes hash.
    pub digest: String,
    /// The output of the container, from clients that can run one.
    pub printed: Option<String>,
}

/// A client of registries.
pub trait Client {
    /// Presents credentials to `registry` (`host:port`). Clients without a login command keep them for the pull.
    fn log_in(&mut self, registry: &str, login: &Login) -> Result<()>;

    /// Stores credentials for `registry` without asking it, as a file from elsewhere would.
    fn keep(&mut self, registry: &str, login: &Login) -> Result<()> {
        self.log_in(registry, login)
    }

    /// Pulls `reference` (`host:port/repository:tag` or `…@digest`), runs it if the client can, and forgets it again.
    fn pull(&mut self, reference: &str) -> Result<Pulled>;

    /// Pulls `reference` without running it, and returns the digest of [`Pulled`].
    fn fetch(&mut self, reference: &str) -> Result<String> {
        self.pull(reference).map(|pulled| pulled.digest)
    }

    /// Whether [`Client::log_in`] asks the registry, and so fails when it refuses the credentials.
    fn logs_in(&self) -> bool;

    /// Words of this client's errors, one of them at least, when credentials are missing or refused.
    fn refused(&self) -> &'static [&'static str];

    /// Whether the client shows people the message of a registry's 404.
    fn shows_messages(&self) -> bool;

    /// Where the client's programs run, if they could leave something behind.
    fn sandbox(&self) -> Option<&Sandbox> {
        None
    }
}

/// The major and minor version that a program's `--version` prints: of the first word that begins like one.
fn version(command: &mut Command) -> Result<(u32, u32)> {
    let printed = run(command.arg("--version"))?;
    let parse = |word: &str| {
        let mut numbers = word.trim_start_matches('v').split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let found = printed.split_whitespace().find_map(parse);
    found.ok_or_else(|| Failure::new(format!("this is not a version: {printed}")))
}

/// Whether clients are to speak TLS with this registry (`host:port`), or with the registry of this reference.
pub fn speaks_tls(registry: &str) -> bool {
    registry.starts_with(TLS_HOST)
}

/// The text of docker's, podman's and skopeo's file of credentials.
fn auth_file(registry: &str, login: &Login) -> String {
    let auth = base64::engine::general_purpose::STANDARD.encode(login.pair());
    serde_json::json!({ "auths": { registry: { "auth": auth } } }).to_string()
}

/// `host:port/repository:tag` or `host:port/repository@digest` in its parts: host, repository, tag or digest.
pub fn split_reference(reference: &str) -> Result<(&str, &str, &str)> {
    let split = || {
        let (host, rest) = reference.split_once('/')?;
        let (repository, tag) = rest.split_once('@').or_else(|| rest.split_once(':'))?;
        Some((host, repository, tag))
    };
    split().ok_or_else(|| Failure::new(format!("not a complete reference: {reference}")))
}
