//! A request's session with its registry: the `Authorization` that is sent, and the meaning of a refusal.

use std::sync::Arc;

use super::challenge::Challenge;
use super::fault::Fault;
use super::local_reply::{LocalReply, refuse, rejected};
use super::mapped::Mapped;
use super::paths::{Content, Paths};
use super::report::{Counter, Report, Reporting};
use super::step::Callout;
use crate::auth::credentials::Presented;
use crate::auth::registry_token::{self, Authorization, TokenRequest};
use crate::auth::secret::Secret;
use crate::config::{Authentication, Registry};
use crate::flow::body::Body;
use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::oci::reference::Repository;
use crate::request::BASE;
use crate::request::query::RETRY_MARK;
use crate::store::cache::{Cache, CacheGrowth};
use crate::store::keys::Identity;
use crate::store::resources::Resources;
use crate::text::headers::{HeaderChange, Headers};

/// The registry of a request, its login, and the `Authorization` that the registry gets.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) registry: Arc<Registry>,
    pub(super) user: String,
    /// Whether the client did not log in.
    pub(super) anonymous: bool,
    /// How the client is asked for better credentials.
    challenge: Challenge,
    authorization: Option<Secret>,
    token: Option<Box<Token>>,
    /// Changes to the client's own request before it goes upstream, `Authorization` aside.
    pub(super) stripped: Vec<HeaderChange>,
    /// The part of the client's query that routes may need, with its question mark; or nothing.
    pub(super) query: String,
    /// Whether the client was sent round before.
    pub(super) repeated: bool,
    /// The trust in what upstream has confirmed to this caller earlier, which a refusal ends.
    pub(super) trust: Option<Box<Trust>>,
    /// The repository that stands in the place of the one that the client names.
    pub(super) mapped: Option<Box<Mapped>>,
    /// The kind of thing that is asked for.
    pub(super) content: Content,
    /// The beginning of the client's paths, where they say a machine type.
    pub(super) lead: Option<Box<str>>,
}

/// The repository in which a caller was believed, and the credential.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) cache: Cache,
    pub(super) repository: Repository,
    pub(super) identity: Identity,
}

/// A token of the token service that is in use.
#[derive(Debug)]
struct Token {
    /// The request for another one.
    request: TokenRequest,
    /// Whether it is of an earlier request and may have expired since.
    kept: bool,
    /// The path to which the client is sent for its second try; empty if this is the second.
    again: String,
}

impl Session {
    pub(super) fn new(registry: &Arc<Registry>, user: String, challenge: Challenge) -> Self {
        Self {
            registry: Arc::clone(registry),
            user,
            anonymous: false,
            challenge,
            authorization: None,
            token: None,
            stripped: Vec::new(),
            query: String::new(),
            repeated: false,
            trust: None,
            mapped: None,
            content: Content::Other,
            lead: None,
        }
    }

    /// The names that client and registry have for the request's paths.
    pub(super) fn paths(&self) -> Paths<'_> {
        let (mapped, lead) = (self.mapped.as_deref(), self.lead.as_deref().unwrap_or(BASE));
        Paths { registry: &self.registry, mapped, content: self.content, lead, routed: &self.query }
    }

    /// Finds out which `Authorization` a request needs. Returns the request for a token that must be answered first.
    /// `path` is the client's; `goes_itself` says that the client's own request goes upstream, and no callout.
    pub(super) fn authorize(
        &mut self,
        resources: &dyn Resources,
        presented: &Presented,
        repository: Option<&Repository>,
        path: &str,
        goes_itself: bool,
    ) -> Option<Box<TokenRequest>> {
        let Registry { cluster, token_service, .. } = &*self.registry;
        let repository = repository.map(|repository| self.registry.upstream(repository));
        let authorization =
            registry_token::authorize(resources, cluster, token_service.as_ref(), presented, repository.as_deref());
        match authorization {
            Authorization::Nothing => {}
            Authorization::Header(value) => self.authorization = Some(value),
            // The client may have been sent round because of this token.
            Authorization::Kept(value, request)
                if self.repeated && goes_itself && !request.is_recent(resources, &value) =>
            {
                self.with_token(&request, false, path);
                return Some(request);
            }
            Authorization::Kept(value, request) => {
                self.with_token(&request, true, path);
                self.authorization = Some(value);
            }
            Authorization::Token(request) => {
                self.with_token(&request, false, path);
                return Some(request);
            }
        }
        None
    }

    /// Uses a registry token that was just made for all that follows.
    pub(super) fn present(&mut self, token: Secret) {
        self.authorization = Some(token);
    }

    /// The `Authorization` of the client's own request: the registry's, and never the client's.
    fn authorization(&self) -> HeaderChange {
        match &self.authorization {
            Some(value) => HeaderChange::Set("authorization", value.expose().to_owned()),
            None => HeaderChange::Remove("authorization".into()),
        }
    }

    /// Completes the changes with which the client's own request goes upstream.
    pub(super) fn complete(&mut self, changes: &mut Vec<HeaderChange>) {
        let mut others = std::mem::take(&mut self.stripped);
        others.retain(|change| !changes.iter().any(|given| given.name() == change.name()));
        changes.append(&mut others);
        changes.push(self.authorization());
    }

    /// Adds `Authorization` to a callout to the registry.
    pub(super) fn authorize_callout(&self, callout: &mut Callout) {
        callout.headers.extend(self.authorization.iter().map(|value| ("authorization", value.expose().to_owned())));
    }

    /// Sends the client round once more, because its request has gone upstream and cannot go again. The facts that were
    /// learned in this round let the next one go another way.
    #[cold]
    pub(super) fn go_round(&self, repository: &Repository, reference: &str) -> LocalReply {
        let repository = self.mapped.as_ref().map_or(repository, |mapped| &mapped.named);
        if self.repeated {
            let message = format!("{repository}:{reference} has changed just now; try again");
            let reply = Reply::error(Code::Unavailable, &message).with("retry-after", "1");
            let line = format!("503 {message} (login {:?})", self.user);
            return *rejected(reply, Counter::UpstreamFailed, line);
        }
        let separator = if self.query.is_empty() { '?' } else { '&' };
        let lead = self.paths().lead;
        let location = format!("{lead}{repository}/manifests/{reference}{}{separator}{RETRY_MARK}", self.query);
        moved(location).into()
    }

    /// Ends the trust in earlier confirmations, because the registry or its token service has refused this caller: they
    /// no longer stand in for its answer. Returns how the cache grew.
    pub(super) fn distrust(&self, resources: &dyn Resources) -> CacheGrowth {
        let Some(Trust { cache, repository, identity }) = self.trust.as_deref() else { return CacheGrowth::default() };
        cache.keep_refused(resources, self.registry.scope(repository), identity)
    }

    /// Ends what was confirmed, if a status says that upstream does not let this caller have what was asked for.
    pub(super) fn on_denial(&self, resources: &dyn Resources, status: u64) -> CacheGrowth {
        if status == 403 { self.distrust(resources) } else { CacheGrowth::default() }
    }

    /// Uses a token of the token service; `path` is the client's.
    fn with_token(&mut self, request: &TokenRequest, kept: bool, path: &str) {
        let separator = if path.contains('?') { '&' } else { '?' };
        let again = if self.repeated { String::new() } else { format!("{path}{separator}{RETRY_MARK}") };
        self.token = Some(Box::new(Token { request: request.clone(), kept, again }));
    }

    /// The request for a new token, if an answer with this status refuses a token of an earlier request. The new one is
    /// not renewed once more.
    pub(super) fn renew(&mut self, resources: &dyn Resources, status: u64) -> Option<TokenRequest> {
        if status == 401 {
            self.forget(resources);
        }
        self.authorization = None;
        let token = self.token.as_mut()?;
        token.kept = false;
        Some(token.request.clone())
    }

    /// Whether a status refuses a token of an earlier request. 401 does. 400 is ECR Public's answer to an expired token
    /// (aws/containers-roadmap#2835), without a challenge, and every registry's answer to a bad request. It is about
    /// the token only if that is old enough to have expired. Even then the token, which others share, is not forgotten
    /// but stays until a new one takes its place. So a client that sends bad requests costs one exchange a minute.
    pub(super) fn refuses_kept_token(&self, resources: &dyn Resources, status: u64) -> bool {
        let (Some(token), Some(authorization)) = (&self.token, &self.authorization) else { return false };
        token.kept && (status == 401 || status == 400 && !token.request.is_recent(resources, authorization))
    }

    fn forget(&self, resources: &dyn Resources) {
        if let (Some(token), Some(authorization)) = (&self.token, &self.authorization) {
            token.request.forget(resources, authorization);
        }
    }

    /// The reply to the client if an answer with this status is a refusal; `None` if it is not. The registry's
    /// challenge never reaches the client, which would send its password to the host that it names. A request whose
    /// headers have gone upstream cannot be sent again, so if it was an old token that was refused the client is sent
    /// round once.
    pub(super) fn refusal(&self, resources: &dyn Resources, status: u64, headers: Headers<'_>) -> Option<LocalReply> {
        let again = self.token.as_ref().map(|token| &token.again).filter(|again| !again.is_empty());
        let again = again.filter(|_| self.refuses_kept_token(resources, status));
        if status != 401 && again.is_none() {
            return None;
        }
        if status == 401 {
            self.forget(resources);
        }
        if let Some(again) = again {
            return Some(LocalReply::from(moved(again.as_str())).reporting(Report::count(Counter::TokenRefused)));
        }
        let growth = self.distrust(resources);
        let is_denied = self.registry.authentication == Authentication::Upstream && lacks_permission(headers);
        let refusal = if is_denied { self.denied() } else { self.refused(status) };
        Some(refusal.growing(growth))
    }

    /// The reply where the login is right, but the registry does not let it have this.
    #[cold]
    fn denied(&self) -> LocalReply {
        let (host, advice) = (&self.registry.host, self.advice());
        let message = format!("the registry {host} does not let the login {:?} have this; {advice}", self.user);
        *refuse(Code::Denied, Counter::Denied, &message)
    }

    /// The advice where the registry does not let this caller have something. A login helps a client that has none, but
    /// only if the registry sees it: elsewhere MetaHub asks for all clients alike.
    pub(super) fn advice(&self) -> &'static str {
        if self.anonymous && self.registry.authentication == Authentication::Upstream {
            "log in to MetaHub as a user who may have it"
        } else {
            "ask its operator for access"
        }
    }

    /// The client's own credentials are refused with a challenge, MetaHub's with an explanation.
    #[cold]
    pub(super) fn refused(&self, status: u64) -> LocalReply {
        let host = &self.registry.host;
        if self.registry.authentication == Authentication::Upstream {
            let line = format!("401 login {:?}: the registry {host} refuses it ({status})", self.user);
            let reply = self.challenge.reply(&format!("the registry {host} does not accept this login"));
            return *rejected(reply, Counter::Unauthorized, line);
        }
        let message =
            format!("the registry {host} refuses MetaHub's access ({status}); ask the operator of MetaHub for it");
        let line = format!("403 {message} (login {:?})", self.user);
        *rejected(Reply::error(Code::Denied, &message), Counter::UpstreamFailed, line)
    }

    /// The reply about a fault, in words that name what was asked for: for the client, and in one log line with the
    /// login and the registry.
    #[cold]
    pub(super) fn fail(&self, fault: &Fault, message: &str) -> LocalReply {
        let (status, host) = (fault.code.status(), &self.registry.host);
        let line = format!("{status} {message} (login {:?}, registry {host})", self.user);
        *rejected(fault.reply(message), fault.counter, line)
    }
}

/// 307: the client's next try goes there.
fn moved(location: impl Into<String>) -> Reply {
    Reply { status: 307, headers: Vec::new(), body: Body::default() }.with("location", location)
}

/// Whether a challenge says that the token is good and not good enough (RFC 6750 §3.1).
fn lacks_permission(headers: Headers<'_>) -> bool {
    let challenge = headers.text("www-authenticate").unwrap_or_default();
    challenge.contains("error=\"insufficient_scope\"")
}
