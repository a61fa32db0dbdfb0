//! Entries that no machine gets.

use std::fmt;

use crate::oci::media_type::Kind;
use crate::oci::platform::Platform;

/// Why a readable entry is never selected for any machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// An attestation or another document about an image (`unknown/unknown`, or BuildKit's annotation).
    Attestation,
    /// Its `artifactType` is not an image's: a Helm chart, a bill of materials.
    Artifact,
    /// No platform: such an entry of an index of images is not one of them.
    NoPlatform,
    /// Its media type is neither an image manifest's nor an index's.
    NotAManifest,
    /// The platform lacks `os` or `architecture`.
    IncompletePlatform,
}

impl Exclusion {
    /// Why no machine gets an entry of this platform that points to a document of this kind.
    pub(super) fn of(attestation: bool, artifact: bool, platform: Option<&Platform>, kind: Kind) -> Option<Self> {
        let unknown = |platform: &Platform| platform.os == "unknown" || platform.architecture == "unknown";
        if attestation || platform.is_some_and(unknown) {
            return Some(Self::Attestation);
        }
        if artifact {
            return Some(Self::Artifact);
        }
        match (platform, kind) {
            (_, Kind::Unknown) => Some(Self::NotAManifest),
            (Some(platform), _) if platform.os.is_empty() || platform.architecture.is_empty() => {
                Some(Self::IncompletePlatform)
            }
            (None, Kind::Manifest) => Some(Self::NoPlatform),
            _ => None,
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attestation => "an attestation, not an image",
            Self::Artifact => "an artifact, not an image",
            Self::NoPlatform => "no platform",
            Self::NotAManifest => "neither an image manifest nor an index",
            Self::IncompletePlatform => "a platform without os or architecture",
        })
    }
}
