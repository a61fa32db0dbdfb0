//! Upstream's confirmations of a tag: by its answer to a HEAD, or by an earlier answer.

use super::resolved::{Lesson, Resolved, Top};
use super::{Age, Asked, ManifestByTag, State, TopReference};
use crate::flow::decision::{Context, Decision};
use crate::flow::fault::Fault;
use crate::flow::fetch::LARGE;
use crate::flow::report::Counter;
use crate::flow::served;
use crate::oci::digest::Digest;
use crate::store::cache::{Cache, Resolution};
use crate::text::headers::Headers;

impl ManifestByTag {
    /// Answers from what upstream has confirmed to this caller before, if that is not too old.
    pub(super) fn on_earlier_confirmation(self, at: Context<'_>, age: Age) -> Result<Decision, Box<Self>> {
        let Some(resolution) = self.earlier_confirmation(at, age) else { return Err(Box::new(self)) };
        if resolution.served.size > LARGE as u64 {
            // Nothing passes from an upstream that is down.
            return if age == Age::Valid {
                Ok(self.transfer(at, &resolution, Counter::CacheHit))
            } else {
                Err(Box::new(self))
            };
        }
        let digest = resolution.served.digest.as_str();
        let document = resolution.location.and_then(|location| {
            self.asked.cache.document(at.resources, at.scope(&self.asked.repository), digest, location)
        });
        let Some(document) = document else { return Err(Box::new(self)) };
        Ok(self.reply(&resolution, document.body.into(), Counter::CacheHit))
    }

    fn earlier_confirmation(&self, at: Context<'_>, age: Age) -> Option<Resolution> {
        let asked = &self.asked;
        let confirmed = asked.cache.confirmed(
            at.resources,
            at.scope(&self.asked.repository),
            &asked.tag,
            &asked.view(),
            asked.identity.as_ref()?,
        )?;
        let Cache { tag_ttl, serve_stale_on_error, .. } = asked.cache;
        let seconds = if age == Age::Valid { tag_ttl } else { tag_ttl.saturating_add(serve_stale_on_error) };
        // A clock that was set back must not make a confirmation last for ever.
        let valid = (confirmed.at..confirmed.at.saturating_add(seconds)).contains(&at.resources.now());
        Some(confirmed.resolution).filter(|_| valid)
    }

    /// Upstream's answer to the HEAD that asks what the tag points to.
    pub(super) fn on_head(
        mut self,
        at: Context<'_>,
        known: Option<Resolution>,
        headers: Headers<'_>,
        asked: Asked,
    ) -> Decision {
        let digest = headers.text("docker-content-digest").and_then(|text| Digest::parse(text).ok());
        if asked == Asked::ByClient && tells_of_the_registry(headers.status(), digest.is_some()) {
            return self.fetch(at, State::Confirming(known.map(Box::new)));
        }
        // The client's own headers may have brought a 404 about, so that one is asked for again.
        if asked == Asked::ByCallout && headers.status() == 404 {
            self.forget_confirmed(at);
            self = match self.on_absent(at) {
                Ok(decision) => return decision,
                Err(manifest) => *manifest,
            };
        }
        match headers.status() {
            200 => {}
            429 => return served::limited(at.session, headers).into(),
            // The registry is not down, but does not know HEAD.
            405 | 501 => return self.fetch(at, State::FetchingTop(TopReference::TagAfterHead { useless: true })),
            500.. | 0 => {
                let fault = Fault::unavailable(&at.session.registry.host, headers);
                return self.fail(at, &fault);
            }
            // HEAD may be refused where GET is not, and has no body that could tell the client why.
            _ => return self.fetch(at, State::FetchingTop(TopReference::TagAfterHead { useless: false })),
        }
        let Some(digest) = digest else {
            return self.fetch(at, State::FetchingTop(TopReference::TagAfterHead { useless: true }));
        };
        self.on_digest(at, known, digest)
    }

    /// Upstream has said what the tag points to.
    fn on_digest(self, at: Context<'_>, known: Option<Resolution>, digest: Digest) -> Decision {
        let (asked, scope) = (&self.asked, at.scope(&self.asked.repository));
        // Other requests that waited for the same answer may have stored its resolution in the meantime.
        let learned = || asked.cache.resolution(at.resources, scope, &asked.tag, &asked.view());
        let of_digest = |known: &Resolution| known.top == digest;
        if let Some(resolution) = known.filter(of_digest).or_else(|| learned().filter(of_digest)) {
            return self.serve(at, Resolved { resolution, lesson: Lesson::Confirmation });
        }
        match asked.recent.find(&asked.cache, at.resources, scope, &digest) {
            Some((media_type, body)) => {
                let top = Top { digest, lesson: Lesson::Resolution };
                self.on_top(at, top, &media_type, &body, Counter::CacheHit)
            }
            None => self.fetch(at, State::FetchingTop(TopReference::Digest(digest))),
        }
    }
}

/// Whether the answer to a HEAD says something of the registry that others would feel: that it is down, or that HEAD is
/// of no use. After a time-out (504) there is no time to ask again.
const fn tells_of_the_registry(status: u64, names_a_digest: bool) -> bool {
    match status {
        200 => !names_a_digest,
        504 => false,
        405 | 500.. | 0 => true,
        _ => false,
    }
}
