//! Answers to a manifest by tag: the manifest with its headers, cache records and reports, or the fault.

use super::resolved::{Lesson, Passing, Resolved, Top};
use super::{Age, ManifestByTag, Own, TagRequest};
use crate::flow::accept_header;
use crate::flow::body::Body;
use crate::flow::decision::{Context, Decision, Next};
use crate::flow::fault::Fault;
use crate::flow::fetch::{self, LARGE};
use crate::flow::local_reply::LocalReply;
use crate::flow::report::{Counter, Report, Reporting};
use crate::flow::served::{Image, ServedManifest};
use crate::flow::step::Step;
use crate::flow::transfer::{Progress, Transfer};
use crate::images::joined;
use crate::oci::errors::Code;
use crate::oci::index::Descriptor;
use crate::oci::reference::Tag;
use crate::store::cache::{CacheGrowth, Location, Observed, Resolution};
use crate::text::headers::HeaderChange;

impl ManifestByTag {
    /// Answers with the tag's own document, as it is.
    pub(super) fn pass_through(
        self,
        at: Context<'_>,
        Top { digest: top, lesson }: Top,
        media_type: &str,
        body: &Body,
        Passing { why, indistinguishable, observed }: Passing,
        source: Counter,
    ) -> Decision {
        let served = Descriptor { media_type: media_type.to_owned(), digest: top.clone(), size: body.len() as u64 };
        let location = self.asked.cache.locate(at.resources, at.scope(&self.asked.repository), top.as_str());
        let reason = format!("passed through: {why}");
        // A wrong type would be remembered, and the true one would be refused from then on.
        let lesson = if fetch::is_true(media_type, body) { lesson } else { Lesson::Nothing };
        let (indistinguishable, missing) = (indistinguishable as u64, String::new());
        let resolution = Resolution { top, served, reason, missing, indistinguishable, observed, location };
        self.answer(at, Resolved { resolution, lesson }, body, source)
    }

    /// Keeps a document that was verified.
    pub(super) fn keeping(mut self, at: Context<'_>, descriptor: &Descriptor, body: &Body) -> (Self, Option<Location>) {
        let Descriptor { media_type, digest, .. } = descriptor;
        if !fetch::is_true(media_type, body) {
            return (self, None);
        }
        let keep = || {
            self.asked.cache.keep_document(
                at.resources,
                at.scope(&self.asked.repository),
                digest.as_str(),
                media_type,
                body,
            )
        };
        let (location, growth) = body.kept(keep);
        self.growth = self.growth.and(growth);
        (self, location)
    }

    /// Remembers what the tag resolved to, and answers with the manifest.
    pub(super) fn answer(mut self, at: Context<'_>, resolved: Resolved, body: &Body, source: Counter) -> Decision {
        self.learn(at, &resolved);
        if body.len() > LARGE {
            return self.transfer(at, &resolved.resolution, source);
        }
        self.reply(&resolved.resolution, body.clone(), source)
    }

    /// The manifest passes from upstream to the client, whose request fetches it, unless the client has it.
    pub(super) fn transfer(self, at: Context<'_>, resolution: &Resolution, source: Counter) -> Decision {
        let (asked, growth) = (&self.asked, self.growth);
        if asked.is_unmodified(&resolution.served.digest) {
            return self.reply(resolution, Body::default(), source);
        }
        if self.own == Own::Gone {
            return Decision::from(at.session.go_round(&asked.repository, self.asked_for().as_str())).growing(growth);
        }
        let served = resolution.served.clone();
        let path = at.session.paths().manifest(&asked.repository, served.digest.as_str());
        let changes = vec![
            HeaderChange::Set(":path", path),
            HeaderChange::Set("accept", accept_header::all()),
            HeaderChange::Set("accept-encoding", "identity".to_owned()),
        ];
        let step = if self.own == Own::Held { Step::Resume(changes) } else { Step::Continue(changes) };
        let transfer = Transfer {
            headers: self.served_manifest(resolution).headers(),
            reports: self.reports(resolution, source),
            what: format!("{} for machine type {}", self.image(), asked.machine_type.label()),
            head: asked.head,
            descriptor: served,
            progress: Progress::default(),
        };
        Decision::undecided(transfer, step).growing(growth)
    }

    /// Remembers that upstream has just told this caller what the tag points to.
    pub(super) fn learn(&mut self, at: Context<'_>, Resolved { resolution, lesson }: &Resolved) {
        let (cache, asked, view) = (self.asked.cache, &self.asked, self.asked.view());
        let mut growth = if *lesson == Lesson::Resolution {
            cache.keep_resolution(at.resources, at.scope(&self.asked.repository), &asked.tag, &view, resolution)
        } else {
            CacheGrowth::default()
        };
        let identity = asked.identity.filter(|_| *lesson != Lesson::Nothing && cache.trusts_earlier_confirmations());
        if let Some(identity) = identity {
            let (scope, resolution) = (at.scope(&self.asked.repository), resolution.clone());
            let confirmed = cache.keep_confirmed(at.resources, scope, &asked.tag, &view, &identity, resolution);
            growth = growth.and(confirmed);
        }
        self.growth = self.growth.and(growth);
    }

    fn served_manifest<'a>(&'a self, resolution: &'a Resolution) -> ServedManifest<'a> {
        let TagRequest { machine_type, source, vary, tag, .. } = &self.asked;
        let variant = self.variants.as_ref().map(|_| tag);
        ServedManifest { machine_type: machine_type.name(), source: *source, vary, resolution, variant }
    }

    pub(super) fn reply(&self, resolution: &Resolution, body: Body, source: Counter) -> Decision {
        let served = self.served_manifest(resolution);
        let is_unmodified = self.asked.is_unmodified(&resolution.served.digest);
        let reply = if is_unmodified { served.not_modified() } else { served.reply(body) };
        let reports = self.reports(resolution, source);
        Decision { next: Next::Done, step: Step::Reply(reply), reports }.growing(self.growth)
    }

    /// Everything that is counted and logged of an answer.
    fn reports(&self, resolution: &Resolution, source: Counter) -> Vec<Report> {
        let counter = if resolution.passed_through() { Counter::PassedThrough } else { Counter::Selected };
        let mut reports = vec![Report { event: self.nothing_fitted(resolution), ..Report::count(counter) }];
        if self.asked.cache.is_on() {
            reports.push(Report::count(source));
        }
        let absent = self.variants.as_ref().map_or(&[][..], |variants| variants.absent());
        if !resolution.missing.is_empty() || !absent.is_empty() {
            reports.push(self.missing_variant(resolution, absent));
        }
        if resolution.indistinguishable > 0 {
            reports.push(self.indistinguishable(resolution));
        }
        reports.extend(resolution.observed.map(|observed| self.observed(observed, resolution)));
        if self.asked.machine_type.is_unnamed() {
            // Clients can make up any number of machines, and so of topics.
            for report in reports.iter_mut().filter(|report| report.topic.is_some()) {
                (report.line, report.topic) = (None, None);
            }
        }
        reports
    }

    /// The report of an image that was selected by nothing but its place in the list.
    fn indistinguishable(&self, Resolution { reason, indistinguishable: others, .. }: &Resolution) -> Report {
        let (image, name) = (self.image(), self.asked.machine_type.name());
        let line = format!(
            "{image} has other images ({others}) that only list order tells apart from that of machine type {name}; \
             some tool has lost their features: {reason}"
        );
        let topic = Some(format!("indistinguishable {image} {name}"));
        Report { line: Some(line), topic, ..Report::count(Counter::Indistinguishable) }
    }

    /// The report of the result of selection at a registry that is only observed. Another result is another topic.
    fn observed(&self, observed: Observed, Resolution { reason, .. }: &Resolution) -> Report {
        let (image, name) = (self.image(), self.asked.machine_type.name());
        let counter = match observed {
            Observed::Selected | Observed::Nested => Counter::Observed,
            Observed::Nothing => Counter::ObservedNoMatch,
        };
        let line = format!("{image} for machine type {name}: {reason}");
        Report { line: Some(line), topic: Some(format!("{observed:?} {image} {name}")), ..Report::count(counter) }
    }

    /// The report of an image that is made in variants, but not in this machine's, which is worth building: features
    /// that no entry asks for to the full, and better tags that the registry does not have.
    fn missing_variant(&self, resolution: &Resolution, absent: &[Tag]) -> Report {
        let Resolution { reason, missing: features, .. } = resolution;
        let (image, name) = (self.image(), self.asked.machine_type.name());
        let features = (!features.is_empty()).then(|| format!("variant for {features}"));
        let tags = (!absent.is_empty()).then(|| format!("tag {}", joined(absent)));
        let missing = tags.into_iter().chain(features).collect::<Vec<_>>().join(" and no ");
        let tag = self.variants.as_ref().map_or_else(String::new, |_| format!("tag {}: ", self.asked.tag.as_str()));
        let line = format!("{image} has no {missing}: machine type {name} falls back to {tag}{reason}");
        let (topic, event) = (Some(format!("{image} {name}")), self.missing_event(resolution, absent));
        Report { line: Some(line), topic, event, ..Report::count(Counter::MissingVariant) }
    }

    pub(super) fn image(&self) -> Image<'_> {
        Image { repository: &self.asked.repository, tag: self.asked_for() }
    }

    /// The tag that the client has asked for.
    fn asked_for(&self) -> &Tag {
        self.variants.as_ref().map_or(&self.asked.tag, |variants| variants.asked_for())
    }

    /// Answers with the fault, in one line for the client and for the log, unless upstream is down and an earlier
    /// answer of it to this caller may stand in.
    pub(in crate::flow) fn fail(mut self, at: Context<'_>, fault: &Fault) -> Decision {
        if self.asked.observes && fault.counter == Counter::InvalidManifest {
            return self.pass_own(at);
        }
        if fault.code == Code::Unavailable && !fault.own && self.asked.cache.serve_stale_on_error > 0 {
            let context = in_context(at, &self.words(fault));
            self = match self.on_earlier_confirmation(at, Age::Stale) {
                Ok(stale) => {
                    let line = format!("answered with the last known manifest: {context}");
                    let topic = Some(at.session.registry.host.clone());
                    let report = Report { topic, ..Report::fault(Counter::ServedStale, line) };
                    return stale.reporting(report);
                }
                Err(manifest) => *manifest,
            };
        }
        Decision::from(self.refusal(at, fault).growing(self.growth))
    }

    /// The reply about a fault, for the client and in one log line.
    pub(super) fn refusal(&self, at: Context<'_>, fault: &Fault) -> LocalReply {
        let message = self.words(fault);
        let TagRequest { machine_type, source, .. } = &self.asked;
        let reply = fault.reply(&message).with("x-metahub-machine-type", machine_type.name());
        let reply = reply.with("x-metahub-machine-type-source", source.as_str());
        let line = format!("{} {}", fault.code.status(), in_context(at, &message));
        LocalReply::from(reply).reporting(Report::fault(fault.counter, line))
    }

    /// A fault with the image and the machine type, and with the tag if the client has asked for another one.
    fn words(&self, fault: &Fault) -> String {
        let (image, name, tag) = (self.image(), self.asked.machine_type.label(), &self.asked.tag);
        let tag = if tag == self.asked_for() { String::new() } else { format!("tag {}: ", tag.as_str()) };
        format!("{image} for machine type {name}: {tag}{}", fault.message)
    }
}

/// A message with the login and the registry, for the log.
fn in_context(at: Context<'_>, message: &str) -> String {
    format!("{message} (login {:?}, registry {})", at.session.user, at.session.registry.host)
}
