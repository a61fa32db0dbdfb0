//! The JSON of an index, as far as it is used, borrowed from the bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{FEATURES_ANNOTATION, IndexError, MAX_ENTRIES, MAX_FEATURES};
use crate::media_type::Kind;
use crate::words::printable;

/// The annotation by which BuildKit marks attestations.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// The index itself.
pub(super) struct Document<'a> {
    pub(super) artifact_type: bool,
    /// Entries not parsed yet, so that one bad entry does not spoil the others.
    pub(super) manifests: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument<'a> {
    #[serde(borrow)]
    media_type: Option<Text<'a>>,
    #[serde(borrow)]
    artifact_type: Option<Text<'a>>,
    #[serde(borrow)]
    manifests: Option<Manifests<'a>>,
    layers: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
    blobs: Option<IgnoredAny>,
}

/// Reads the index without its entries.
pub(super) fn document(bytes: &[u8]) -> Result<Document<'_>, IndexError> {
    let document: RawDocument<'_> =
        serde_json::from_slice(bytes).map_err(|error| IndexError::Malformed(printable(&error.to_string(), 160)))?;
    let manifests = match document.manifests {
        None => return Err(IndexError::NoEntries),
        Some(Manifests::TooMany) => return Err(IndexError::TooManyEntries),
        Some(Manifests::Entries(entries)) if entries.is_empty() => return Err(IndexError::NoEntries),
        Some(Manifests::Entries(entries)) => entries,
    };
    let beside = [
        ("layers", document.layers.is_some()),
        ("config", document.config.is_some()),
        ("fsLayers", document.fs_layers.is_some()),
        ("blobs", document.blobs.is_some()),
    ];
    if let Some((field, _)) = beside.into_iter().find(|(_, present)| *present) {
        return Err(IndexError::Ambiguous(field));
    }
    if let Some(media_type) = document.media_type.filter(|media_type| Kind::of(&media_type.0) == Kind::Manifest) {
        return Err(IndexError::NotAnIndex(printable(&media_type.0, 100)));
    }
    let artifact_type = document.artifact_type.is_some_and(|artifact_type| !artifact_type.0.is_empty());
    Ok(Document { artifact_type, manifests })
}

/// Whether the bytes are a JSON object with `manifests`, readable or not.
pub(super) fn has_manifests(bytes: &[u8]) -> bool {
    serde_json::from_slice::<BTreeMap<Cow<'_, str>, IgnoredAny>>(bytes)
        .is_ok_and(|object| object.contains_key("manifests"))
}

/// One entry of `manifests`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawEntry<'a> {
    #[serde(borrow)]
    pub(super) media_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) digest: Option<Text<'a>>,
    pub(super) size: Option<u64>,
    #[serde(borrow)]
    pub(super) platform: Option<RawPlatform<'a>>,
    #[serde(borrow)]
    pub(super) annotations: Option<Annotations<'a>>,
}

/// `platform` of an entry.
#[derive(Deserialize)]
pub(super) struct RawPlatform<'a> {
    #[serde(borrow)]
    pub(super) os: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) architecture: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) variant: Option<Text<'a>>,
    #[serde(borrow, rename = "os.version")]
    pub(super) os_version: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) features: Option<TextList<'a>>,
    #[serde(borrow, rename = "os.features")]
    pub(super) os_features: Option<TextList<'a>>,
}

/// A string, borrowed unless it has escapes. (serde borrows a plain `Cow`, but not one inside an `Option`.)
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A list of strings, bounded.
pub(super) struct TextList<'a>(pub(super) Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for TextList<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = TextList<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    if texts.len() == MAX_FEATURES {
                        return Err(A::Error::custom(format!("more than {MAX_FEATURES} features")));
                    }
                    texts.push(text);
                }
                Ok(TextList(texts))
            }
        }
        deserializer.deserialize_seq(ListVisitor)
    }
}

/// `manifests`: a list of documents, bounded.
enum Manifests<'a> {
    Entries(Vec<&'a RawValue>),
    TooMany,
}

impl<'de: 'a, 'a> Deserialize<'de> for Manifests<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ManifestsVisitor;
        impl<'de> Visitor<'de> for ManifestsVisitor {
            type Value = Manifests<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of entries")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while entries.len() < MAX_ENTRIES {
                    match list.next_element()? {
                        Some(entry) => entries.push(entry),
                        None => return Ok(Manifests::Entries(entries)),
                    }
                }
                // The rest is read over, so that an error after it is still reported as what it is.
                let mut more = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    more = true;
                }
                Ok(if more { Manifests::TooMany } else { Manifests::Entries(entries) })
            }
        }
        deserializer.deserialize_seq(ManifestsVisitor)
    }
}

/// The annotations that matter; others may have any value.
#[derive(Default)]
pub(super) struct Annotations<'a> {
    pub(super) features: Option<Text<'a>>,
    pub(super) attestation: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnnotationsVisitor;
        impl<'de> Visitor<'de> for AnnotationsVisitor {
            type Value = Annotations<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut annotations = Annotations::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match &*key.0 {
                        FEATURES_ANNOTATION if annotations.features.is_some() => {
                            return Err(A::Error::duplicate_field(FEATURES_ANNOTATION));
                        }
                        FEATURES_ANNOTATION => annotations.features = map.next_value()?,
                        REFERENCE_TYPE => {
                            annotations.attestation = true;
                            map.next_value::<IgnoredAny>()?;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(annotations)
            }
        }
        deserializer.deserialize_map(AnnotationsVisitor)
    }
}
