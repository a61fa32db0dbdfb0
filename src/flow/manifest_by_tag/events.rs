//! Events of a manifest by tag: images that are not there yet.

use super::resolved::Top;
use super::{ManifestByTag, TagRequest};
use crate::events::{BuildEvent, EventReason};
use crate::flow::decision::{Context, Decision};
use crate::flow::fault::Fault;
use crate::oci::digest::Digest;
use crate::oci::reference::Tag;
use crate::select::{DeadEnd, NOTHING_FITS_UNFILTERED};
use crate::store::cache::{Observed, Resolution};
use std::sync::Arc;

/// The words with which [`DeadEnd::NothingFits`] begins.
const NOTHING_FITS: &str = "nothing fits;";

impl TagRequest {
    /// The event that this image is not there yet for this machine type, if events are posted.
    pub(super) fn event(&self, reason: EventReason, index: Option<&Digest>) -> Option<Box<BuildEvent>> {
        // Clients can make up any number of machines, and nobody builds for those.
        if self.machine_type.is_unnamed() {
            return None;
        }
        Some(Box::new(BuildEvent {
            reason,
            registry: self.events_of.as_ref()?.host.clone(),
            repository: self.repository.clone(),
            tag: self.tag.clone(),
            index: index.cloned(),
            machine_type: Arc::clone(&self.machine_type),
        }))
    }
}

impl ManifestByTag {
    /// The event that nothing fits, where the whole index was served instead.
    pub(super) fn nothing_fitted(&self, resolution: &Resolution) -> Option<Box<BuildEvent>> {
        let Resolution { top, reason, observed, .. } = resolution;
        let nothing_fits = match observed {
            None => reason.ends_with(NOTHING_FITS_UNFILTERED),
            Some(Observed::Nothing) => reason.contains(NOTHING_FITS),
            Some(Observed::Selected | Observed::Nested) => false,
        };
        let event = || self.asked.event(EventReason::NothingFits, Some(top));
        nothing_fits.then(event).flatten()
    }

    /// The event of an image that is made in variants, but not in this machine's: the best tag that the registry does
    /// not have, or else the features for which there is no entry.
    pub(super) fn missing_event(&self, resolution: &Resolution, absent: &[Tag]) -> Option<Box<BuildEvent>> {
        let Resolution { top, missing, .. } = resolution;
        let Some(tag) = absent.first() else {
            return self.asked.event(EventReason::MissingVariant(missing.clone()), Some(top));
        };
        let mut event = self.asked.event(EventReason::AbsentTag(tag.clone()), Some(top))?;
        if let Some(variants) = &self.variants {
            event.tag.clone_from(variants.asked_for());
        }
        Some(event)
    }

    /// Answers that the walk has led to no image.
    pub(super) fn refuse(self, at: Context<'_>, top: &Top, dead_end: &DeadEnd) -> Decision {
        let fault = Fault::dead_end(dead_end).under(self.asked.on_no_match);
        if matches!(dead_end, DeadEnd::NothingFits(_)) {
            return self.fail_unfit(at, &fault, Some(&top.digest));
        }
        self.fail(at, &fault)
    }

    /// Answers with the fault that nothing fits, which is an event.
    pub(super) fn fail_unfit(self, at: Context<'_>, fault: &Fault, index: Option<&Digest>) -> Decision {
        let event = self.asked.event(EventReason::NothingFits, index);
        let mut decision = self.fail(at, fault);
        if let Some(report) = decision.reports.iter_mut().find(|report| report.counter == fault.counter) {
            report.event = event;
        }
        decision
    }
}
