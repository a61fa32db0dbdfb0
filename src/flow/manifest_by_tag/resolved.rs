//! The document that a tag points to, and what the tag resolved to, with the lesson for the cache.

use crate::oci::digest::Digest;
use crate::store::cache::{Location, Resolution};
use crate::text::printable::printable;

/// Longest list of missing features that is kept and logged, in bytes.
const MAX_MISSING: usize = 200;

/// The facts that the cache learns from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// The resolution, and that upstream has confirmed it to this caller.
    Resolution,
    /// Only that upstream has confirmed it: the cache has the resolution.
    Confirmation,
    /// Only that upstream has confirmed it: a resolution would be of no use, because no HEAD could confirm it.
    Unconfirmable,
    /// Nothing.
    Nothing,
}

/// The document that the tag points to, as upstream has said in this request.
#[derive(Clone, Debug)]
pub(super) struct Top {
    pub(super) digest: Digest,
    pub(super) lesson: Lesson,
}

/// The resolution of the tag in this request.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) resolution: Resolution,
    pub(super) lesson: Lesson,
}

impl Resolved {
    /// The same, where the manifest is not in the place that the resolution names.
    pub(super) fn anew(self) -> Self {
        let lesson = if self.lesson == Lesson::Confirmation { Lesson::Resolution } else { self.lesson };
        Self { lesson, ..self }
    }

    /// The same, where the cache keeps the manifest here.
    pub(super) fn at(self, location: Option<Location>) -> Self {
        let Self { resolution, lesson } = if location == self.resolution.location { self } else { self.anew() };
        Self { resolution: Resolution { location, ..resolution }, lesson }
    }
}

/// Missing features as they are kept and logged.
pub(super) fn joined(missing: &[String]) -> String {
    printable(&missing.join(", "), MAX_MISSING)
}
