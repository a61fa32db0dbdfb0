//! A client's request for a manifest by tag: the rule of its image, and how the search for it begins.

use std::rc::Rc;
use std::sync::Arc;

use super::{ManifestByTag, TagRequest, Variants};
use crate::config::Mode;
use crate::flow::accept_header;
use crate::flow::caller::Caller;
use crate::flow::claim::{self, Claim};
use crate::flow::decision::{Context, Decision};
use crate::flow::local_reply::LocalReply;
use crate::flow::none_match::NoneMatch;
use crate::flow::report::{Counter, Report, Reporting};
use crate::flow::site::Site;
use crate::flow::{mapped, mirrors};
use crate::images::Plan;
use crate::machine_type::MachineType;
use crate::oci::reference::{Repository, Tag};
use crate::request::Method;
use crate::select::OnNoMatch;
use crate::text::headers::{HeaderChange, Headers};

impl ManifestByTag {
    /// Takes up a client's request for a tag.
    ///
    /// # Errors
    /// The answer if no line of the image's rule fits the machine.
    pub(in crate::flow) fn asked_by(
        Site { config, registry, worker, headers, .. }: Site<'_>,
        at: Context<'_>,
        caller: &Caller<'_>,
        (claim, machine_type): (&Claim, &Arc<MachineType>),
        (repository, tag): (Repository, Tag),
        method: Method,
    ) -> Result<Decision, LocalReply> {
        let mirrored = mirrors::report(config, headers, &repository, &tag, machine_type);
        let rule = mapped::rule(config, registry, &repository, &tag);
        let plan = rule.map_or(Plan::AsItIs, |rule| rule.plan(&tag, machine_type));
        let asked = TagRequest {
            repository,
            tag,
            identity: caller.identity,
            machine_type: Arc::clone(machine_type),
            source: claim.source,
            vary: claim::vary(config),
            on_no_match: config.on_no_match,
            observes: registry.mode == Mode::Observe,
            assumed: rule.map(|rule| rule.assumed().clone()).unwrap_or_default(),
            cache: config.cache,
            recent: Rc::clone(&worker.recent),
            head: method == Method::Head,
            none_match: NoneMatch::of(headers),
            events_of: config.events().map(|_| Arc::clone(registry)),
        };
        let ask = || ask_what_it_points_to(headers);
        let mut decision = match plan {
            Plan::Search(search) => {
                let seen = caller.seen(at.resources, registry);
                let variants = Variants::new(at, search, &asked.tag, config.on_no_match, seen);
                Self::begin_search(at, asked, variants, ask)
            }
            Plan::NothingFits(message) if config.on_no_match != OnNoMatch::Unfiltered => {
                return Err(Self::no_line_fits(at, asked, message));
            }
            Plan::AsItIs | Plan::NothingFits(_) => Self::begin(at, asked, ask),
        };
        decision.reports.extend(mirrored);
        Ok(if claim.disagrees { decision.reporting(Report::count(Counter::Disagreed)) } else { decision })
    }
}

/// Turns a request for a manifest by tag into one that asks what the tag points to. Each change costs a call into
/// Envoy, so there are as few as possible; an answer to HEAD has no body whose encoding could matter.
fn ask_what_it_points_to(headers: Headers<'_>) -> Vec<HeaderChange> {
    let mut changes = Vec::new();
    if headers.first(":method") != Some(b"HEAD") {
        changes.push(HeaderChange::Set(":method", "HEAD".to_owned()));
    }
    if !accept_header::asks_for_all(headers) {
        changes.push(HeaderChange::Set("accept", accept_header::all()));
    }
    changes
}
