//! `/metahub/v1/explain`: the index, then the indexes in it; then one answer. Documents come from the cache where a
//! pull's would, else by callouts.

mod findings;
mod question;
mod variants;

use std::rc::Rc;
use std::sync::Arc;

pub(super) use self::question::{Question, asked};
use self::variants::ExplainVariants;
use super::decision::{Context, Decision, Next, Undecided};
use super::fault::Fault;
use super::fetch::{self, Unusable};
use super::local_reply::{LocalReply, rejected};
use super::report::Counter;
use super::session::Session;
use super::step::{Answer, Callout, Event, Step};
use crate::config::Mode;
use crate::flow::body::Body;
use crate::flow::reply::Reply;
use crate::oci::digest::Digest;
use crate::oci::errors::Code;
use crate::oci::index::{Descriptor, Index, is_artifact_tag};
use crate::oci::media_type::Kind;
use crate::oci::reference::Reference;
use crate::request::query::ExplainQuery;
use crate::select::explanation::{Explanation, Image};
use crate::select::{DeadEnd, Walk};
use crate::text::headers::Headers;
use crate::text::json::Json;

/// An `explain` request under way.
#[derive(Debug)]
pub(super) struct Explain {
    question: Question,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Upstream was asked with HEAD what the image's name points to.
    Revalidating,
    /// A callout for it; by the digest that a HEAD has named, if there is one.
    Fetching(Option<Digest>),
    /// A callout for an index that an index names, and what is known so far.
    FetchingNested(Descriptor, Box<Explanation>),
}

impl Undecided for Explain {
    fn advance(mut self: Box<Self>, at: Context<'_>, event: &Event<'_>) -> Decision {
        let Event::CalloutAnswered(answer) = event else {
            return Decision::new(Next::Undecided(self), Step::Hold);
        };
        match std::mem::replace(&mut self.state, State::Fetching(None)) {
            State::Revalidating => self.on_head(at, answer.map(|answer| answer.headers)),
            State::Fetching(expected) => self.on_image(at, expected, *answer),
            State::FetchingNested(descriptor, mut explanation) => {
                let body = fetch::verified(at.session, &descriptor, *answer);
                let index = body.map_err(|fault| fault.message).and_then(|body| self.nested(body));
                explanation.add(descriptor, index);
                self.proceed(at, explanation)
            }
        }
    }

    fn repeat(&mut self, session: &Session) -> Option<Callout> {
        Some(self.callout(session))
    }

    fn holds_request(&self) -> bool {
        true
    }
}

impl Explain {
    /// Asks for the image.
    pub(super) fn begin(at: Context<'_>, mut question: Question) -> Result<Decision, Box<LocalReply>> {
        if let Some(name) = &question.query.machine_type {
            question.machine_types.retain(|machine_type| machine_type.name() == name);
            if question.machine_types.is_empty() {
                let user = &at.session.user;
                let message = format!("there is no machine type {name:?}, or login {user:?} may not use it");
                let line = format!("404 {message}");
                return Err(rejected(Reply::error(Code::NameUnknown, &message), Counter::Refused, line));
            }
        }
        if let (Some(rule), Reference::Tag(tag)) = (&question.rule, &question.query.reference)
            && !rule.lines(tag).is_empty()
        {
            let (rule, tag) = (Arc::clone(rule), tag.clone());
            return Ok(ExplainVariants::begin(at, question, rule, tag));
        }
        let (cache, scope) = (question.cache, at.scope(&question.query.repository));
        let known = match &question.query.reference {
            Reference::Tag(tag) => cache.knows_tag(at.resources, scope, tag),
            Reference::Digest(digest) => cache.locate(at.resources, scope, digest.as_str()).is_some(),
        };
        let state = if known { State::Revalidating } else { State::Fetching(None) };
        Ok(Self { question, state }.call_out(at))
    }

    fn call_out(self, at: Context<'_>) -> Decision {
        let callout = self.callout(at.session);
        Decision::undecided(self, Step::CallOut(callout))
    }

    fn callout(&self, session: &Session) -> Callout {
        let ExplainQuery { repository, reference, .. } = &self.question.query;
        let reference = match &self.state {
            State::Revalidating => return fetch::head(session, repository, reference.as_str()),
            State::Fetching(None) => reference.as_str(),
            State::Fetching(Some(digest)) => digest.as_str(),
            State::FetchingNested(descriptor, _) => descriptor.digest.as_str(),
        };
        fetch::callout(session, repository, reference, None)
    }

    /// Upstream's answer to the HEAD that asks what the image's name points to.
    fn on_head(mut self, at: Context<'_>, headers: Option<Headers<'_>>) -> Decision {
        let found = headers.filter(|headers| headers.status() == 200);
        let digest = found.and_then(|headers| Digest::parse(headers.text("docker-content-digest")?).ok());
        let document = digest.as_ref().and_then(|digest| {
            self.question.cache.find(at.resources, at.scope(&self.question.query.repository), digest.as_str())
        });
        match (digest, document) {
            (Some(digest), Some(document)) => self.on_document(at, digest, &document.media_type, &document.body.into()),
            (digest, _) => {
                self.state = State::Fetching(digest);
                self.call_out(at)
            }
        }
    }

    /// The answer to the request for the image; `expected` is the digest that a HEAD has named.
    fn on_image(mut self, at: Context<'_>, expected: Option<Digest>, answer: Option<Answer<'_>>) -> Decision {
        let reference = &self.question.query.reference;
        let is_absent = answer.is_some_and(|answer| answer.headers.status() == 404);
        if is_absent && expected.is_some() && matches!(reference, Reference::Tag(_)) {
            // A pull asks by the tag then, too.
            self.state = State::Fetching(None);
            return self.call_out(at);
        }
        let answer = match fetch::top(&at.session.registry, reference.as_str(), answer) {
            Ok(answer) => Ok(answer),
            Err(Unusable::Fault(fault)) => Err(fault),
            // An answer that a pulling client would read for itself is put into words here.
            Err(Unusable::Relayed(answer)) => fetch::manifest(at.session, reference.as_str(), Some(answer)),
        };
        let Answer { headers, body } = match answer {
            Ok(answer) => answer,
            Err(fault) => return self.fail(at, &fault),
        };
        let expected = if let Reference::Digest(digest) = reference { Some(digest.clone()) } else { expected };
        let digest = match expected {
            Some(expected) if !body.verifies(&expected) => {
                let fault = Fault::invalid(format!("the manifest behind {expected} hashes to {}", body.digest()));
                return self.fail(at, &fault);
            }
            Some(expected) => expected,
            None => body.digest().clone(),
        };
        let media_type = headers.text("content-type").unwrap_or_default();
        self.on_document(at, digest, media_type, body)
    }

    /// The document behind the image's name.
    fn on_document(self, at: Context<'_>, digest: Digest, media_type: &str, body: &Body) -> Decision {
        let Question { query, machine_types, on_no_match, .. } = &self.question;
        let artifact = matches!(&query.reference, Reference::Tag(tag) if is_artifact_tag(tag.as_str()));
        let index = if !artifact && (body.nature().is_index || Kind::of(media_type) == Kind::Index) {
            match body.index().map_err(|error| Walk::begin().unusable(error)) {
                Ok(index) => Some(self.assuming(index)),
                Err(dead_end) => return self.fail(at, &Fault::dead_end(&dead_end)),
            }
        } else {
            None
        };
        let observed = at.session.registry.mode == Mode::Observe;
        let image = Image { name: self.image(), media_type: media_type.to_owned(), digest, index, observed };
        let explanation =
            Explanation::new(image, machine_types, query.after.as_deref(), *on_no_match).within(self.question.limit);
        self.proceed(at, Box::new(explanation))
    }

    /// Looks into the nested indexes, from the cache or else from upstream, which has said in this request that the
    /// caller may see the image.
    fn proceed(mut self, at: Context<'_>, mut explanation: Box<Explanation>) -> Decision {
        while let Some(descriptor) = explanation.wants() {
            let document = self.question.cache.find(
                at.resources,
                at.scope(&self.question.query.repository),
                descriptor.digest.as_str(),
            );
            match document.filter(|document| document.is_described_by(&descriptor)) {
                Some(document) => explanation.add(descriptor, self.nested(&document.body.into())),
                None => {
                    self.state = State::FetchingNested(descriptor, explanation);
                    return self.call_out(at);
                }
            }
        }
        let mut page = explanation.page(&self.question.query.rest);
        if let (Json::Object(members), Some(chosen)) = (&mut page, self.question.chosen()) {
            members.push(("repository", chosen.as_str().into()));
        }
        let reply = Reply::json(200, &page);
        LocalReply::from(reply.with("cache-control", "no-store").with("vary", self.question.vary)).into()
    }

    /// The image, as people write it.
    fn image(&self) -> String {
        let Question { named: repository, query: ExplainQuery { reference, .. }, .. } = &self.question;
        let separator = if matches!(reference, Reference::Tag(_)) { ':' } else { '@' };
        format!("{repository}{separator}{}", reference.as_str())
    }

    /// A nested index, or what a pull would say of it.
    fn nested(&self, body: &Body) -> Result<Rc<Index>, String> {
        let index = body.index().map_err(|error| DeadEnd::Unusable { nested: true, error }.to_string())?;
        Ok(self.assuming(index))
    }

    /// An index with the levels that are assumed of it.
    fn assuming(&self, index: Rc<Index>) -> Rc<Index> {
        match self.question.rule.as_ref().map(|rule| rule.assumed()).filter(|assumed| !assumed.is_empty()) {
            Some(assumed) => Rc::new(index.assuming(assumed)),
            None => index,
        }
    }

    fn fail(&self, at: Context<'_>, fault: &Fault) -> Decision {
        let message = format!("{}: {}", self.image(), fault.message);
        let (status, user, host) = (fault.code.status(), &at.session.user, &at.session.registry.host);
        let line = format!("{status} explain {message} (login {user:?}, registry {host})");
        (*rejected(fault.reply(&message), fault.counter, line)).into()
    }
}
