//! `metahub-oci-client REFERENCE USER PASSWORD`: pulls an image over plain HTTP with the crate `oci-client` and prints
//! three lines: the digest of the HEAD answer, the digest of the GET answer, and the bytes of all verified layers.
//!
//! Errors go to standard error and exit with 1, as with every other client of the real tests.

use std::process::ExitCode;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::manifest::OciManifest;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [reference, user, password] = arguments.as_slice() else {
        return Err("usage: metahub-oci-client REFERENCE USER PASSWORD".into());
    };
    let auth = RegistryAuth::Basic(user.clone(), password.clone());
    // The HTTP client below insists on a TLS provider even where no TLS is spoken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(pull(&reference.parse()?, &auth))
}

async fn pull(image: &Reference, auth: &RegistryAuth) -> Result<String> {
    let client = Client::try_from(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() })?;
    let head = client.fetch_manifest_digest(image, auth).await?;
    let (manifest, get) = client.pull_manifest(image, auth).await?;
    let mut bytes = Vec::new();
    if let OciManifest::Image(manifest) = manifest {
        for layer in &manifest.layers {
            client.pull_blob(image, layer, &mut bytes).await?;
        }
    }
    Ok(format!("{head}\n{get}\n{}", bytes.len()))
}
