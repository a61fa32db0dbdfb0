//! `images` as it is written: nothing checked yet but types.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A rule for tags of an image, or the repositories in which machines find it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "image_rule"))]
pub(super) struct RawImageRule {
    /// The tags that the rule is for: a pattern, or a list of them. `*` and `{name}` stand for one or more characters,
    /// as few as will do. The first rule that matches a tag counts; one with nothing but `tag` leaves its tags as they
    /// are. Default: none; required without `repositories`.
    pub(super) tag: Option<RawTags>,

    /// The tags in which the image's variants are, each with what it asks of a machine; 16 at most. A machine gets the
    /// best that fits it and that the registry has. Default: the tag that was asked for, for every machine.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 16)))]
    pub(super) variants: Option<Vec<RawVariant>>,

    /// The levels that entries of the image's indexes really need although they name no variant, by architecture:
    /// `{ amd64: v3 }`. Default: none.
    pub(super) assume: Option<BTreeMap<String, String>>,

    /// The repositories of the same registry in which machines find the image instead, each with what it asks of a
    /// machine; 16 at most. Tags, digests, blobs and referrers are all read there. Stands in a rule of its own, and not
    /// where a registry has `accept_jwt`. Default: the image's own, for every machine.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 16)))]
    pub(super) repositories: Option<Vec<RawVariantRepository>>,
}

/// A pattern, or a list of patterns.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "not a pattern for tags, and no list of such patterns")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub(super) enum RawTags {
    One(#[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::TAG_PATTERN)))] String),
    Several(
        #[cfg_attr(feature = "schema", schemars(length(min = 1), inner(regex(pattern = super::schema::TAG_PATTERN))))]
        Vec<String>,
    ),
}

/// A tag in which a variant of an image is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "image_variant"))]
pub(super) struct RawVariant {
    /// The variant's tag: text in which `{tag}` stands for the tag that was asked for, and `{name}` for what it stands
    /// for in the rule's `tag`, as in `{tag}-rocm`.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::TAG_TEMPLATE)))]
    pub(super) tag: String,

    /// The operating system that the variant asks for. Default: any.
    pub(super) os: Option<String>,

    /// The architecture that the variant asks for. Default: any.
    pub(super) architecture: Option<String>,

    /// The variant of the architecture that it asks for, `v3` or `v8.2`. Default: what images without one ask for.
    pub(super) variant: Option<String>,

    /// The features that the variant asks for, written as in an index. Default: none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(inner(regex(pattern = super::schema::FEATURE))))]
    pub(super) features: Vec<String>,
}

/// A repository in which a variant of an image is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "image_repository"))]
pub(super) struct RawVariantRepository {
    /// The repository, with its namespace.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = super::schema::REPOSITORY)))]
    pub(super) repository: String,

    /// The operating system that the variant asks for. Default: any.
    pub(super) os: Option<String>,

    /// The architecture that the variant asks for. Default: any.
    pub(super) architecture: Option<String>,

    /// The variant of the architecture that it asks for, `v3` or `v8.2`. Default: what images without one ask for.
    pub(super) variant: Option<String>,

    /// The features that the variant asks for, written as in an index. Default: none.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(inner(regex(pattern = super::schema::FEATURE))))]
    pub(super) features: Vec<String>,
}
