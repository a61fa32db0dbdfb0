//! Images and indexes built from nothing, the same bytes every time.
//!
//! Keys stand in alphabetical order: `serde_json` sorts them unless some dependency turns `preserve_order` on.

use metahub::oci::digest::Digest;
use metahub::oci::media_type;
use serde_json::{Value, json};

use super::elf::{Architecture, program};
use super::tar::{archive, gzip};

/// Which of the two families of media types an image speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Docker,
    Oci,
}

impl Format {
    const fn manifest(self) -> &'static str {
        match self {
            Self::Docker => media_type::DOCKER_MANIFEST,
            Self::Oci => media_type::OCI_MANIFEST,
        }
    }

    const fn index(self) -> &'static str {
        match self {
            Self::Docker => media_type::DOCKER_LIST,
            Self::Oci => media_type::OCI_INDEX,
        }
    }

    const fn config(self) -> &'static str {
        match self {
            Self::Docker => "application/vnd.docker.container.image.v1+json",
            Self::Oci => "application/vnd.oci.image.config.v1+json",
        }
    }

    const fn layer(self) -> &'static str {
        match self {
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            Self::Oci => "application/vnd.oci.image.layer.v1.tar+gzip",
        }
    }
}

/// Bytes with their media type: a manifest, an index, a configuration or a layer.
#[derive(Clone, Debug)]
pub struct Document {
    pub media_type: String,
    pub bytes: Vec<u8>,
}

impl Document {
    pub fn new(media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { media_type: media_type.to_owned(), bytes: bytes.into() }
    }

    pub fn json(media_type: &str, value: &Value) -> Self {
        Self::new(media_type, value.to_string())
    }

    /// The digest, as it stands in manifests and URLs.
    pub fn digest(&self) -> String {
        Digest::of(&self.bytes).to_string()
    }

    /// `mediaType`, `digest` and `size`, as a manifest or an index names this document.
    pub fn descriptor(&self) -> Value {
        json!({ "digest": self.digest(), "mediaType": self.media_type, "size": self.bytes.len() })
    }

    /// The descriptor with a `platform`, for an index.
    pub fn entry(&self, platform: &Value) -> Value {
        json!({
            "digest": self.digest(),
            "mediaType": self.media_type,
            "platform": platform,
            "size": self.bytes.len(),
        })
    }
}

/// A runnable image of one layer.
#[derive(Clone, Debug)]
pub struct Image {
    pub manifest: Document,
    pub config: Document,
    pub layer: Document,
}

impl Image {
    /// An image for `linux` whose container prints `text` and a line end.
    pub fn printing(format: Format, architecture: Architecture, text: &str) -> Self {
        let tar = archive("say", &program(architecture, &format!("{text}\n")));
        let layer = Document::new(format.layer(), gzip(&tar));
        let config = Document::json(
            format.config(),
            &json!({
                "architecture": architecture.name(),
                "config": { "Cmd": ["/say"] },
                "created": "1970-01-01T00:00:00Z",
                "history": [{ "comment": text, "created": "1970-01-01T00:00:00Z" }],
                "os": "linux",
                "rootfs": { "diff_ids": [Digest::of(&tar).to_string()], "type": "layers" },
            }),
        );
        let manifest = Document::json(
            format.manifest(),
            &json!({
                "config": config.descriptor(),
                "layers": [layer.descriptor()],
                "mediaType": format.manifest(),
                "schemaVersion": 2,
            }),
        );
        Self { manifest, config, layer }
    }
}

/// A manifest list or OCI index of these entries (see [`Document::entry`]).
pub fn index(format: Format, entries: &[Value]) -> Document {
    let value = json!({ "manifests": entries, "mediaType": format.index(), "schemaVersion": 2 });
    Document::json(format.index(), &value)
}
