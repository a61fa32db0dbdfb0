//! A manifest by digest: known content is answered from the cache once upstream has said, to the caller's own
//! credentials, that it is there; other content is fetched once for all callers that ask at that moment. A large
//! manifest passes from upstream to each client (`transfer.rs` says why). The bytes of a manifest are never changed.

use super::accept_header;
use super::decision::{Context, Decision, Next, Undecided};
use super::fault::Fault;
use super::fetch::{self, LARGE, MAX_MANIFEST};
use super::report::{Counter, Report, Reporting};
use super::served;
use super::session::Session;
use super::step::{Answer, Callout, Event, Step};
use crate::flow::body::Body;
use crate::flow::reply::Reply;
use crate::oci::digest::Digest;
use crate::oci::reference::Repository;
use crate::store::cache::{Cache, CacheGrowth, Location};
use crate::text::headers::{HeaderChange, Headers};

/// A manifest by digest under way.
#[derive(Debug)]
pub(super) struct ManifestByDigest {
    repository: Repository,
    digest: Digest,
    cache: Cache,
    accept: String,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
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
            (Event::CalloutAnswered(answer), State::Fetching | State::FetchingAfterHead) => self.on_answer(at, *answer),
            _ => Decision::new(Next::Undecided(self), Step::Hold),
        }
    }

    fn repeat(&mut self, session: &Session) -> Option<Callout> {
        if let State::Revalidating(_) = self.state {
            self.state = State::FetchingAfterHead;
        }
        Some(self.callout(session))
    }

    fn holds_request(&self) -> bool {
        !matches!(self.state, State::Revalidating(_))
    }

    fn suffices(&self, status: &[u8]) -> Option<&'static [&'static str]> {
        (status == b"200").then_some(&[])
    }
}

impl ManifestByDigest {
    /// Asks upstream with HEAD about a known manifest, and with GET for an unknown one.
    pub(super) fn begin(
        at: Context<'_>,
        repository: Repository,
        digest: Digest,
        cache: Cache,
        headers: Headers<'_>,
    ) -> Decision {
        let accept = accept_header::sent(headers);
        let mut manifest = Self { repository, digest, cache, accept, state: State::Fetching };
        let location = cache.locate(at.resources, at.scope(&manifest.repository), manifest.digest.as_str());
        let Some(location) = location else { return manifest.fetch(at, State::Fetching) };
        let mut changes = Vec::new();
        if accept_header::is_too_long(headers) {
            changes.push(HeaderChange::Set("accept", manifest.accept.clone()));
        }
        if location.is_large() {
            return Decision::new(Next::Pass, Step::Continue(changes));
        }
        changes.push(HeaderChange::Set(":method", "HEAD".to_owned()));
        manifest.state = State::Revalidating(location);
        Decision::undecided(manifest, Step::Continue(changes))
    }

    fn fetch(mut self, at: Context<'_>, state: State) -> Decision {
        self.state = state;
        let callout = self.callout(at.session);
        Decision::undecided(self, Step::CallOut(callout))
    }

    fn callout(&self, session: &Session) -> Callout {
        fetch::callout(session, &self.repository, self.digest.as_str(), Some(&self.accept))
    }

    fn on_head(self, at: Context<'_>, headers: Headers<'_>, location: Location) -> Decision {
        match headers.status() {
            200 => {
                match self.cache.document(at.resources, at.scope(&self.repository), self.digest.as_str(), location) {
                    Some(document) => {
                        let headers = served::document(&document.media_type, self.digest.as_str());
                        let reply = Reply::document(headers, document.body.into());
                        let hit = Report::count(Counter::CacheHit);
                        Decision { next: Next::Done, step: Step::Reply(reply), reports: vec![hit] }
                    }
                    None => self.fetch(at, State::FetchingAfterHead),
                }
            }
            429 => served::limited(headers, &at.session.registry.host).into(),
            500.. | 0 => self.fail(at, &Fault::unavailable(&at.session.registry.host, headers)),
            // HEAD may be refused where GET is not, and has no body that could tell the client why.
            _ => self.fetch(at, State::FetchingAfterHead),
        }
    }

    fn on_answer(self, at: Context<'_>, answer: Option<Answer<'_>>) -> Decision {
        let host = &at.session.registry.host;
        let Some(Answer { headers, body }) = answer else {
            return self.fail(at, &Fault::broke_off(host, self.digest.as_str()));
        };
        match headers.status() {
            200 => {}
            500.. | 0 => return self.fail(at, &Fault::unavailable(host, headers)),
            // The answer is passed on: clients follow redirects of content, and verify what they get.
            _ => return served::relay(headers, body).into(),
        }
        if body.len() > MAX_MANIFEST {
            return self.fail(at, &Fault::too_large());
        }
        if headers.is_encoded() {
            return self
                .fail(at, &Fault::invalid("it came compressed although MetaHub asked for it as it is".to_owned()));
        }
        if !body.verifies(&self.digest) {
            return self.fail(at, &Fault::invalid(format!("it hashes to {}", body.digest())));
        }
        let media_type = headers.text("content-type").unwrap_or_default();
        // A type that contradicts the content is passed on this once, and never kept.
        let growth = if fetch::is_confirmed(media_type, body) {
            body.kept(|| {
                self.cache.keep_document(
                    at.resources,
                    at.scope(&self.repository),
                    self.digest.as_str(),
                    media_type,
                    body,
                )
            })
            .1
        } else {
            CacheGrowth::default()
        };
        self.answer(at, headers, body).reporting(Report::count(Counter::CacheMiss)).growing(growth)
    }

    fn answer(self, at: Context<'_>, headers: Headers<'_>, body: &Body) -> Decision {
        if body.len() <= LARGE {
            return served::relay(headers, body).into();
        }
        if let State::FetchingAfterHead = self.state {
            return at.session.go_round(&self.repository, self.digest.as_str()).into();
        }
        Decision::new(Next::Pass, Step::Resume(vec![HeaderChange::Set("accept", self.accept)]))
    }

    fn fail(&self, at: Context<'_>, fault: &Fault) -> Decision {
        at.session.fail(fault, &format!("{}@{}: {}", self.repository, self.digest, fault.message)).into()
    }
}
