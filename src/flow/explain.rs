//! `/metahub/v1/explain`: the index, then the indexes in it, by callouts; then one answer.

use std::rc::Rc;

use super::fetch::{self, Fault, Unusable};
use super::{Answer, Authorizing, Counter, Effects, Event, Exchange, Report, Step, Upstream};
use crate::config::{OnNoMatch, Registry};
use crate::digest::Digest;
use crate::errors::{Code, Reply};
use crate::explain::{Explanation, Image};
use crate::index::{Descriptor, Index, is_artifact_tag};
use crate::machine_type::MachineType;
use crate::media_type::Kind;
use crate::memory::Memory;
use crate::query::ExplainQuery;
use crate::request::Reference;
use crate::select::{DeadEnd, Walk};

/// An `explain` request under way.
#[derive(Debug)]
pub struct Explain {
    query: ExplainQuery,
    user: String,
    pub(super) upstream: Upstream,
    machine_types: Vec<Rc<MachineType>>,
    on_no_match: OnNoMatch,
    /// The nested index that was asked for last, and what is known so far; `None` while the image itself is awaited.
    known: Option<(Descriptor, Explanation)>,
}

impl Explain {
    /// Asks for the image. `machine_types` are those that the caller may use, by name.
    #[inline(never)]
    pub(super) fn begin(
        query: ExplainQuery,
        user: String,
        registry: &Rc<Registry>,
        mut machine_types: Vec<Rc<MachineType>>,
        on_no_match: OnNoMatch,
    ) -> Effects {
        if let Some(name) = &query.machine_type {
            machine_types.retain(|machine_type| machine_type.name() == name);
            if machine_types.is_empty() {
                let message = format!("there is no machine type {name:?}, or login {user:?} may not use it");
                let report = Report::fault(Counter::Refused, format!("404 {message}"));
                return Effects::reply(Reply::error(Code::NameUnknown, &message)).reporting(report);
            }
        }
        let upstream = Upstream::new(registry, &user);
        let callout = fetch::callout(&upstream, &query.repository, reference(&query.reference), None);
        let explain = Self { query, user, upstream, machine_types, on_no_match, known: None };
        Effects::new(Exchange::Explaining(Box::new(explain)), Step::CallOut(callout))
    }

    #[inline(never)]
    pub(super) fn advance(mut self, memory: &dyn Memory, event: &Event<'_>) -> Effects {
        let Event::CalloutAnswered(answer) = event else {
            return Effects::new(Exchange::Explaining(Box::new(self)), Step::Hold);
        };
        if let Some(request) = answer.and_then(|answer| self.upstream.renew(memory, answer.headers)) {
            let wanted = self.known.as_ref().map(|(descriptor, _)| descriptor.digest.as_str());
            let wanted = wanted.unwrap_or_else(|| reference(&self.query.reference));
            let callout = fetch::callout(&self.upstream, &self.query.repository, wanted, None);
            let upstream = self.upstream.clone();
            return Authorizing::again(request, upstream, Exchange::Explaining(Box::new(self)), callout);
        }
        if let Some(refusal) = answer.and_then(|answer| self.upstream.refusal(memory, answer.headers)) {
            return refusal;
        }
        let mut explanation = match self.known.take() {
            None => match self.image(*answer) {
                Ok(image) => {
                    Explanation::new(image, &self.machine_types, self.query.after.as_deref(), self.on_no_match)
                }
                Err(fault) => return self.fail(&fault),
            },
            Some((descriptor, mut explanation)) => {
                let body = fetch::verified(&self.upstream.registry, &descriptor, *answer);
                let index = body.map_err(|fault| fault.message).and_then(|body| {
                    let unusable = |error| DeadEnd::Unusable { nested: true, error }.to_string();
                    Index::parse(body).map(Rc::new).map_err(unusable)
                });
                explanation.add(descriptor, index);
                explanation
            }
        };
        let Some(descriptor) = explanation.wants() else {
            let reply = Reply::json(200, &explanation.page(&self.query.rest));
            return Effects::reply(reply.with("cache-control", "no-store").with("vary", "Authorization"));
        };
        let callout = fetch::callout(&self.upstream, &self.query.repository, descriptor.digest.as_str(), None);
        self.known = Some((descriptor, explanation));
        Effects::new(Exchange::Explaining(Box::new(self)), Step::CallOut(callout))
    }

    /// The document behind the image's name.
    fn image(&self, answer: Option<Answer<'_>>) -> Result<Image, Fault> {
        let reference = reference(&self.query.reference);
        let Answer { headers, body } = match fetch::top(&self.upstream.registry, answer) {
            Ok(answer) => answer,
            Err(Unusable::Fault(fault)) => return Err(fault),
            // What a client would read for itself is put into words here.
            Err(Unusable::Word(answer)) => fetch::manifest(&self.upstream.registry, reference, Some(answer))?,
        };
        let digest = Digest::of(body);
        if let Reference::Digest(expected) = &self.query.reference
            && !expected.verifies(body)
        {
            return Err(Fault::invalid(format!("the manifest behind {expected} hashes to {digest}")));
        }
        let media_type = headers.text("content-type").unwrap_or_default();
        let is_index = match Kind::of(media_type) {
            Kind::Index => true,
            Kind::Manifest => false,
            Kind::Unknown => Index::is_index(body),
        };
        let artifact = matches!(&self.query.reference, Reference::Tag(tag) if is_artifact_tag(tag.as_str()));
        let index = if is_index && !artifact {
            Some(Rc::new(Walk::begin().read(body).map_err(|dead_end| Fault::dead_end(&dead_end))?))
        } else {
            None
        };
        let name = format!("{}{}{reference}", self.query.repository, self.separator());
        Ok(Image { name, media_type: media_type.to_owned(), digest, index })
    }

    const fn separator(&self) -> char {
        if matches!(self.query.reference, Reference::Tag(_)) { ':' } else { '@' }
    }

    #[cold]
    fn fail(&self, fault: &Fault) -> Effects {
        let (repository, separator, reference) =
            (&self.query.repository, self.separator(), reference(&self.query.reference));
        let message = format!("{repository}{separator}{reference}: {}", fault.message);
        let line = format!(
            "{} explain {message} (login {:?}, registry {})",
            fault.code.status(),
            self.user,
            self.upstream.registry.host
        );
        Effects::reply(fault.reply(&message)).reporting(Report::fault(fault.counter, line))
    }
}

fn reference(reference: &Reference) -> &str {
    match reference {
        Reference::Tag(tag) => tag.as_str(),
        Reference::Digest(digest) => digest.as_str(),
    }
}
