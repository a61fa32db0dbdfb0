//! A manifest by tag: what the tag points to → selection → child manifest → answer.
//!
//! ```text
//! known tag:   Revalidating ──HEAD: the same digest──▶ answer from the cache, or FetchingChild
//!                   └──another digest, or none──┐
//! unknown tag:                             FetchingTop ──▶ (FetchingNested ⟲) ──▶ FetchingChild ──▶ answer
//! large image: Confirming ──HEAD by a callout: the same digest──▶ the client's own request fetches it (`transfer.rs`)
//! refused HEAD: Revalidating ──405, 5xx, no digest──▶ Confirming: not for the client's own headers to bring about
//! no such digest: FetchingTop by the digest that a HEAD named ──404──▶ FetchingTop by the tag
//! ```
//!
//! A tag that was seen before costs upstream one HEAD, which is the client's own request with another method. All else
//! is callouts, while the client's request waits: identical ones are sent once, and a client that goes away leaves
//! the others their answer.

mod answering;
mod asking;
mod confirmation;
mod events;
mod observing;
mod resolved;
mod searching;
mod tag_request;
mod variants;

use self::resolved::{Lesson, Resolved, Top, joined};
use self::tag_request::TagRequest;
pub(super) use self::tag_request::{SELECTED, view};
pub(super) use self::variants::{Remembered, Variants};

use super::decision::{Context, Decision, Undecided};
use super::fault::Fault;
use super::fetch::{self, LARGE, Unusable};
use super::report::{Counter, Reporting};
use super::served;
use super::session::Session;
use super::step::{Answer, Callout, Event, Step};
use crate::flow::body::Body;
use crate::oci::digest::Digest;
use crate::oci::index::Descriptor;
use crate::oci::media_type::Kind;
use crate::select::{DeadEnd, Turn, Walk};
use crate::store::cache::{CacheGrowth, Resolution};
use crate::text::headers::HeaderChange;

/// Where the client's own request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// Here, and it can go on.
    Here,
    /// Here, and waiting.
    Held,
    /// It has gone upstream as HEAD.
    Gone,
}

/// A manifest by tag under way.
#[derive(Debug)]
pub(super) struct ManifestByTag {
    asked: TagRequest,
    state: State,
    own: Own,
    growth: CacheGrowth,
    /// The search of which the tag is a part, if it is one.
    variants: Option<Box<Variants>>,
}

#[derive(Debug)]
enum State {
    /// Upstream was asked with HEAD what the tag points to, and may confirm what is known.
    Revalidating(Option<Box<Resolution>>),
    /// The same by a callout, because the client's own request is to fetch the manifest, or got an answer that its own
    /// headers may have caused and that would affect other clients.
    Confirming(Option<Box<Resolution>>),
    /// A callout for what the tag points to.
    FetchingTop(TopReference),
    /// A callout for an index that an index names.
    FetchingNested { top: Top, descriptor: Descriptor, walk: Box<Walk> },
    /// A callout for the manifest that was selected.
    FetchingChild(Box<Resolved>),
}

/// How upstream is asked for what a tag points to.
#[derive(Debug)]
enum TopReference {
    /// By the tag.
    Tag,
    /// By the tag, because a HEAD was of no use, or the registry does not have the digest that it named; `useless` if
    /// no HEAD ever will be of use.
    TagAfterHead { useless: bool },
    /// By the digest that a HEAD has named.
    Digest(Digest),
}

/// The sender of the HEAD that upstream has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The client, with the headers that are forwarded.
    ByClient,
    /// MetaHub, with the same HEAD for all clients.
    ByCallout,
}

/// How old upstream's confirmation may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// As old as the configuration lets it be.
    Valid,
    /// Older, because upstream is down.
    Stale,
}

impl Undecided for ManifestByTag {
    fn advance(mut self: Box<Self>, at: Context<'_>, event: &Event<'_>) -> Decision {
        match (std::mem::replace(&mut self.state, State::FetchingTop(TopReference::Tag)), event) {
            (State::Revalidating(known), Event::ResponseHeaders { headers, .. }) => {
                self.on_head(at, known.map(|known| *known), *headers, Asked::ByClient)
            }
            (state, Event::CalloutAnswered(answer)) => self.on_answer(at, state, *answer),
            // While a callout is under way nothing else is due.
            (state, _) => {
                self.state = state;
                self.proceed(Step::Hold)
            }
        }
    }

    fn repeat(&mut self, session: &Session) -> Option<Callout> {
        if let State::Revalidating(_) = self.state {
            self.state = State::FetchingTop(TopReference::Tag);
        }
        Some(self.callout(session))
    }

    fn holds_request(&self) -> bool {
        !matches!(self.state, State::Revalidating(_))
    }

    fn suffices(&self, status: &[u8]) -> Option<&'static [&'static str]> {
        (status == b"200").then_some(&["docker-content-digest"])
    }
}

impl ManifestByTag {
    /// Answers at once, asks for confirmation of a known resolution, or asks for the document. `ask` gives the changes
    /// that turn the client's request into one for confirmation.
    pub(super) fn begin(at: Context<'_>, asked: TagRequest, ask: impl FnOnce() -> Vec<HeaderChange>) -> Decision {
        Self::new(asked).take_up(at, ask)
    }

    fn new(asked: TagRequest) -> Self {
        let (state, growth) = (State::Revalidating(None), CacheGrowth::default());
        Self { asked, state, own: Own::Here, growth, variants: None }
    }

    /// The same for a request that may have gone, or waits, because another tag was asked for before.
    fn take_up(self, at: Context<'_>, ask: impl FnOnce() -> Vec<HeaderChange>) -> Decision {
        let mut manifest = self;
        if manifest.asked.cache.tag_ttl > 0 {
            manifest = match manifest.on_earlier_confirmation(at, Age::Valid) {
                Ok(decision) => return decision,
                Err(manifest) => *manifest,
            };
        }
        let (cache, scope) = (manifest.asked.cache, at.scope(&manifest.asked.repository));
        let known = cache.resolution(at.resources, scope, &manifest.asked.tag, &manifest.asked.view());
        let confirmable = known.is_some() || cache.knows_tag(at.resources, scope, &manifest.asked.tag);
        if !confirmable {
            return manifest.fetch(at, State::FetchingTop(TopReference::Tag));
        }
        let is_large = known.as_ref().is_some_and(|known| known.served.size > LARGE as u64);
        if is_large || manifest.own != Own::Here {
            return manifest.fetch(at, State::Confirming(known.map(Box::new)));
        }
        manifest.state = State::Revalidating(known.map(Box::new));
        manifest.own = Own::Gone;
        let mut changes = ask();
        changes.extend(manifest.path_change(at));
        manifest.proceed(Step::Continue(changes))
    }

    fn on_answer(self, at: Context<'_>, state: State, answer: Option<Answer<'_>>) -> Decision {
        let registry = &at.session.registry;
        match state {
            State::FetchingTop(by) => self.on_top_answer(at, by, answer),
            State::Confirming(known) => match answer {
                Some(Answer { headers, .. }) => self.on_head(at, known.map(|known| *known), headers, Asked::ByCallout),
                None => {
                    let fault = Fault::broke_off(&registry.host, self.asked.tag.as_str());
                    self.fail(at, &fault)
                }
            },
            State::FetchingNested { top, descriptor, walk } => match fetch::verified(at.session, &descriptor, answer) {
                Ok(body) => self.keeping(at, &descriptor, body).0.on_index(at, top, body, *walk, None),
                Err(fault) => self.fail(at, &fault),
            },
            State::FetchingChild(resolved) => match fetch::verified(at.session, &resolved.resolution.served, answer) {
                Ok(body) => {
                    let (manifest, location) = self.keeping(at, &resolved.resolution.served, body);
                    manifest.answer(at, resolved.at(location), body, Counter::CacheMiss)
                }
                Err(fault) => self.fail(at, &fault),
            },
            state @ State::Revalidating(_) => Self { state, ..self }.proceed(Step::Hold),
        }
    }

    fn proceed(self, step: Step) -> Decision {
        let growth = self.growth;
        Decision::undecided(Self { growth: CacheGrowth::default(), ..self }, step).growing(growth)
    }

    /// The manifest from the cache, or else from upstream.
    fn serve(mut self, at: Context<'_>, resolved: Resolved) -> Decision {
        let (cache, Resolution { served, location, .. }) = (self.asked.cache, &resolved.resolution);
        let location =
            location.or_else(|| cache.locate(at.resources, at.scope(&self.asked.repository), served.digest.as_str()));
        if served.size > LARGE as u64 && location.is_some() {
            let resolved = resolved.at(location);
            self.learn(at, &resolved);
            return self.transfer(at, &resolved.resolution, Counter::CacheHit);
        }
        let document = location
            .and_then(|location| {
                cache.document(at.resources, at.scope(&self.asked.repository), served.digest.as_str(), location)
            })
            .filter(|document| document.is_described_by(served));
        match document {
            Some(document) => self.answer(at, resolved.at(location), &document.body.into(), Counter::CacheHit),
            None => self.fetch(at, State::FetchingChild(Box::new(resolved.anew()))),
        }
    }

    /// Makes the callout that a state waits for.
    fn fetch(mut self, at: Context<'_>, state: State) -> Decision {
        if let Some(fault) = self.overdue(at) {
            return self.fail(at, &fault);
        }
        self.state = state;
        if self.own == Own::Here {
            self.own = Own::Held;
        }
        let callout = self.callout(at.session);
        self.proceed(Step::CallOut(callout))
    }

    fn callout(&self, session: &Session) -> Callout {
        let tag = self.asked.tag.as_str();
        let reference = match &self.state {
            State::Confirming(_) => return fetch::head(session, &self.asked.repository, tag),
            State::FetchingTop(TopReference::Digest(digest)) => digest.as_str(),
            State::FetchingTop(TopReference::Tag | TopReference::TagAfterHead { .. }) | State::Revalidating(_) => tag,
            State::FetchingNested { descriptor, .. } => descriptor.digest.as_str(),
            State::FetchingChild(resolved) => resolved.resolution.served.digest.as_str(),
        };
        fetch::callout(session, &self.asked.repository, reference, None)
    }

    /// The answer to the request for what the tag points to.
    fn on_top_answer(mut self, at: Context<'_>, by: TopReference, answer: Option<Answer<'_>>) -> Decision {
        let reference = if let TopReference::Digest(digest) = &by { digest.as_str() } else { self.asked.tag.as_str() };
        let Answer { headers, body } = match fetch::top(&at.session.registry, reference, answer) {
            Ok(answer) => answer,
            Err(Unusable::Fault(fault)) => return self.fail(at, &fault),
            // The registry has the tag, as its HEAD has just said: some do not have what it points to by digest.
            Err(Unusable::Relayed(Answer { headers, .. }))
                if matches!(by, TopReference::Digest(_)) && headers.status() == 404 =>
            {
                return self.fetch(at, State::FetchingTop(TopReference::TagAfterHead { useless: false }));
            }
            Err(Unusable::Relayed(answer)) => return self.on_relayed(at, answer),
        };
        let named = headers.text("docker-content-digest").and_then(|text| Digest::parse(text).ok());
        let named = named.filter(|named| body.verifies(named));
        let digest = match (&by, &named) {
            (TopReference::Digest(digest), Some(named)) if digest == named => digest.clone(),
            (TopReference::Digest(digest), _) if body.verifies(digest) => digest.clone(),
            (TopReference::Digest(digest), _) => {
                let fault = Fault::invalid(format!("the manifest behind {digest} hashes to {}", body.digest()));
                return self.fail(at, &fault);
            }
            (_, Some(named)) => named.clone(),
            // A wrong digest is treated as absent: only the index's descriptors of its entries count.
            (_, None) => body.digest().clone(),
        };
        let lesson = self.learn_from_head(at, &by, named.is_some());
        let media_type = headers.text("content-type").unwrap_or_default();
        let descriptor =
            Descriptor { media_type: media_type.to_owned(), digest: digest.clone(), size: body.len() as u64 };
        let (manifest, _) = self.keeping(at, &descriptor, body);
        manifest.on_top(at, Top { digest, lesson }, media_type, body, Counter::CacheMiss)
    }

    /// Upstream's answer is passed on to the client: no such tag, too many requests.
    fn on_relayed(mut self, at: Context<'_>, answer: Answer<'_>) -> Decision {
        if answer.headers.status() == 404 {
            self.forget_confirmed(at);
            self = match self.on_absent(at) {
                Ok(decision) => return decision,
                Err(manifest) => *manifest,
            };
        }
        Decision::from(served::relay(at.session, answer.headers, answer.body)).growing(self.growth)
    }

    /// Forgets what the registry has confirmed of the tag, because it does not have it any more.
    fn forget_confirmed(&mut self, at: Context<'_>) {
        let (asked, scope) = (&self.asked, at.scope(&self.asked.repository));
        let Some(identity) = &asked.identity else { return };
        let forgotten = asked.cache.forget_confirmed(at.resources, scope, &asked.tag, &asked.view(), identity);
        self.growth = self.growth.and(forgotten);
    }

    /// Whether the tag is worth a HEAD the next time: only where upstream names digests, and to HEAD too.
    fn learn_from_head(&mut self, at: Context<'_>, by: &TopReference, named: bool) -> Lesson {
        let (cache, scope, tag) = (self.asked.cache, at.scope(&self.asked.repository), &self.asked.tag);
        let useless = matches!(by, TopReference::TagAfterHead { useless: true });
        let confirmable = !useless && named && !cache.is_headless(at.resources, scope);
        let growth = if useless {
            cache.keep_headless(at.resources, scope).and(cache.forget_tag(at.resources, scope, tag, &self.asked.view()))
        } else if confirmable {
            cache.keep_tag(at.resources, scope, tag)
        } else {
            CacheGrowth::default()
        };
        self.growth = self.growth.and(growth);
        if confirmable { Lesson::Resolution } else { Lesson::Unconfirmable }
    }

    /// Takes up the document that the tag points to.
    fn on_top(self, at: Context<'_>, top: Top, media_type: &str, body: &Body, source: Counter) -> Decision {
        // A document that is said to be an index and is none is a fault that the walk finds.
        if !body.nature().is_index && Kind::of(media_type) != Kind::Index {
            return self.pass_through(at, top, media_type, body, "not an index".into(), source);
        }
        if self.asked.observes {
            return self.observe(at, top, media_type, body, source);
        }
        self.on_index(at, top, body, Walk::begin(), Some((media_type, source)))
    }

    /// Takes up the index that a walk stands before. `whole` is given for the tag's own document, which may be passed
    /// through.
    fn on_index(self, at: Context<'_>, top: Top, body: &Body, walk: Walk, whole: Option<(&str, Counter)>) -> Decision {
        let TagRequest { machine_type, on_no_match, assumed, .. } = &self.asked;
        match (body.enter_assuming(walk, machine_type, *on_no_match, assumed), whole) {
            (Turn::Image { descriptor, reason, missing, indistinguishable }, _) => {
                let (reason, missing) = (reason.to_string(), joined(&missing));
                let resolved = Resolved::selected(top, descriptor, reason, missing, indistinguishable as u64);
                self.serve(at, resolved)
            }
            (Turn::Nested(descriptor, walk), _) => self.into_nested(at, top, descriptor, walk),
            (Turn::Whole(why), Some((media_type, source))) => {
                self.pass_through(at, top, media_type, body, why.into(), source)
            }
            (Turn::Whole(_), None) => self.fail(at, &Fault::dead_end(&DeadEnd::NotAnImageIndex)),
            (Turn::DeadEnd(dead_end), _) => self.on_dead_end(at, &top, &dead_end),
        }
    }

    /// Takes up a nested index, from the cache or else from upstream.
    fn into_nested(self, at: Context<'_>, top: Top, descriptor: Descriptor, walk: Walk) -> Decision {
        let document = self.asked.recent.find(
            &self.asked.cache,
            at.resources,
            at.scope(&self.asked.repository),
            &descriptor.digest,
        );
        match document.filter(|(media_type, body)| descriptor.describes(media_type, body)) {
            Some((_, body)) => self.on_index(at, top, &body, walk, None),
            None => self.fetch(at, State::FetchingNested { top, descriptor, walk: Box::new(walk) }),
        }
    }
}
