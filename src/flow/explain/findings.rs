//! The findings of an explanation behind the tags of an image, as the answer says them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::flow::body::Body;
use crate::images::Variant;
use crate::machine_type::MachineType;
use crate::oci::digest::Digest;
use crate::oci::media_type::Kind;
use crate::oci::reference::Tag;
use crate::select::explanation;
use crate::text::json::{Json, json};

/// The most bytes of documents that an explanation keeps for its next machine types.
pub(super) const MAX_KEPT: usize = 16 * 1024 * 1024;

/// The finding behind a tag.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Absent,
    Document {
        digest: Digest,
        is_index: bool,
        body: Body,
    },
    /// A document that is no longer kept, by its digest.
    Forgotten(Digest),
    /// A pull would fail, with this message.
    Failed(String),
}

/// Machine types that are alike, and the outcome of their pulls.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) machine_types: Vec<Arc<MachineType>>,
    pub(super) outcome: Outcome,
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) tag: Option<Tag>,
    pub(super) selected: Option<Digest>,
    pub(super) reason: String,
    pub(super) missing: Vec<String>,
}

impl Found {
    /// A document behind a tag.
    pub(super) fn document(digest: Digest, media_type: &str, body: Body) -> Self {
        let is_index = body.nature().is_index || Kind::of(media_type) == Kind::Index;
        Self::Document { digest, is_index, body }
    }

    /// The size of what is kept, in bytes.
    pub(super) fn size(&self) -> usize {
        if let Self::Document { body, .. } = self { body.len() } else { 0 }
    }
}

/// Keeps of all documents only that they were there, but for the one behind the tag at which a machine type is. Returns
/// the size of that, in bytes.
pub(super) fn forget_all_but(current: Option<&str>, found: &mut BTreeMap<String, Found>) -> usize {
    for (_, other) in found.iter_mut().filter(|(tag, _)| Some(tag.as_str()) != current) {
        if let Found::Document { digest, .. } = other {
            *other = Found::Forgotten(digest.clone());
        }
    }
    found.values().map(Found::size).sum()
}

impl Group {
    pub(super) fn json(&self) -> Json {
        let Self { machine_types, outcome } = self;
        json!({
            "names": machine_types.iter().map(|machine_type| machine_type.name()).collect::<Json>(),
            "tag": outcome.tag.as_ref().map(Tag::as_str),
            "selected": outcome.selected.as_ref().map(Digest::as_str),
            "reason": outcome.reason.as_str(),
            "missing_variants": outcome.missing.clone(),
        })
    }
}

/// The notes about a tag of which these groups get their images.
pub(super) fn notes(groups: &[Group]) -> Json {
    let mut images: Vec<&Digest> = Vec::new();
    for image in groups.iter().filter_map(|group| group.outcome.selected.as_ref()) {
        if !images.contains(&image) {
            images.push(image);
        }
    }
    explanation::notes(images.len())
}

/// The lines of a rule, with the findings behind their tags.
pub(super) fn variants(lines: Vec<Variant>, found: &BTreeMap<String, Found>) -> Json {
    let describe = |line: Variant| {
        let found = line.tag.as_ref().and_then(|tag| found.get(tag.as_str()));
        let (digest, problem) = match (&line.tag, found) {
            (None, _) => (None, Some("longer than a tag may be".to_owned())),
            (_, None) => (None, None),
            (_, Some(Found::Absent)) => (None, Some("the registry has no such tag".to_owned())),
            (_, Some(Found::Failed(problem))) => (None, Some(problem.clone())),
            (_, Some(Found::Document { digest, .. } | Found::Forgotten(digest))) => {
                (Some(digest.as_str().to_owned()), None)
            }
        };
        json!({
            "tag": line.tag.as_ref().map(Tag::as_str),
            "requires": line.requires,
            "digest": digest,
            "problem": problem,
        })
    };
    lines.into_iter().map(describe).collect()
}
