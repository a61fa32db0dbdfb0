//! What a tag points to and what it came to, with what the cache is to learn of it.

use crate::oci::digest::Digest;
use crate::store::cache::{Location, Resolution};
use crate::text::printable::printable;

/// Longest list of missing features that is kept and logged, in bytes.
const MAX_MISSING: usize = 200;

/// What the cache is to learn of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// What the tag came to, and that upstream has confirmed it to this caller.
    Resolution,
    /// That upstream has confirmed it. The cache has the resolution.
    Confirmation,
    /// The same. No HEAD could confirm the resolution, so that it would be of no use.
    Unconfirmable,
    /// Nothing.
    Nothing,
}

/// What the tag points to, as upstream has said in this request.
#[derive(Clone, Debug)]
pub(super) struct Top {
    pub(super) digest: Digest,
    pub(super) lesson: Lesson,
}

/// What the tag came to in this request.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) resolution: Resolution,
    pub(super) lesson: Lesson,
}

impl Resolved {
    /// The manifest is not where the cache looked for it.
    pub(super) fn anew(self) -> Self {
        let lesson = if self.lesson == Lesson::Confirmation { Lesson::Resolution } else { self.lesson };
        Self { lesson, ..self }
    }

    /// The cache keeps the manifest here.
    pub(super) fn at(self, location: Option<Location>) -> Self {
        let Self { resolution, lesson } = if location == self.resolution.location { self } else { self.anew() };
        Self { resolution: Resolution { location, ..resolution }, lesson }
    }
}

/// Missing features as they are kept and logged.
pub(super) fn joined(missing: &[String]) -> String {
    printable(&missing.join(", "), MAX_MISSING)
}
