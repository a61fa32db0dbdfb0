//! The search for a machine's image among the tags in which its variants are (`images` of the configuration): the best
//! one first. The search goes on behind a tag that the registry does not have, and behind one in which nothing fits.
//! Every other failure is the answer: an outage must not give a machine a lesser image.

use super::resolved::Top;
use super::variants::{Remembered, Variants};
use super::{ManifestByTag, TagRequest};
use crate::flow::decision::{Context, Decision};
use crate::flow::fault::Fault;
use crate::flow::local_reply::LocalReply;
use crate::flow::report::{Counter, Reporting};
use crate::images::Lack;
use crate::oci::errors::Code;
use crate::select::{DeadEnd, OnNoMatch};
use crate::store::keys::Identity;
use crate::text::headers::HeaderChange;

/// The time after which a search asks for nothing more, in seconds: clients wait no longer.
const MAX_SECONDS: u64 = 30;

impl ManifestByTag {
    /// Begins a search; `ask` as for a single tag. Within the search an index in which nothing fits is no answer.
    pub(in crate::flow) fn begin_search(
        at: Context<'_>,
        asked: TagRequest,
        variants: Variants,
        ask: impl FnOnce() -> Vec<HeaderChange>,
    ) -> Decision {
        Self::new(TagRequest { on_no_match: OnNoMatch::Refuse, ..asked }).go_on(at, Box::new(variants), ask)
    }

    /// Answers that no line of an image's rule fits the machine.
    pub(in crate::flow) fn no_line_fits(at: Context<'_>, asked: TagRequest, message: String) -> LocalReply {
        let fault = Fault::new(Code::ManifestUnknown, Counter::NoMatch, message).under(asked.on_no_match);
        Self::new(asked).refusal(at, &fault)
    }

    /// Takes up the next tag of a search.
    fn go_on(
        mut self,
        at: Context<'_>,
        mut variants: Box<Variants>,
        ask: impl FnOnce() -> Vec<HeaderChange>,
    ) -> Decision {
        let view = self.asked.view();
        let Variants { search, seen, .. } = &mut *variants;
        let remembered = self.remembered(at, &view, seen.as_ref());
        match search.next(|tag| remembered.lack(tag)) {
            Some(tag) => {
                self.asked.tag = tag;
                self.variants = Some(variants);
                self.take_up(at, ask)
            }
            None => self.on_exhausted(at, &variants, ask),
        }
    }

    /// The registry has no such tag. Returns the manifest itself if it is not one of a search.
    pub(super) fn on_absent(mut self, at: Context<'_>) -> Result<Decision, Box<Self>> {
        let Some(mut variants) = self.variants.take() else { return Err(Box::new(self)) };
        let (cache, view) = (self.asked.cache, self.asked.view());
        let remembered = self.remembered(at, &view, variants.seen.as_ref());
        let kept = remembered.keep(&self.asked.tag, Lack::Absent);
        let forgotten = cache.forget_tag(at.resources, remembered.scope, &self.asked.tag, &view);
        self.growth = self.growth.and(kept).and(forgotten);
        variants.search.on_absent(self.asked.tag.clone());
        Ok(self.go_on(at, variants, Vec::new))
    }

    /// Goes on behind a tag in which nothing fits. Every other end of a walk without an image is the answer.
    pub(super) fn on_dead_end(mut self, at: Context<'_>, top: &Top, dead_end: &DeadEnd) -> Decision {
        let variants = self.variants.take_if(|_| matches!(dead_end, DeadEnd::NothingFits(_)));
        let Some(mut variants) = variants else {
            return self.refuse(at, top, dead_end);
        };
        let view = self.asked.view();
        let kept = self.remembered(at, &view, variants.seen.as_ref()).keep(&self.asked.tag, Lack::Unfit);
        self.growth = self.growth.and(kept);
        variants.search.on_unfit(self.asked.tag.clone(), dead_end.to_string());
        self.go_on(at, variants, Vec::new)
    }

    /// No tag is left.
    fn on_exhausted(
        mut self,
        at: Context<'_>,
        variants: &Variants,
        ask: impl FnOnce() -> Vec<HeaderChange>,
    ) -> Decision {
        self.asked.tag.clone_from(&variants.asked_for);
        let message = variants.search.failure();
        if !variants.search.met_unfit() {
            // The registry would say so of a single tag, and nothing is counted of that.
            let fault = Fault::new(Code::ManifestUnknown, Counter::NoMatch, message);
            let refusal = LocalReply { reports: Vec::new(), ..self.refusal(at, &fault) };
            return Decision::from(refusal).growing(self.growth);
        }
        if variants.on_no_match == OnNoMatch::Unfiltered {
            self.asked.on_no_match = OnNoMatch::Unfiltered;
            return self.take_up(at, ask);
        }
        let fault = Fault::new(Code::ManifestUnknown, Counter::NoMatch, message);
        self.fail_unfit(at, &fault.under(variants.on_no_match), None)
    }

    /// Why nothing more is asked for, if a search takes too long.
    pub(super) fn overdue(&self, at: Context<'_>) -> Option<Fault> {
        let since = self.variants.as_ref()?.since;
        let host = &at.session.registry.host;
        let message =
            || format!("the registry {host} takes more than {MAX_SECONDS} s to show its tags; try again later");
        (at.resources.now().saturating_sub(since) >= MAX_SECONDS).then(|| Fault::upstream(message()))
    }

    /// The change that sends the client's own request to another tag than it asked for.
    pub(super) fn path_change(&self, at: Context<'_>) -> Option<HeaderChange> {
        let asked = &self.asked;
        self.variants.as_ref().filter(|variants| variants.asked_for != asked.tag)?;
        Some(HeaderChange::Set(":path", at.session.paths().manifest(&asked.repository, asked.tag.as_str())))
    }

    fn remembered<'a>(&'a self, at: Context<'a>, view: &'a [u8], seen: Option<&'a Identity>) -> Remembered<'a> {
        let scope = at.scope(&self.asked.repository);
        Remembered { cache: self.asked.cache, resources: at.resources, scope, view, seen }
    }
}
