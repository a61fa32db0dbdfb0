//! A manifest by digest: known content is answered from the cache once upstream has said, to the caller's own
//! credentials, that it is there; other content is fetched once for all callers that ask at that moment. A large
//! manifest passes from upstream to each client (`transfer.rs` says why). The bytes of a manifest are never changed.
//!
//! An index of images that a machine type asks for goes round selection. It is counted, and refused where the
//! configuration says so. Then its content decides, on every path: a HEAD or a part of it passes only once MetaHub
//! knows the whole. Where indexes pass, the type of an answer that passes is enough to count it.

use std::rc::Rc;

use super::accept_header;
use super::decision::{Context, Decision, Next, Undecided};
use super::fault::Fault;
use super::fetch::{self, LARGE, MAX_MANIFEST};
use super::none_match::NoneMatch;
use super::report::{Counter, Report, Reporting};
use super::served;
use super::session::Session;
use super::step::{Answer, Callout, Event, Step};
use super::worker::Recent;
use crate::config::IndexByDigest;
use crate::flow::body::Body;
use crate::flow::reply::Reply;
use crate::oci::digest::Digest;
use crate::oci::errors::Code;
use crate::oci::media_type::Kind;
use crate::oci::reference::Repository;
use crate::store::cache::{Cache, CacheGrowth, Location};
use crate::text::headers::{HeaderChange, Headers};

/// The request: all that does not change until it is answered.
#[derive(Debug)]
pub(super) struct DigestRequest {
    pub(super) repository: Repository,
    pub(super) digest: Digest,
    /// The rule for indexes of images; `None` for clients that are to see them.
    pub(super) indexes: Option<IndexByDigest>,
    pub(super) cache: Cache,
    pub(super) recent: Rc<Recent>,
}

/// A manifest by digest under way.
#[derive(Debug)]
pub(super) struct ManifestByDigest {
    asked: DigestRequest,
    accept: String,
    /// The manifests that the client has, if MetaHub and not the registry is to say whether this is one of them.
    none_match: Option<NoneMatch>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The client's own request has gone upstream, and the answer passes as it is. Whether it is an index of images, if
    /// its content is known; otherwise its type tells.
    Passing(Option<bool>),
    /// The client's own request has gone upstream as HEAD. The cache has the manifest here.
    Revalidating(Location),
    /// A callout for the manifest, while the client's own request waits.
    Fetching,
    /// The same, after the client's own request has gone upstream and cannot go again.
    FetchingAfterHead,
}

impl Undecided for ManifestByDigest {
    fn advance(self: Box<Self>, at: Context<'_>, event: &Event<'_>) -> Decision {
        match (event, self.state) {
            (Event::ResponseHeaders { headers, .. }, State::Revalidating(location)) => {
                self.on_head(at, *headers, location)
            }
            (Event::ResponseHeaders { headers, .. }, State::Passing(known)) => self.on_passing(at, *headers, known),
            (Event::CalloutAnswered(answer), State::Fetching | State::FetchingAfterHead) => self.on_answer(at, *answer),
            _ => Decision::new(Next::Undecided(self), Step::Hold),
        }
    }

    fn repeat(&mut self, session: &Session) -> Option<Callout> {
        match self.state {
            State::Passing(_) => return None,
            State::Revalidating(_) => self.state = State::FetchingAfterHead,
            State::Fetching | State::FetchingAfterHead => {}
        }
        Some(self.callout(session))
    }

    fn holds_request(&self) -> bool {
        !matches!(self.state, State::Revalidating(_) | State::Passing(_))
    }

    fn passes(&self) -> bool {
        matches!(self.state, State::Passing(_))
    }

    fn suffices(&self, status: &[u8]) -> Option<&'static [&'static str]> {
        match (self.state, status) {
            (State::Passing(_), b"401") => None,
            (State::Passing(None), b"200" | b"206") => Some(&["content-type"]),
            (State::Passing(_), _) | (_, b"200") => Some(&[]),
            _ => None,
        }
    }
}

impl ManifestByDigest {
    /// Asks upstream with HEAD about a known manifest, and with GET for an unknown one. `is_whole`: the client asks for
    /// the whole document, and the cache is on; else the client's own request passes.
    pub(super) fn begin(at: Context<'_>, asked: DigestRequest, headers: Headers<'_>, is_whole: bool) -> Decision {
        let refuses = asked.indexes == Some(IndexByDigest::Refuse);
        let mut manifest = Self { asked, accept: String::new(), none_match: None, state: State::Fetching };
        if !is_whole && !refuses {
            return manifest.pass(None, Vec::new());
        }
        manifest.accept = accept_header::sent(headers);
        manifest.none_match = NoneMatch::of(headers);
        let DigestRequest { repository, digest, cache, .. } = &manifest.asked;
        let location = cache.locate(at.resources, at.scope(repository), digest.as_str());
        let Some(location) = location else { return manifest.fetch(at, State::Fetching) };
        let mut changes = Vec::new();
        if accept_header::is_too_long(headers) {
            changes.push(HeaderChange::Set("accept", manifest.accept.clone()));
        }
        if location.is_large() {
            if !refuses {
                return manifest.pass(None, changes);
            }
            let document = cache.document(at.resources, at.scope(repository), digest.as_str(), location);
            return match document {
                Some(document) => {
                    let is_index = manifest.is_kept_index(at, &document.media_type);
                    manifest.pass(Some(is_index), changes)
                }
                None => manifest.fetch(at, State::Fetching),
            };
        }
        changes.push(HeaderChange::Set(":method", "HEAD".to_owned()));
        manifest.state = State::Revalidating(location);
        Decision::undecided(manifest, Step::Continue(changes))
    }

    /// Lets the client's own request pass.
    fn pass(mut self, known: Option<bool>, changes: Vec<HeaderChange>) -> Decision {
        if self.asked.indexes.is_none() {
            return Decision::new(Next::Pass, Step::Continue(changes));
        }
        self.state = State::Passing(known);
        Decision::undecided(self, Step::Continue(changes))
    }

    fn fetch(mut self, at: Context<'_>, state: State) -> Decision {
        self.state = state;
        let callout = self.callout(at.session);
        Decision::undecided(self, Step::CallOut(callout))
    }

    fn callout(&self, session: &Session) -> Callout {
        fetch::callout(session, &self.asked.repository, self.asked.digest.as_str(), Some(&self.accept))
    }

    fn on_head(self, at: Context<'_>, headers: Headers<'_>, location: Location) -> Decision {
        let DigestRequest { repository, digest, cache, .. } = &self.asked;
        match headers.status() {
            200 => match cache.document(at.resources, at.scope(repository), digest.as_str(), location) {
                Some(document) => {
                    let is_index = self.is_kept_index(at, &document.media_type);
                    let headers = served::document(&document.media_type, digest.as_str());
                    let step = Step::Reply(Reply::document(headers, document.body.into()));
                    let answer = Decision::new(Next::Done, step).reporting(Report::count(Counter::CacheHit));
                    self.judged(at, is_index, answer)
                }
                None => self.fetch(at, State::FetchingAfterHead),
            },
            429 => served::limited(at.session, headers).into(),
            500.. | 0 => self.fail(at, &Fault::unavailable(&at.session.registry.host, headers)),
            // HEAD may be refused where GET is not, and has no body that could tell the client why.
            _ => self.fetch(at, State::FetchingAfterHead),
        }
    }

    fn on_answer(self, at: Context<'_>, answer: Option<Answer<'_>>) -> Decision {
        let host = &at.session.registry.host;
        let Some(Answer { headers, body }) = answer else {
            return self.fail(at, &Fault::broke_off(host, self.asked.digest.as_str()));
        };
        match headers.status() {
            200 => {}
            500.. | 0 => return self.fail(at, &Fault::unavailable(host, headers)),
            status @ (300..=399) if self.asked.indexes == Some(IndexByDigest::Refuse) => {
                return self.fail(at, &fetch::redirected(host, status));
            }
            status @ (201..=299) if self.asked.indexes == Some(IndexByDigest::Refuse) => {
                let problem = format!("the registry {host} answered {status} to a manifest request");
                return self.fail(at, &Fault::invalid(problem));
            }
            // The answer is passed on: clients follow redirects of content, and verify what they get.
            _ => return served::relay(at.session, headers, body).into(),
        }
        if body.len() > MAX_MANIFEST {
            return self.fail(at, &Fault::too_large());
        }
        if headers.is_encoded() {
            let problem = "compressed; MetaHub had asked for it uncompressed";
            return self.fail(at, &Fault::invalid(format!("the registry {host} sent it {problem}")));
        }
        if !body.verifies(&self.asked.digest) {
            return self.fail(at, &Fault::invalid(format!("it hashes to {}", body.digest())));
        }
        let media_type = headers.text("content-type").unwrap_or_default();
        // A type that contradicts the content is passed on this once, and never kept.
        let growth = if fetch::is_confirmed(media_type, body) {
            body.kept(|| {
                self.asked.cache.keep_document(
                    at.resources,
                    at.scope(&self.asked.repository),
                    self.asked.digest.as_str(),
                    media_type,
                    body,
                )
            })
            .1
        } else {
            CacheGrowth::default()
        };
        let is_index = self.is_index(media_type, body);
        let mut answer = self.answer(at, headers, body).growing(growth);
        if self.asked.cache.is_on() {
            answer = answer.reporting(Report::count(Counter::CacheMiss));
        }
        self.judged(at, is_index, answer)
    }

    /// The answer to the client's own request is here, and passes unless it is refused.
    fn on_passing(self, at: Context<'_>, headers: Headers<'_>, known: Option<bool>) -> Decision {
        let is_index = match headers.status() {
            200 | 206 => known.unwrap_or_else(|| {
                headers.text("content-type").is_some_and(|media_type| Kind::of(media_type) == Kind::Index)
            }),
            status @ (300..=303 | 305..=399) if self.asked.indexes == Some(IndexByDigest::Refuse) => {
                return self.fail(at, &fetch::redirected(&at.session.registry.host, status));
            }
            _ => false,
        };
        // A challenge belongs to a 401, as in every answer that passes.
        let answer = Step::Continue(vec![HeaderChange::Remove("www-authenticate".into())]);
        self.judged(at, is_index, Decision::new(Next::Done, answer))
    }

    /// The answer, counted if it is an index of images, or else the refusal.
    fn judged(&self, at: Context<'_>, is_index: bool, mut answer: Decision) -> Decision {
        match self.asked.indexes.filter(|_| is_index) {
            None if self.is_unmodified() => self.unmodified(answer),
            None => answer,
            Some(IndexByDigest::Pass) => answer.reporting(Report::count(Counter::IndexByDigest)),
            Some(IndexByDigest::Refuse) => {
                let message = "this is an index, which is not given out by its digest (index_by_digest is refuse); \
                               pull by tag, or by the digest of one image"
                    .to_owned();
                let refusal = self.fail(at, &Fault::new(Code::Denied, Counter::IndexByDigest, message));
                answer.reports.extend(refusal.reports);
                Decision { reports: answer.reports, ..refusal }
            }
        }
    }

    /// Whether the client has the manifest, which never changes behind its digest.
    fn is_unmodified(&self) -> bool {
        self.none_match.as_ref().is_some_and(|condition| condition.names(&self.asked.digest))
    }

    /// The same answer without the manifest, if it has one.
    fn unmodified(&self, answer: Decision) -> Decision {
        match answer.step {
            Step::Reply(Reply { status: 200, .. }) | Step::Resume(_) => {
                let reply = Reply::not_modified(served::document("", self.asked.digest.as_str()));
                Decision { next: Next::Done, step: Step::Reply(reply), ..answer }
            }
            _ => answer,
        }
    }

    /// Whether a document is an index from which a machine type would get one image by tag. An index of artifacts is
    /// not: it passes by tag, and its clients ask for it by the digest that the tag told them. An index that cannot be
    /// read is.
    fn is_index(&self, media_type: &str, body: &Body) -> bool {
        let may_be = Kind::of(media_type) == Kind::Index || body.nature().is_index;
        self.asked.indexes.is_some() && may_be && body.index().map_or(true, |index| index.is_image_index())
    }

    /// The same for a document of the cache, whose type is true. It is parsed once for many requests.
    fn is_kept_index(&self, at: Context<'_>, media_type: &str) -> bool {
        let DigestRequest { repository, digest, indexes, cache, recent } = &self.asked;
        if indexes.is_none() || Kind::of(media_type) != Kind::Index {
            return false;
        }
        let document = recent.find(cache, at.resources, at.scope(repository), digest);
        document.is_none_or(|(_, body)| body.index().map_or(true, |index| index.is_image_index()))
    }

    fn answer(&self, at: Context<'_>, headers: Headers<'_>, body: &Body) -> Decision {
        if body.len() <= LARGE {
            return served::relay(at.session, headers, body).into();
        }
        if let State::FetchingAfterHead = self.state {
            return at.session.go_round(&self.asked.repository, self.asked.digest.as_str()).into();
        }
        Decision::new(Next::Pass, Step::Resume(vec![HeaderChange::Set("accept", self.accept.clone())]))
    }

    fn fail(&self, at: Context<'_>, fault: &Fault) -> Decision {
        at.session.fail(fault, &format!("{}@{}: {}", self.asked.repository, self.asked.digest, fault.message)).into()
    }
}
