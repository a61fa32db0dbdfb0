//! The document that a tag points to, and what the tag resolved to, with the lesson for the cache.

use crate::oci::digest::Digest;
use crate::oci::index::Descriptor;
use crate::store::cache::{Location, Observed, Resolution};
use crate::text::printable::printable;

/// Longest list of missing features that is kept and logged, in bytes.
const MAX_MISSING: usize = 200;
/// The longest text about an observed result of selection, in bytes: it is in a header and in the log.
const MAX_OBSERVED: usize = 400;

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

/// Why the document that the tag points to is served as it is.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) why: String,
    pub(super) indistinguishable: usize,
    pub(super) observed: Option<Observed>,
}

impl From<&str> for Passing {
    fn from(why: &str) -> Self {
        Self { why: why.to_owned(), indistinguishable: 0, observed: None }
    }
}

impl Passing {
    /// Because its registry is only observed; `why` says the result of selection.
    pub(super) fn observed(observed: Observed, why: &str) -> Self {
        let why = printable(&format!("observed; {why}"), MAX_OBSERVED);
        Self { why, indistinguishable: 0, observed: Some(observed) }
    }
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
    /// The image that was selected from the index that the tag points to, or from one below it.
    pub(super) fn selected(
        Top { digest: top, lesson }: Top,
        served: Descriptor,
        reason: String,
        missing: String,
        indistinguishable: u64,
    ) -> Self {
        let resolution = Resolution { top, served, reason, missing, indistinguishable, observed: None, location: None };
        Self { resolution, lesson }
    }

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
