//! The test authority and the server certificate that it signed, as `make certs` makes them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::command::run;
use super::{Failure, Result};

/// The name under which clients in a sandbox reach a server on this machine with TLS.
///
/// A name, because docker does not ask servers on 127.0.0.0/8 for a certificate that it trusts.
pub const TLS_HOST: &str = "metahub.test";

/// The hosts that test servers stand for.
const NAMES: [&str; 4] = [TLS_HOST, "registry-1.docker.io", "auth.docker.io", "registry.example.com"];

static FOLDER: LazyLock<Result<PathBuf>> = LazyLock::new(|| {
    let root = crate::root();
    let folder = root.join("target/test-certificates");
    make(&folder, &NAMES).map(|()| folder)
});

/// Makes an authority and a certificate for these names in a folder, unless they are there.
pub fn make(folder: &Path, names: &[&str]) -> Result<()> {
    let mut command = Command::new(crate::root().join("scripts/certs.sh"));
    command.arg(folder).args(names).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    run(&mut command).map(drop).map_err(|error| Failure::new(format!("no certificates: {error}")))
}

/// The folder with `ca.crt`, `server.crt` and `server.key`, the same for all tests.
pub fn folder() -> Result<&'static Path> {
    FOLDER.as_ref().map(PathBuf::as_path).map_err(Clone::clone)
}

/// The certificate of the authority that clients must trust.
pub fn authority() -> Result<PathBuf> {
    Ok(folder()?.join("ca.crt"))
}
