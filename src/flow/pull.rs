//! A manifest by tag: what the tag points to → selection → child manifest → answer.
//!
//! ```text
//! known tag:   Revalidating ──HEAD: the same digest──▶ answer from the cache, or FetchingChild
//!                   └──another digest, or none──┐
//! unknown tag:                             FetchingTop ──▶ (FetchingNested ⟲) ──▶ FetchingChild ──▶ answer
//! ```
//!
//! A tag that was seen before costs upstream one HEAD, which is the client's own request with another method. All else
//! is callouts, while the client's request waits: identical ones are sent once, and a client that goes away leaves
//! the others their answer.

mod outcome;

use std::rc::Rc;

use self::outcome::joined;

use super::accept;
use super::answer;
use super::fetch::{self, Fault, Unusable, status};
use super::{Answer, Authorizing, Callout, Counter, Effects, Event, Exchange, Step, Upstream};
use crate::cache::{Cache, Document, Growth, Resolution, Shelf};
use crate::config::OnNoMatch;
use crate::digest::Digest;
use crate::headers::{HeaderChange, Headers};
use crate::index::{Descriptor, Index};
use crate::machine_type::MachineType;
use crate::media_type::{self, Kind};
use crate::memory::Memory;
use crate::request::{Repository, Tag};
use crate::select::{DeadEnd, Turn, Walk};
use crate::upstream::TokenRequest;

/// Who pulls what, and how: all that does not change on the way.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) repository: Repository,
    pub(super) tag: Tag,
    pub(super) user: String,
    /// A keyed digest of the caller's complete credential; `None` where upstream's word must not outlive the answer.
    pub(super) identity: Option<[u8; 32]>,
    pub(super) machine_type: Rc<MachineType>,
    pub(super) on_no_match: OnNoMatch,
    pub(super) cache: Cache,
    /// The client's `Accept`.
    pub(super) accept: String,
}

impl Wish {
    /// What the answer depends on besides the tag, in bytes: machine types alike in what they offer get the same.
    fn view(&self) -> [u8; 17] {
        let mut view = [u8::from(self.on_no_match == OnNoMatch::Unfiltered); 17];
        let (_, fingerprint) = view.split_at_mut(1);
        fingerprint.copy_from_slice(self.machine_type.fingerprint().as_bytes());
        view
    }
}

/// A manifest by tag under way.
#[derive(Debug)]
pub struct Pull {
    wish: Wish,
    pub(super) upstream: Upstream,
    state: State,
    /// Features for which the image has no variant, joined.
    missing: String,
    /// The cache knows the resolution already.
    known: bool,
    /// A HEAD can confirm what the tag came to; without one a resolution is of no use.
    confirmable: bool,
    growth: Growth,
}

#[derive(Debug)]
enum State {
    /// Upstream was asked with HEAD what the tag points to, and may confirm what is known.
    Revalidating(Option<Box<Resolution>>),
    /// A callout for what the tag points to.
    FetchingTop(By),
    /// A callout for an index that an index names.
    FetchingNested { top: Digest, descriptor: Descriptor, walk: Walk },
    /// A callout for the manifest that was selected.
    FetchingChild(Box<Resolution>),
}

/// How upstream is asked for what a tag points to.
#[derive(Debug)]
enum By {
    /// By the tag.
    Tag,
    /// By the tag, because a HEAD has not told.
    TagAfterHead,
    /// By the digest that a HEAD has named.
    Digest(Digest),
}

impl Pull {
    /// Answers at once, asks for confirmation of what is known, or asks for all of it. `ask` says what makes the client's
    /// request one for confirmation.
    pub(super) fn begin(
        wish: Wish,
        upstream: Upstream,
        memory: &dyn Memory,
        ask: impl FnOnce(&Wish) -> Vec<HeaderChange>,
    ) -> Effects {
        let (state, missing) = (State::Revalidating(None), String::new());
        let mut pull =
            Self { wish, upstream, state, missing, known: false, confirmable: false, growth: Growth::default() };
        let ttl = pull.wish.cache.tag_ttl;
        if ttl > 0
            && let Some(effects) = pull.on_earlier_word(memory, ttl)
        {
            return Effects { proven: true, ..effects };
        }
        let (cache, shelf) = (pull.wish.cache, pull.shelf());
        let known = cache.resolution(memory, shelf, &pull.wish.tag, &pull.wish.view());
        pull.confirmable = known.is_some() || cache.knows_tag(memory, shelf, &pull.wish.tag);
        if !pull.confirmable {
            return pull.fetch(State::FetchingTop(By::Tag));
        }
        pull.state = State::Revalidating(known.map(Box::new));
        let changes = ask(&pull.wish);
        pull.proceed(Step::Continue(changes))
    }

    pub(super) fn advance(mut self, memory: &dyn Memory, event: &Event<'_>) -> Effects {
        match (std::mem::replace(&mut self.state, State::FetchingTop(By::Tag)), event) {
            (State::Revalidating(known), Event::ResponseHeaders { headers }) => {
                self.on_head(memory, known.map(|known| *known), *headers)
            }
            (state, Event::CalloutAnswered(answer)) => {
                // The token was good for the request before and may have ended since.
                if let Some(request) = answer.and_then(|answer| self.upstream.renew(memory, answer.headers)) {
                    return self.fetch_again(request, state);
                }
                if let Some(refusal) = answer.and_then(|answer| self.upstream.refusal(memory, answer.headers)) {
                    return refusal;
                }
                self.on_answer(memory, state, *answer)
            }
            // While a callout is under way nothing else is due.
            (state, Event::ResponseHeaders { .. }) => {
                self.state = state;
                self.proceed(Step::Hold)
            }
        }
    }

    #[inline(never)]
    fn on_answer(self, memory: &dyn Memory, state: State, answer: Option<Answer<'_>>) -> Effects {
        let registry = &self.upstream.registry;
        match state {
            State::FetchingTop(by) => self.on_top_answer(memory, by, answer),
            State::FetchingNested { top, descriptor, walk } => match fetch::verified(registry, &descriptor, answer) {
                Ok(body) => {
                    let body = body.to_vec();
                    self.keeping(memory, &descriptor, &body).0.on_index(memory, top, &body, walk, None)
                }
                Err(fault) => self.fail(memory, &fault),
            },
            State::FetchingChild(resolution) => match fetch::verified(registry, &resolution.served, answer) {
                Ok(body) => {
                    let (pull, location) = self.keeping(memory, &resolution.served, body);
                    pull.answer(memory, Resolution { location, ..*resolution }, body.to_vec(), Counter::CacheMiss)
                }
                Err(fault) => self.fail(memory, &fault),
            },
            state @ State::Revalidating(_) => Self { state, ..self }.proceed(Step::Hold),
        }
    }

    fn proceed(self, step: Step) -> Effects {
        let growth = answer::growth(self.growth);
        let mut effects = Effects::new(Exchange::Pulling(Box::new(Self { growth: Growth::default(), ..self })), step);
        effects.reports.extend(growth);
        effects
    }

    fn shelf(&self) -> Shelf<'_> {
        Shelf { cluster: self.upstream.registry.cluster.as_str(), repository: &self.wish.repository }
    }

    /// An answer on what upstream has said to this caller in the last `seconds`.
    fn on_earlier_word(&mut self, memory: &dyn Memory, seconds: u64) -> Option<Effects> {
        let wish = &self.wish;
        let confirmed = wish.cache.confirmed(memory, self.shelf(), &wish.tag, &wish.view(), wish.identity.as_ref()?)?;
        let now = memory.now();
        // A clock that was set back must not make a word last for ever.
        let valid = (confirmed.at..confirmed.at.saturating_add(seconds)).contains(&now);
        let resolution = Some(confirmed.resolution).filter(|_| valid)?;
        let digest = resolution.served.digest.as_str();
        let document = wish.cache.document(memory, self.shelf(), digest, resolution.location?)?;
        self.missing.clone_from(&resolution.missing);
        Some(self.reply(&resolution, document.body, Counter::CacheHit))
    }

    /// Upstream's answer to the HEAD that asks what the tag points to.
    fn on_head(mut self, memory: &dyn Memory, known: Option<Resolution>, headers: Headers<'_>) -> Effects {
        if let Some(request) = self.upstream.renew(memory, headers) {
            return self.fetch_again(request, State::FetchingTop(By::Tag));
        }
        if let Some(refusal) = self.upstream.refusal(memory, headers) {
            return refusal;
        }
        match status(headers) {
            200 => {}
            429 => return answer::limited(headers, &self.upstream.registry.host),
            status @ (500.. | 0) => {
                let fault = Fault::unavailable(&self.upstream.registry.host, status).retrying(headers);
                return self.fail(memory, &fault);
            }
            // HEAD may be refused where GET is not, and has no body that could tell the client why.
            _ => return self.fetch(State::FetchingTop(By::TagAfterHead)),
        }
        let Some(digest) = headers.text("docker-content-digest").and_then(|text| Digest::parse(text).ok()) else {
            return self.fetch(State::FetchingTop(By::TagAfterHead));
        };
        match known.filter(|known| known.top == digest) {
            Some(resolution) => {
                self.missing.clone_from(&resolution.missing);
                self.known = true;
                self.serve(memory, resolution)
            }
            None => match self.wish.cache.find(memory, self.shelf(), digest.as_str()) {
                Some(document) => self.on_top(memory, digest, &document.media_type, &document.body, Counter::CacheHit),
                None => self.fetch(State::FetchingTop(By::Digest(digest))),
            },
        }
    }

    /// The manifest from the cache, or else from upstream.
    fn serve(mut self, memory: &dyn Memory, resolution: Resolution) -> Effects {
        let (cache, served) = (self.wish.cache, &resolution.served);
        let location = resolution.location.or_else(|| cache.locate(memory, self.shelf(), served.digest.as_str()));
        let document = location
            .and_then(|location| cache.document(memory, self.shelf(), served.digest.as_str(), location))
            .filter(|document| is_described(document, served));
        if let Some(document) = document {
            self.known &= location == resolution.location;
            return self.answer(memory, Resolution { location, ..resolution }, document.body, Counter::CacheHit);
        }
        self.known = false;
        self.fetch(State::FetchingChild(Box::new(resolution)))
    }

    /// Calls out for what a state waits for.
    #[inline(never)]
    fn fetch(mut self, state: State) -> Effects {
        self.state = state;
        let callout = self.callout();
        self.proceed(Step::CallOut(callout))
    }

    fn callout(&self) -> Callout {
        let accept = || Some(accept::completed(&self.wish.accept));
        let (reference, accept) = match &self.state {
            State::FetchingTop(By::Digest(digest)) => (digest.as_str(), accept()),
            State::FetchingTop(By::Tag | By::TagAfterHead) | State::Revalidating(_) => {
                (self.wish.tag.as_str(), accept())
            }
            State::FetchingNested { descriptor, .. } => (descriptor.digest.as_str(), None),
            State::FetchingChild(resolution) => (resolution.served.digest.as_str(), None),
        };
        fetch::callout(&self.upstream, &self.wish.repository, reference, accept.as_deref())
    }

    /// Calls out with another token.
    fn fetch_again(mut self, request: TokenRequest, state: State) -> Effects {
        self.state = state;
        let (upstream, callout) = (self.upstream.clone(), self.callout());
        Authorizing::again(request, upstream, Exchange::Pulling(Box::new(self)), callout)
    }

    /// The answer to the request for what the tag points to.
    fn on_top_answer(mut self, memory: &dyn Memory, by: By, answer: Option<Answer<'_>>) -> Effects {
        let Answer { headers, body } = match fetch::top(&self.upstream.registry, answer) {
            Ok(answer) => answer,
            Err(Unusable::Fault(fault)) => return self.fail(memory, &fault),
            Err(Unusable::Word(answer)) => return answer::relay(answer.headers, answer.body.to_vec()),
        };
        let named = headers.text("docker-content-digest").and_then(|text| Digest::parse(text).ok());
        let named = named.filter(|named| named.verifies(body));
        let digest = match (&by, &named) {
            (By::Digest(digest), Some(named)) if digest == named => digest.clone(),
            (By::Digest(digest), _) if digest.verifies(body) => digest.clone(),
            (By::Digest(digest), _) => {
                let fault = Fault::invalid(format!("the manifest behind {digest} hashes to {}", Digest::of(body)));
                return self.fail(memory, &fault);
            }
            (_, Some(named)) => named.clone(),
            // A digest that is wrong is as good as none: what counts is what the index says of its entries.
            (_, None) => Digest::of(body),
        };
        self.note_head(memory, &by, named.is_some());
        let media_type = headers.text("content-type").unwrap_or_default();
        let descriptor =
            Descriptor { media_type: media_type.to_owned(), digest: digest.clone(), size: body.len() as u64 };
        let (pull, _) = self.keeping(memory, &descriptor, body);
        pull.on_top(memory, digest, media_type, body, Counter::CacheMiss)
    }

    /// Whether the tag is worth a HEAD the next time: only where upstream names digests, and to HEAD too.
    fn note_head(&mut self, memory: &dyn Memory, by: &By, named: bool) {
        let (cache, shelf, tag) = (self.wish.cache, self.shelf(), &self.wish.tag);
        let confirmable = !matches!(by, By::TagAfterHead) && named && !cache.is_headless(memory, shelf);
        let growth = if matches!(by, By::TagAfterHead) {
            cache.keep_headless(memory, shelf).and(cache.forget_tag(memory, shelf, tag, &self.wish.view()))
        } else if confirmable {
            cache.keep_tag(memory, shelf, tag)
        } else {
            Growth::default()
        };
        self.growth = self.growth.and(growth);
        self.confirmable = confirmable;
    }

    /// What the tag points to.
    fn on_top(self, memory: &dyn Memory, top: Digest, media_type: &str, body: &[u8], source: Counter) -> Effects {
        let opaque = match Kind::of(media_type) {
            Kind::Manifest => true,
            Kind::Index => false,
            Kind::Unknown => !Index::is_index(body),
        };
        if opaque {
            return self.pass_through(memory, top, media_type, body, "not an index", source);
        }
        self.on_index(memory, top, body, Walk::begin(), Some((media_type, source)))
    }

    /// The index that a walk stands before. `whole` is said of the tag's own document, which may be passed through.
    fn on_index(
        self,
        memory: &dyn Memory,
        top: Digest,
        body: &[u8],
        walk: Walk,
        whole: Option<(&str, Counter)>,
    ) -> Effects {
        let turn = match walk.read(body) {
            Ok(index) => walk.enter(&index, &self.wish.machine_type, self.wish.on_no_match),
            Err(dead_end) => Turn::DeadEnd(dead_end),
        };
        match (turn, whole) {
            (Turn::Image { descriptor, reason, missing }, _) => {
                let pull = Self { missing: joined(&missing), ..self };
                let missing = pull.missing.clone();
                let reason = reason.to_string();
                pull.serve(memory, Resolution { top, served: descriptor, reason, missing, location: None })
            }
            (Turn::Nested(descriptor, walk), _) => self.into_nested(memory, top, descriptor, walk),
            (Turn::Whole(why), Some((media_type, source))) => {
                self.pass_through(memory, top, media_type, body, why, source)
            }
            (Turn::Whole(_), None) => self.fail(memory, &Fault::dead_end(&DeadEnd::NotAnImageIndex)),
            (Turn::DeadEnd(dead_end), _) => self.fail(memory, &Fault::dead_end(&dead_end)),
        }
    }

    /// A nested index, from the cache or else from upstream.
    fn into_nested(self, memory: &dyn Memory, top: Digest, descriptor: Descriptor, walk: Walk) -> Effects {
        let document = self.wish.cache.find(memory, self.shelf(), descriptor.digest.as_str());
        match document.filter(|document| is_described(document, &descriptor)) {
            Some(document) => self.on_index(memory, top, &document.body, walk, None),
            None => self.fetch(State::FetchingNested { top, descriptor, walk }),
        }
    }

    /// Whether the client's request itself waits, and has not gone upstream.
    pub(super) const fn holds_request(&self) -> bool {
        !matches!(self.state, State::Revalidating(_))
    }
}

/// Whether a document from the cache is what a descriptor says, as upstream's would have to be.
fn is_described(document: &Document, descriptor: &Descriptor) -> bool {
    media_type::same(&document.media_type, &descriptor.media_type) && document.body.len() as u64 == descriptor.size
}
