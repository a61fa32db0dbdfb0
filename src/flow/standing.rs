//! Where MetaHub stands with a request's registry: what it sends as `Authorization`, and what a refusal of it means.

use std::sync::Arc;

use super::challenge::Challenge;
use super::{Authorizing, Counter, Effects, Exchange, Report, Step};
use crate::auth::identity::Presented;
use crate::auth::secret::Secret;
use crate::auth::upstream::{self, Authorization, TokenRequest};
use crate::config::{Authentication, Registry};
use crate::flow::body::Body;
use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::oci::reference::Repository;
use crate::request::query::RETRY;
use crate::store::cache::{Cache, CacheGrowth, CacheScope};
use crate::store::keys::Identity;
use crate::store::resources::Resources;
use crate::text::headers::{HeaderChange, Headers};

/// The registry of a request, and what it gets as `Authorization`.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub(super) registry: Arc<Registry>,
    pub(super) authorization: Option<Secret>,
    token: Option<Box<Token>>,
    challenge: Challenge,
    pub(super) user: String,
    /// What must be changed of the client's own request before it goes upstream, `Authorization` and path aside.
    pub(super) stripped: Vec<HeaderChange>,
    /// The part of the client's query that routes may need, with its question mark; or nothing.
    pub(super) query: String,
    /// The client was sent round before.
    pub(super) repeated: bool,
    /// What upstream has confirmed to this caller earlier, which a refusal ends.
    pub(super) trust: Option<Box<Trust>>,
}

/// In which repository a caller was believed, by which credential.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pub(super) cache: Cache,
    pub(super) repository: Repository,
    pub(super) identity: Identity,
}

/// What an answer of upstream's means for a request that can be sent once more.
pub(super) enum Judgement {
    /// The registry does not refuse what it was sent.
    Fine,
    /// It refuses a registry token of an earlier request. The callout is to be repeated with another one, by
    /// [`Authorizing::again`], which is not renewed once more.
    Renew(Box<TokenRequest>),
    /// It refuses the caller, and the client is answered so.
    Refused(Box<Effects>),
}

/// A token of the token service's, in use.
#[derive(Clone, Debug)]
struct Token {
    /// How to get another one.
    request: TokenRequest,
    /// It is of an earlier request and may have ended since.
    kept: bool,
    /// Where to send the client for another try; empty if this is one.
    again: String,
}

impl Upstream {
    pub(super) fn new(registry: &Arc<Registry>, user: &str) -> Self {
        Self {
            registry: Arc::clone(registry),
            authorization: None,
            token: None,
            challenge: Challenge::basic(),
            user: user.to_owned(),
            stripped: Vec::new(),
            query: String::new(),
            repeated: false,
            trust: None,
        }
    }

    /// The client's own request, which was held, goes upstream with these changes.
    pub(super) fn onward(&self, mut changes: Vec<HeaderChange>) -> Step {
        let stripped = self.stripped.iter().filter(|change| !changes.iter().any(|other| other.name() == change.name()));
        let stripped: Vec<HeaderChange> = stripped.cloned().collect();
        changes.extend(stripped);
        changes.push(match &self.authorization {
            Some(value) => HeaderChange::Set("authorization", value.expose().to_owned()),
            None => HeaderChange::Remove("authorization".into()),
        });
        Step::Resume(changes)
    }

    /// Sends the client round once more, because its request has gone upstream and cannot go again. What was learned in
    /// this round lets the next one go another way.
    #[cold]
    pub(super) fn go_round(&self, repository: &Repository, reference: &str) -> Effects {
        if self.repeated {
            let message = format!("{repository}:{reference} has changed just now; try again");
            let reply = Reply::error(Code::Unavailable, &message).with("retry-after", "1");
            let line = format!("503 {message} (login {:?})", self.user);
            return Effects::reply(reply).reporting(Report::fault(Counter::UpstreamFailed, line));
        }
        let separator = if self.query.is_empty() { '?' } else { '&' };
        let location = format!("/v2/{repository}/manifests/{reference}{}{separator}{RETRY}", self.query);
        let reply = Reply { status: 307, headers: Vec::new(), body: Body::default() }.with("location", location);
        Effects::reply(reply)
    }

    /// The registry, or its token service, has refused this caller: nothing that it has confirmed before stands in for
    /// its word any more. Returns what the cache grew by.
    pub(super) fn distrust(&self, resources: &dyn Resources) -> CacheGrowth {
        let Some(Trust { cache, repository, identity }) = self.trust.as_deref() else { return CacheGrowth::default() };
        let scope = CacheScope { cluster: &self.registry.cluster, repository };
        cache.keep_refused(resources, scope, identity)
    }

    /// With a token of the token service's; `path` is the client's.
    fn with_token(&mut self, request: &TokenRequest, kept: bool, path: &str) {
        let separator = if path.contains('?') { '&' } else { '?' };
        let again = if is_repeated(path) { String::new() } else { format!("{path}{separator}{RETRY}") };
        self.token = Some(Box::new(Token { request: request.clone(), kept, again }));
    }

    /// Judges an answer; no answer refuses nothing. An old token is looked at first: its refusal says nothing of the
    /// caller.
    pub(super) fn judge(&mut self, resources: &dyn Resources, headers: Option<Headers<'_>>) -> Judgement {
        let Some(headers) = headers else { return Judgement::Fine };
        if let Some(request) = self.renew(resources, headers) {
            return Judgement::Renew(Box::new(request));
        }
        self.refusal(resources, headers).map_or(Judgement::Fine, |refusal| Judgement::Refused(Box::new(refusal)))
    }

    /// What to exchange if this answer refuses a token of an earlier request.
    fn renew(&mut self, resources: &dyn Resources, headers: Headers<'_>) -> Option<TokenRequest> {
        if !self.refuses_kept_token(resources, headers.status()) {
            return None;
        }
        if headers.status() == 401 {
            self.forget(resources);
        }
        self.authorization = None;
        let token = self.token.as_mut()?;
        token.kept = false;
        Some(token.request.clone())
    }

    /// Whether a status refuses a token of an earlier request. 401 does. 400 is what ECR Public says to an expired
    /// token (aws/containers-roadmap#2835), without a challenge, and what every registry says to a bad request: it is
    /// about the token only if that is old enough to have expired, and even then the token, which others share, is not
    /// forgotten but stays until a new one takes its place. So a client that sends bad requests costs one exchange a
    /// minute.
    fn refuses_kept_token(&self, resources: &dyn Resources, status: u64) -> bool {
        let (Some(token), Some(authorization)) = (&self.token, &self.authorization) else { return false };
        token.kept && (status == 401 || status == 400 && !token.request.is_recent(resources, authorization))
    }

    fn forget(&self, resources: &dyn Resources) {
        if let (Some(token), Some(authorization)) = (&self.token, &self.authorization) {
            token.request.forget(resources, authorization);
        }
    }

    /// What an answer means: `None`, unless the registry refuses what it was sent. Its challenge never reaches the
    /// client, which would send its password to whomever it names. A request whose headers have gone upstream cannot be
    /// sent again, so if it was an old token that was refused the client is sent round once.
    pub(super) fn refusal(&self, resources: &dyn Resources, headers: Headers<'_>) -> Option<Effects> {
        let status = headers.status();
        let again = self.token.as_ref().map(|token| &token.again).filter(|again| !again.is_empty());
        let again = again.filter(|_| self.refuses_kept_token(resources, status));
        if status != 401 && again.is_none() {
            return None;
        }
        if status == 401 {
            self.forget(resources);
        }
        if let Some(again) = again {
            let reply =
                Reply { status: 307, headers: Vec::new(), body: Body::default() }.with("location", again.as_str());
            return Some(Effects::reply(reply).reporting(Report::count(Counter::TokenRefused)));
        }
        let growth = self.distrust(resources);
        let is_denied = self.registry.authentication == Authentication::Upstream && lacks_permission(headers);
        let refusal = if is_denied { self.denied() } else { self.refused(status) };
        Some(refusal.growing(growth))
    }

    /// The login is right, but the registry does not let it have this.
    #[cold]
    fn denied(&self) -> Effects {
        let host = &self.registry.host;
        let message = format!("the registry {host} does not allow this to the login {:?}; ask there for it", self.user);
        Effects::reply(Reply::error(Code::Denied, &message))
            .reporting(Report::fault(Counter::Denied, format!("403 {message}")))
    }

    /// The client's own credentials are refused with a challenge, MetaHub's with an explanation.
    #[cold]
    pub(super) fn refused(&self, status: u64) -> Effects {
        let host = &self.registry.host;
        if self.registry.authentication == Authentication::Upstream {
            let line = format!("401 login {:?}: the registry {host} refuses it ({status})", self.user);
            let reply = self.challenge.reply(&format!("the registry {host} does not accept this login"));
            return Effects::reply(reply).reporting(Report::fault(Counter::Unauthorized, line));
        }
        let message =
            format!("the registry {host} refuses MetaHub's access ({status}); ask the operator of MetaHub for it");
        let line = format!("403 {message} (login {:?})", self.user);
        Effects::reply(Reply::error(Code::Denied, &message)).reporting(Report::fault(Counter::UpstreamFailed, line))
    }

    /// Responses that are not looked into.
    pub(super) fn pass(&self, resources: &dyn Resources, headers: Headers<'_>) -> Effects {
        // A challenge belongs to a 401, and a client that sees one elsewhere may send its password to whom it names.
        let pass = || {
            let changes = vec![HeaderChange::Remove("www-authenticate".into())];
            Effects::new(Exchange::Done, Step::Continue(changes))
        };
        self.refusal(resources, headers).unwrap_or_else(pass)
    }
}

/// Whether the client was sent round before.
fn is_repeated(path: &str) -> bool {
    path.split(['?', '&']).any(|part| part == RETRY)
}

/// Whether a challenge says that the token is good and not good enough (RFC 6750 §3.1).
fn lacks_permission(headers: Headers<'_>) -> bool {
    let challenge = headers.text("www-authenticate").unwrap_or_default();
    challenge.contains("error=\"insufficient_scope\"")
}

/// What is presented to a registry for a request, and how its client is asked for better credentials.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) presented: Presented,
    pub(super) challenge: Challenge,
}

impl Standing {
    /// Gives a request that goes upstream its `Authorization`, by way of the token service if need be.
    pub(super) fn authorize(
        &self,
        resources: &dyn Resources,
        registry: &Registry,
        repository: Option<&Repository>,
        headers: Headers<'_>,
        mut effects: Effects,
    ) -> Effects {
        if !matches!(effects.step, Step::Continue(_) | Step::CallOut(_)) {
            return effects;
        }
        let path = headers.text(":path").unwrap_or_default();
        let authorization = match upstream::authorize(
            resources,
            &registry.cluster,
            registry.token_service.as_ref(),
            &self.presented,
            repository,
        ) {
            // The client may have been sent round because of this token.
            Authorization::Kept(value, request)
                if is_repeated(path)
                    && matches!(effects.step, Step::Continue(_))
                    && !request.is_recent(resources, &value) =>
            {
                Authorization::Token(request)
            }
            authorization => authorization,
        };
        let Some(upstream) = effects.exchange.upstream_mut() else { return effects.authorized(None) };
        upstream.challenge = self.challenge.clone();
        match authorization {
            Authorization::Nothing => effects.authorized(None),
            Authorization::Header(value) => effects.authorized(Some(value)),
            Authorization::Kept(value, request) => {
                upstream.with_token(&request, true, path);
                effects.authorized(Some(value))
            }
            Authorization::Token(request) => {
                upstream.with_token(&request, false, path);
                let upstream = upstream.clone();
                Authorizing::begin(*request, upstream, effects)
            }
        }
    }
}

impl Effects {
    /// With this `Authorization` for upstream, and with none of the client's.
    pub(super) fn authorized(mut self, authorization: Option<Secret>) -> Self {
        match &mut self.step {
            Step::Continue(changes) => changes.push(match &authorization {
                Some(value) => HeaderChange::Set("authorization", value.expose().to_owned()),
                None => HeaderChange::Remove("authorization".into()),
            }),
            Step::CallOut(callout) => {
                callout.headers.retain(|(name, _)| *name != "authorization");
                callout.headers.extend(authorization.iter().map(|value| ("authorization", value.expose().to_owned())));
            }
            _ => {}
        }
        if let Some(upstream) = self.exchange.upstream_mut() {
            upstream.authorization = authorization;
        }
        self
    }

    /// A request that was held goes on.
    pub(super) fn resumed(mut self) -> Self {
        if let Step::Continue(changes) = self.step {
            self.step = Step::Resume(changes);
        }
        self
    }
}
