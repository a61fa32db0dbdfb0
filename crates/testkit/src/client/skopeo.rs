//! skopeo: copies an image into a directory, byte for byte.

use std::process::Command;

use metahub::oci::digest::Digest;

use super::podman::{REFUSED, verify};
use super::{Client, Login, Pulled, auth_file, speaks_tls};
use crate::command::{run, run_for_bytes, run_with_input};
use crate::sandbox::Sandbox;
use crate::{Failure, Result};

/// skopeo with its own credentials.
pub struct Skopeo {
    sandbox: Sandbox,
    copies: u32,
}

impl Skopeo {
    pub const PROGRAMS: [&str; 1] = ["skopeo"];

    pub fn new() -> Result<Self> {
        Self::new_in(Sandbox::new("skopeo")?)
    }

    /// The same in this sandbox.
    pub fn new_in(sandbox: Sandbox) -> Result<Self> {
        std::fs::write(sandbox.directory().join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
        std::fs::write(sandbox.directory().join("registries.conf"), "unqualified-search-registries = []\n")?;
        Ok(Self { sandbox, copies: 0 })
    }

    /// `skopeo` with a configuration of its own.
    pub fn command(&self) -> Command {
        let mut command = self.sandbox.command("skopeo");
        command.args(["--policy", &self.sandbox.path("policy.json")]);
        // skopeo 1.9 does not look at the variable.
        command.args(["--registries-conf", &self.sandbox.path("registries.conf")]);
        command.env("REGISTRY_AUTH_FILE", self.sandbox.path("auth.json"));
        command
    }

    /// The manifest's or index's own bytes.
    fn inspect(&self, reference: &str) -> Result<Vec<u8>> {
        let mut command = self.command();
        command.args(["inspect", "--raw", &verify(reference), &format!("docker://{reference}")]);
        run_for_bytes(&mut command)
    }
}

impl Client for Skopeo {
    fn log_in(&mut self, registry: &str, login: &Login) -> Result<()> {
        let mut command = self.command();
        command.args(["login", &verify(registry), "--username", &login.user, "--password-stdin", registry]);
        run_with_input(&mut command, login.password.as_bytes())
    }

    fn keep(&mut self, registry: &str, login: &Login) -> Result<()> {
        Ok(std::fs::write(self.sandbox.path("auth.json"), auth_file(registry, login))?)
    }

    fn fetch(&mut self, reference: &str) -> Result<String> {
        self.copies += 1;
        let directory = self.sandbox.directory().join(format!("copy-{}", self.copies));
        let mut copy = self.command();
        copy.args([
            "copy",
            "--all",
            &format!("--src-tls-verify={}", speaks_tls(reference)),
            &format!("docker://{reference}"),
        ]);
        run(copy.arg(format!("dir:{}", directory.display())))?;
        Ok(Digest::of(&std::fs::read(directory.join("manifest.json"))?).to_string())
    }

    fn pull(&mut self, reference: &str) -> Result<Pulled> {
        let digest = self.fetch(reference)?;
        let inspected = Digest::of(&self.inspect(reference)?).to_string();
        if inspected != digest {
            return Err(Failure::new(format!("skopeo copied {digest} and inspected {inspected}")));
        }
        Ok(Pulled { digest, printed: None })
    }

    fn logs_in(&self) -> bool {
        true
    }

    fn refused(&self) -> &'static [&'static str] {
        &REFUSED
    }

    fn shows_messages(&self) -> bool {
        true
    }

    fn sandbox(&self) -> Option<&Sandbox> {
        Some(&self.sandbox)
    }
}
