//! The client that `make demo` pulls with: docker where a daemon runs, else skopeo.
//!
//! Either uses its own configuration, so the user's logins are not touched.

use std::process::{Command, Stdio};

use metahub::oci::digest::Digest;

use metahub_testkit::elf::Architecture;
use metahub_testkit::temp::TempDir;
use metahub_testkit::{Failure, Result};

/// The result of a pull.
pub(crate) struct Pulled {
    /// The digest of the image's manifest, as the client has it.
    pub(crate) digest: String,
    /// The output of the image's program.
    pub(crate) printed: String,
}

/// A container client.
pub(crate) enum Client {
    /// docker, with the address of its daemon.
    Docker(Option<String>),
    Skopeo,
}

impl Client {
    /// The client to use on this machine.
    pub(crate) fn find() -> Result<Self> {
        if succeeds(Command::new("docker").arg("info")) {
            // Our own configuration folder does not have the user's contexts, so the daemon is named.
            let format = "{{.Endpoints.docker.Host}}";
            let address = output(Command::new("docker").args(["context", "inspect", "--format", format]));
            return Ok(Self::Docker(address.ok().filter(|text| !text.is_empty())));
        }
        if succeeds(Command::new("skopeo").arg("--version")) {
            return Ok(Self::Skopeo);
        }
        Err(Failure::new(
            "neither docker (with a running daemon) nor skopeo is here: run `scripts/install.sh login-client`",
        ))
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Docker(_) => "docker",
            Self::Skopeo => "skopeo",
        }
    }

    /// Logs in with a password equal to the name, pulls the image, runs it, and removes it again.
    pub(crate) fn pull(&self, login: &str, server: &str, repository: &str) -> Result<Pulled> {
        let home = TempDir::new("client")?;
        match self {
            Self::Docker(address) => docker(address.as_deref(), &home, login, server, repository),
            Self::Skopeo => skopeo(&home, login, server, repository),
        }
    }
}

fn docker(address: Option<&str>, home: &TempDir, login: &str, server: &str, repository: &str) -> Result<Pulled> {
    let image = format!("{server}/{repository}:latest");
    let docker = |arguments: &[&str]| {
        let mut command = limited("docker");
        command.args(arguments).env("DOCKER_CONFIG", home.path());
        if let Some(address) = address {
            command.env("DOCKER_HOST", address);
        }
        output(&mut command)
    };
    docker(&["login", "--username", login, "--password", login, server])?;
    docker(&["pull", "--quiet", &image])?;
    let pulled = (|| {
        let digests = docker(&["image", "inspect", "--format", "{{index .RepoDigests 0}}", &image])?;
        let digest = digests.split_once('@').map_or(digests.as_str(), |(_, digest)| digest).to_owned();
        Ok(Pulled { digest, printed: docker(&["run", "--rm", "--pull", "never", &image])? })
    })();
    docker(&["image", "rm", &image])?;
    pulled
}

fn skopeo(home: &TempDir, login: &str, server: &str, repository: &str) -> Result<Pulled> {
    let credentials = home.join("auth.json");
    let image = home.join("image");
    let mut command = limited("skopeo");
    command.args(["login", "--tls-verify=false", "--username", login, "--password", login, "--authfile"]);
    output(command.arg(&credentials).arg(server))?;

    // The system's signature policy may not be installed, and the demo does not need it.
    let mut command = limited("skopeo");
    command.args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false", "--authfile"]).arg(&credentials);
    command.arg(format!("docker://{server}/{repository}:latest")).arg(format!("dir:{}", image.display()));
    output(&mut command)?;

    let manifest = std::fs::read(image.join("manifest.json"))?;
    let digest = Digest::of(&manifest).to_string();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).map_err(std::io::Error::other)?;
    let layer = manifest.pointer("/layers/0/digest").and_then(|digest| digest.as_str()?.strip_prefix("sha256:"));
    let layer = layer.ok_or_else(|| Failure::new(format!("no layer in what {login} pulled: {manifest}")))?;
    output(Command::new("tar").arg("-xzf").arg(image.join(layer)).arg("-C").arg(home.path()))?;

    let program = home.join("say");
    let printed = if Architecture::host() == Architecture::Amd64 {
        output(&mut Command::new(program))?
    } else {
        // The program is for another machine; its text stands at its end.
        let bytes = String::from_utf8_lossy(&std::fs::read(program)?).into_owned();
        bytes.rfind(">> ").and_then(|start| bytes.get(start..)).unwrap_or_default().trim().to_owned()
    };
    Ok(Pulled { digest, printed })
}

/// A command that is ended after a minute.
fn limited(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["60", program]);
    command
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// The output of a command; its error output when it failed.
fn output(command: &mut Command) -> Result<String> {
    let outcome = command.stdin(Stdio::null()).output();
    let output = outcome.map_err(|error| Failure::new(format!("{:?}: {error}", command.get_program())))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Failure::new(format!("{command:?} failed ({}):\n{}", output.status, errors.trim())))
}
