//! A signing key with its certificate, and JSON web tokens in the form that docker-registry verifies.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::command::run;
use super::temp::TempDir;
use super::{Failure, Result};

/// An RSA key and a certificate that it signed itself.
///
/// Kept as text and not as files: a key may live in a thread that never ends, which would leave the files behind.
#[derive(Clone)]
pub struct Key {
    key: String,
    certificate: String,
}

impl Key {
    /// Makes a new key with the `openssl` command.
    pub fn generate() -> Result<Self> {
        let directory = TempDir::new("key")?;
        let (key, certificate) = (directory.join("key.pem"), directory.join("certificate.pem"));
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-batch", "-days", "2", "-subj", "/CN=tokens"]);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        run(command.arg("-keyout").arg(&key).arg("-out").arg(&certificate))?;
        Ok(Self { key: std::fs::read_to_string(key)?, certificate: std::fs::read_to_string(certificate)? })
    }

    /// The certificate as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A signed token (RFC 7515, RS256) that carries its certificate (`x5c`).
    pub fn token(&self, claims: &Value) -> Result<String> {
        let der: String = self.certificate.lines().filter(|line| !line.starts_with('-')).collect();
        let header = json!({ "alg": "RS256", "typ": "JWT", "x5c": [der] });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(claims));
        let signature = self.sign(text.as_bytes())?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>> {
        let directory = TempDir::new("key")?;
        let key = directory.join("key.pem");
        std::fs::write(&key, &self.key)?;
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sha256", "-sign"]).arg(key);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.take().ok_or_else(|| Failure::new("openssl has no input"))?.write_all(text)?;
        let output = child.wait_with_output()?;
        if output.status.success() { Ok(output.stdout) } else { Err(Failure::new("openssl does not sign")) }
    }
}
