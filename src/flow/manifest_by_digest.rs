//! A manifest by digest: content that is known is answered from the cache once upstream has said, to the caller's own
//! credentials, that it is there; anything else is fetched once for everybody who asks at that moment. What is large
//! passes from upstream to each client (`transfer.rs` says why). Its bytes are never changed.

use super::answer;
use super::fault::Fault;
use super::fetch::{self, LARGE, MAX_MANIFEST};
use super::{
    Answer, Authorizing, Callout, Counter, Effects, Event, Exchange, Judgement, Report, Step, Upstream, accept,
};
use crate::auth::upstream::TokenRequest;
use crate::flow::body::Body;
use crate::flow::reply::Reply;
use crate::oci::digest::Digest;
use crate::oci::reference::Repository;
use crate::store::cache::{Cache, CacheGrowth, CacheScope, Location};
use crate::store::resources::Resources;
use crate::text::headers::{HeaderChange, Headers};

/// A manifest by digest under way.
#[derive(Debug)]
pub struct ManifestByDigest {
    repository: Repository,
    digest: Digest,
    user: String,
    pub(super) upstream: Upstream,
    cache: Cache,
    accept: String,
    /// Where the manifest is while upstream is asked with HEAD; `None` while it is fetched.
    location: Option<Location>,
    /// The client's own request has gone upstream, and cannot go once more.
    gone: bool,
}

impl ManifestByDigest {
    /// Asks upstream with HEAD for what is known, and for all of what is not.
    pub(super) fn begin(
        repository: Repository,
        digest: Digest,
        user: String,
        upstream: Upstream,
        cache: Cache,
        headers: Headers<'_>,
        resources: &dyn Resources,
    ) -> Effects {
        let accept = accept::sent(headers);
        let mut manifest = Self { repository, digest, user, upstream, cache, accept, location: None, gone: false };
        let location = cache.locate(resources, manifest.scope(), manifest.digest.as_str());
        let Some(location) = location else { return manifest.fetch() };
        let mut changes = Vec::new();
        if accept::is_too_long(headers) {
            changes.push(HeaderChange::Set("accept", manifest.accept.clone()));
        }
        if location.is_large() {
            return Effects::new(Exchange::Passing(manifest.upstream), Step::Continue(changes));
        }
        changes.push(HeaderChange::Set(":method", "HEAD".to_owned()));
        manifest.location = Some(location);
        manifest.gone = true;
        Effects::new(Exchange::ManifestByDigest(Box::new(manifest)), Step::Continue(changes))
    }

    fn scope(&self) -> CacheScope<'_> {
        CacheScope { cluster: self.upstream.registry.cluster.as_str(), repository: &self.repository }
    }

    #[inline(never)]
    fn fetch(mut self) -> Effects {
        self.location = None;
        let callout = self.callout();
        Effects::new(Exchange::ManifestByDigest(Box::new(self)), Step::CallOut(callout))
    }

    fn callout(&self) -> Callout {
        fetch::callout(&self.upstream, &self.repository, self.digest.as_str(), Some(&self.accept))
    }

    /// Calls out with another token.
    fn fetch_again(mut self, request: TokenRequest) -> Effects {
        self.location = None;
        let (upstream, callout) = (self.upstream.clone(), self.callout());
        Authorizing::again(request, upstream, Exchange::ManifestByDigest(Box::new(self)), callout)
    }

    pub(super) fn advance(self, resources: &dyn Resources, event: &Event<'_>) -> Effects {
        match (event, self.location) {
            (Event::ResponseHeaders { headers, .. }, Some(location)) => self.on_head(resources, *headers, location),
            (Event::CalloutAnswered(answer), None) => self.on_answer(resources, *answer),
            _ => Effects::new(Exchange::ManifestByDigest(Box::new(self)), Step::Hold),
        }
    }

    fn on_head(mut self, resources: &dyn Resources, headers: Headers<'_>, location: Location) -> Effects {
        match self.upstream.judge(resources, Some(headers)) {
            Judgement::Fine => {}
            Judgement::Renew(request) => return self.fetch_again(*request),
            Judgement::Refused(refusal) => return *refusal,
        }
        match headers.status() {
            200 => match self.cache.document(resources, self.scope(), self.digest.as_str(), location) {
                Some(document) => {
                    let headers = answer::document(&document.media_type, self.digest.as_str());
                    let reply = Reply::document(headers, document.body.into());
                    Effects::reply(reply).reporting(Report::count(Counter::CacheHit))
                }
                None => self.fetch(),
            },
            429 => answer::limited(headers, &self.upstream.registry.host),
            500.. | 0 => self.fail(&Fault::unavailable(&self.upstream.registry.host, headers)),
            // HEAD may be refused where GET is not, and has no body that could tell the client why.
            _ => self.fetch(),
        }
    }

    #[inline(never)]
    fn on_answer(mut self, resources: &dyn Resources, answer: Option<Answer<'_>>) -> Effects {
        match self.upstream.judge(resources, answer.map(|answer| answer.headers)) {
            Judgement::Fine => {}
            Judgement::Renew(request) => return self.fetch_again(*request),
            Judgement::Refused(refusal) => return *refusal,
        }
        let host = &self.upstream.registry.host;
        let Some(Answer { headers, body }) = answer else {
            return self.fail(&Fault::broke_off(host, self.digest.as_str()));
        };
        match headers.status() {
            200 => {}
            500.. | 0 => return self.fail(&Fault::unavailable(host, headers)),
            // Upstream's word to the client; redirects of content are followed by clients, which verify what they get.
            _ => return answer::relay(headers, body),
        }
        if body.len() > MAX_MANIFEST {
            return self.fail(&Fault::too_large());
        }
        if headers.is_encoded() {
            return self.fail(&Fault::invalid("it came compressed although MetaHub asked for it as it is".to_owned()));
        }
        if !body.verifies(&self.digest) {
            return self.fail(&Fault::invalid(format!("it hashes to {}", body.digest())));
        }
        let media_type = headers.text("content-type").unwrap_or_default();
        // A type that contradicts the content is the registry's word for this once, and never kept.
        let growth = if fetch::is_confirmed(media_type, body) {
            body.kept(|| self.cache.keep_document(resources, self.scope(), self.digest.as_str(), media_type, body)).1
        } else {
            CacheGrowth::default()
        };
        self.answer(headers, body).reporting(Report::count(Counter::CacheMiss)).growing(growth)
    }

    fn answer(self, headers: Headers<'_>, body: &Body) -> Effects {
        if body.len() <= LARGE {
            return answer::relay(headers, body);
        }
        if self.gone {
            return self.upstream.go_round(&self.repository, self.digest.as_str());
        }
        let step = self.upstream.onward(vec![HeaderChange::Set("accept", self.accept)]);
        Effects::new(Exchange::Passing(self.upstream), step)
    }

    #[cold]
    fn fail(&self, fault: &Fault) -> Effects {
        let message = format!("{}@{}: {}", self.repository, self.digest, fault.message);
        let (status, user, host) = (fault.code.status(), &self.user, &self.upstream.registry.host);
        let line = format!("{status} {message} (login {user:?}, registry {host})");
        Effects::reply(fault.reply(&message)).reporting(Report::fault(fault.counter, line))
    }

    /// Whether the client's request itself waits, and has not gone upstream.
    pub(super) const fn holds_request(&self) -> bool {
        self.location.is_none()
    }
}
