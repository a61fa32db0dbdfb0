//! The documents that the upstreams serve.

use std::fmt::Write as _;

use metahub::oci::digest::Digest;
use metahub::oci::media_type::OCI_MANIFEST;

/// An image's manifest, of five layers as common ones are. `number` makes it another one; its blobs do not exist.
pub(crate) fn manifest(number: u64) -> String {
    let mut layers = String::new();
    for layer in 1..=5 {
        let comma = if layer == 1 { "" } else { "," };
        let _ = write!(
            layers,
            "{comma}{{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\
             \"digest\":\"sha256:{layer}{number:063x}\",\"size\":{layer}048576}}"
        );
    }
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_MANIFEST}\",\
         \"config\":{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\
         \"digest\":\"sha256:{number:064x}\",\"size\":7023}},\"layers\":[{layers}]}}"
    )
}

/// The hexadecimal part of the digest of these bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string().replace("sha256:", "")
}
