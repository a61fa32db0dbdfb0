//! The crate `oci-client`, as the small program `tests/oci-client`.

use std::path::PathBuf;
use std::process::Command;

use super::{Client, Login, Pulled};
use crate::command::run;
use crate::{Failure, Result};

/// The program and the credentials of one login.
pub struct OciClient {
    program: PathBuf,
    login: Login,
}

impl OciClient {
    /// Builds the program, which takes a minute or two the first time.
    pub fn build() -> Result<Self> {
        let package = crate::root().join("tests/oci-client");
        let target = crate::root().join("target/oci-client");
        // Cargo tells its children which package they belong to. Build scripts look at that and would run again after
        // a build by hand, in which it is not so.
        let ours =
            |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR"].iter().any(|prefix| name.starts_with(prefix));
        let foreign = std::env::vars_os().map(|(name, _)| name).filter(|name| ours(&name.to_string_lossy()));
        let mut cargo = Command::new(env!("CARGO"));
        for name in foreign {
            cargo.env_remove(name);
        }
        let output = cargo
            .args(["build", "--quiet", "--locked", "--manifest-path"])
            .arg(package.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .output()?;
        if !output.status.success() {
            return Err(Failure::new(String::from_utf8_lossy(&output.stderr)));
        }
        Ok(Self { program: target.join("debug/metahub-oci-client"), login: Login::new("", "") })
    }
}

impl Client for OciClient {
    fn log_in(&mut self, _registry: &str, login: &Login) -> Result<()> {
        self.login = login.clone();
        Ok(())
    }

    fn pull(&mut self, reference: &str) -> Result<Pulled> {
        let output = run(Command::new(&self.program).args([reference, &self.login.user, &self.login.password]))?;
        match output.lines().collect::<Vec<_>>().as_slice() {
            [head, get, _bytes] if head == get => Ok(Pulled { digest: (*get).to_owned(), printed: None }),
            _ => Err(Failure::new(format!("oci-client: HEAD and GET do not agree, or nothing came: {output}"))),
        }
    }

    fn logs_in(&self) -> bool {
        false
    }

    fn refused(&self) -> &'static [&'static str] {
        &["Not authorized"]
    }

    fn shows_messages(&self) -> bool {
        true
    }
}
