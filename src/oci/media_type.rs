//! Manifest media types (OCI image spec, media-types.md; Docker image manifest v2 schema 2).

/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Docker manifest list, schema 2.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The four types that MetaHub asks for, in the order in which it prefers them.
pub const ALL: [&str; 4] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

/// The kind of document that a `Content-Type` (or a descriptor's `mediaType`) names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A manifest list or an OCI index.
    Index,
    /// A manifest of one image or artifact.
    Manifest,
    /// Any other type, or none: the document itself must tell.
    Unknown,
}

impl Kind {
    /// Classifies a media type; parameters after `;`, surrounding blanks and letter case do not count.
    #[must_use]
    pub fn of(media_type: &str) -> Self {
        match essence(media_type).to_ascii_lowercase().as_str() {
            OCI_INDEX | DOCKER_LIST => Self::Index,
            OCI_MANIFEST
            | DOCKER_MANIFEST
            | "application/vnd.oci.artifact.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws" => Self::Manifest,
            _ => Self::Unknown,
        }
    }
}

/// The media type without parameters and blanks.
#[must_use]
pub fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Whether two media types are the same but for parameters, blanks and letter case.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one == other || essence(one).eq_ignore_ascii_case(essence(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_media_types() {
        let rows = [
            (OCI_INDEX, Kind::Index),
            (DOCKER_LIST, Kind::Index),
            ("Application/vnd.oci.image.index.v1+json ; charset=utf-8", Kind::Index),
            (OCI_MANIFEST, Kind::Manifest),
            (DOCKER_MANIFEST, Kind::Manifest),
            ("application/vnd.docker.distribution.manifest.v1+prettyjws", Kind::Manifest),
            ("application/json", Kind::Unknown),
            ("text/html", Kind::Unknown),
            ("", Kind::Unknown),
        ];
        for (media_type, kind) in rows {
            assert_eq!(Kind::of(media_type), kind, "{media_type}");
        }
    }
}
