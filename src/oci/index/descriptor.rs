//! Descriptors of manifests (OCI image spec, descriptor.md).

use crate::oci::digest::Digest;
use crate::oci::media_type;

/// The descriptor of the manifest that an entry points to (OCI image spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Descriptor {
    /// The media type of the manifest, as the index spells it.
    pub media_type: String,
    /// The digest of the manifest.
    pub digest: Digest,
    /// The size of the manifest, in bytes.
    pub size: u64,
}

impl Descriptor {
    /// Whether the descriptor fits a document of this media type and length; its digest is not compared.
    #[must_use]
    pub fn describes(&self, media_type: &str, body: &[u8]) -> bool {
        media_type::same(media_type, &self.media_type) && body.len() as u64 == self.size
    }
}
