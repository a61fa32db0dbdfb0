//! Where MetaHub stands with a request's registry: what it sends as `Authorization`, and what a refusal of it means.

use std::rc::Rc;

use super::challenge::Challenge;
use super::fetch::{self, Fault, status};
use super::{Answer, Callout, Counter, Effects, Event, Exchange, Report, Step};
use crate::config::{Authentication, Registry};
use crate::errors::{Code, Reply};
use crate::headers::{HeaderChange, Headers};
use crate::identity::Presented;
use crate::memory::Memory;
use crate::query::RETRY;
use crate::request::Repository;
use crate::secret::Secret;
use crate::upstream::{self, Authorization, TokenRequest};

/// The registry of a request, and what it gets as `Authorization`.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub(super) registry: Rc<Registry>,
    pub(super) authorization: Option<Secret>,
    token: Option<Box<Token>>,
    challenge: Challenge,
    user: String,
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
    pub(super) fn new(registry: &Rc<Registry>, user: &str) -> Self {
        Self {
            registry: Rc::clone(registry),
            authorization: None,
            token: None,
            challenge: Challenge::basic(),
            user: user.to_owned(),
        }
    }

    /// With a token of the token service's; `path` is the client's.
    fn with_token(&mut self, request: &TokenRequest, kept: bool, path: &str) {
        let separator = if path.contains('?') { '&' } else { '?' };
        let repeated = path.split(['?', '&']).any(|part| part == RETRY);
        let again = if repeated { String::new() } else { format!("{path}{separator}{RETRY}") };
        self.token = Some(Box::new(Token { request: request.clone(), kept, again }));
    }

    /// For callouts: what to exchange if this answer refuses a token of an earlier request, which is forgotten. The
    /// callout can then be repeated by [`Authorizing::again`]; the new token is not renewed once more.
    pub(super) fn renew(&mut self, memory: &dyn Memory, headers: Headers<'_>) -> Option<TokenRequest> {
        // ECR Public says 400 to an expired token. Said again to a new one, it is about the request itself.
        let token = self.token.as_mut().filter(|token| token.kept && matches!(status(headers), 400 | 401))?;
        token.kept = false;
        let request = token.request.clone();
        self.forget(memory);
        self.authorization = None;
        Some(request)
    }

    fn forget(&self, memory: &dyn Memory) {
        if let (Some(token), Some(authorization)) = (&self.token, &self.authorization) {
            token.request.forget(memory, authorization);
        }
    }

    /// What an answer means: `None`, unless the registry refuses what it was sent. Its challenge never reaches the
    /// client, which would send its password to whomever it names. A request whose headers have gone upstream cannot be
    /// sent again, so if it was an old token that was refused the client is sent round once.
    pub(super) fn refusal(&self, memory: &dyn Memory, headers: Headers<'_>) -> Option<Effects> {
        let status = status(headers);
        let again = self.token.as_ref().filter(|token| token.kept && !token.again.is_empty()).map(|token| &token.again);
        // 400 as in `renew`.
        if status != 401 && !(status == 400 && again.is_some()) {
            return None;
        }
        self.forget(memory);
        if let Some(again) = again {
            let reply = Reply { status: 307, headers: Vec::new(), body: Vec::new() }.with("location", again.as_str());
            return Some(Effects::reply(reply).reporting(Report::count(Counter::TokenRefused)));
        }
        if self.registry.authentication == Authentication::Upstream && lacks_permission(headers) {
            return Some(self.denied());
        }
        Some(self.refused(status))
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
    fn refused(&self, status: u64) -> Effects {
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
    pub(super) fn pass(&self, memory: &dyn Memory, headers: Headers<'_>) -> Effects {
        let pass = || Effects::new(Exchange::Done, Step::Continue(Vec::new()));
        self.refusal(memory, headers).unwrap_or_else(pass)
    }
}

/// Whether a challenge says that the token is good and not good enough (RFC 6750 §3.1).
fn lacks_permission(headers: Headers<'_>) -> bool {
    let challenge = headers.text("www-authenticate").unwrap_or_default();
    challenge.contains("error=\"insufficient_scope\"")
}

/// A request that waits for its token.
#[derive(Debug)]
pub struct Authorizing {
    request: TokenRequest,
    upstream: Upstream,
    next: Effects,
}

impl Authorizing {
    /// Asks for a token; `next` is what to do with it.
    pub(super) fn begin(request: TokenRequest, upstream: Upstream, next: Effects) -> Effects {
        let service = &request.service;
        let mut headers = vec![
            (":method", "GET".to_owned()),
            (":path", request.path.clone()),
            (":authority", service.host.clone()),
            ("accept", "application/json".to_owned()),
            ("accept-encoding", "identity".to_owned()),
        ];
        headers.extend(request.authorization.iter().map(|value| ("authorization", value.expose().to_owned())));
        let callout = Callout { cluster: service.cluster.clone(), headers };
        let authorizing = Self { request, upstream, next };
        Effects::new(Exchange::Authorizing(Box::new(authorizing)), Step::CallOut(callout))
    }

    /// Repeats a callout with a new token. `exchange` is the state that the callout was made in.
    pub(super) fn again(request: TokenRequest, upstream: Upstream, exchange: Exchange, callout: Callout) -> Effects {
        Self::begin(request, upstream, Effects::new(exchange, Step::CallOut(callout)))
            .reporting(Report::count(Counter::TokenRefused))
    }

    #[inline(never)]
    pub(super) fn advance(self, memory: &dyn Memory, event: &Event<'_>) -> Effects {
        let Event::CalloutAnswered(answer) = event else {
            return Effects::new(Exchange::Authorizing(Box::new(self)), Step::Hold);
        };
        match self.redeem(memory, *answer) {
            Ok(token) => self.next.authorized(Some(token)).resumed(),
            Err(refusal) => *refusal,
        }
    }

    fn redeem(&self, memory: &dyn Memory, answer: Option<Answer<'_>>) -> Result<Secret, Box<Effects>> {
        let host = &self.request.service.host;
        let Some(Answer { headers, body }) = answer else {
            return Err(self.fail(&Fault::upstream(format!("the token service {host} broke off; try again later"))));
        };
        match status(headers) {
            200 if !fetch::is_encoded(headers) => self.request.redeem(memory, body).map_err(|error| {
                self.fail(&Fault::upstream(format!("the token service {host} cannot be understood: {error}")))
            }),
            // The client's credentials, or MetaHub's.
            status @ 401 => Err(Box::new(self.upstream.refused(status))),
            403 => {
                let message = format!("the token service {host} refuses access (403)");
                Err(self.fail(&Fault::new(Code::Denied, Counter::Denied, message)))
            }
            429 => {
                let message = format!("the token service {host} limits requests (429); try again later");
                Err(self.fail(&Fault::new(Code::TooManyRequests, Counter::UpstreamFailed, message).retrying(headers)))
            }
            status => {
                let fault = Fault::upstream(format!("the token service {host} answered {status}; try again later"));
                Err(self.fail(&fault.retrying(headers)))
            }
        }
    }

    #[cold]
    fn fail(&self, fault: &Fault) -> Box<Effects> {
        let line = format!("{} {} (login {:?})", fault.code.status(), fault.message, self.upstream.user);
        Box::new(Effects::reply(fault.reply(&fault.message)).reporting(Report::fault(fault.counter, line)))
    }
}

/// An answer of MetaHub's own that waits for the registry's word on the login.
#[derive(Debug)]
pub struct Verifying {
    pub(super) upstream: Upstream,
    next: Effects,
}

impl Verifying {
    /// Asks the registry by a ping; `next` is what to do if it accepts the login.
    pub(super) fn begin(upstream: Upstream, next: Effects) -> Effects {
        let callout = ping(&upstream.registry);
        Effects::new(Exchange::Verifying(Box::new(Self { upstream, next })), Step::CallOut(callout))
    }

    #[inline(never)]
    pub(super) fn advance(mut self, memory: &dyn Memory, event: &Event<'_>) -> Effects {
        let Event::CalloutAnswered(answer) = event else {
            return Effects::new(Exchange::Verifying(Box::new(self)), Step::Hold);
        };
        if let Some(request) = answer.and_then(|answer| self.upstream.renew(memory, answer.headers)) {
            let (upstream, callout) = (self.upstream.clone(), ping(&self.upstream.registry));
            return Authorizing::again(request, upstream, Exchange::Verifying(Box::new(self)), callout);
        }
        let status = answer.map_or(0, |answer| status(answer.headers));
        if let Some(refusal) = answer.and_then(|answer| self.upstream.refusal(memory, answer.headers)) {
            return refusal;
        }
        if status == 200 {
            return self.next;
        }
        let message =
            format!("the registry {} is not available ({status}); try again later", self.upstream.registry.host);
        let fault = Fault::upstream(message);
        let line = format!("503 {} (login {:?})", fault.message, self.upstream.user);
        Effects::reply(fault.reply(&fault.message)).reporting(Report::fault(fault.counter, line))
    }
}

/// A callout that says whether a login is right, once it is authorized.
fn ping(registry: &Registry) -> Callout {
    let headers =
        vec![(":method", "GET".to_owned()), (":path", "/v2/".to_owned()), (":authority", registry.host.clone())];
    Callout { cluster: registry.cluster.clone(), headers }
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
        memory: &dyn Memory,
        registry: &Registry,
        repository: Option<&Repository>,
        headers: Headers<'_>,
        mut effects: Effects,
    ) -> Effects {
        if !matches!(effects.step, Step::Continue(_) | Step::CallOut(_)) {
            return effects;
        }
        let authorization = upstream::authorize(memory, registry, &self.presented, repository);
        let path = headers.text(":path").unwrap_or_default();
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
                None => HeaderChange::Remove("authorization"),
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
    fn resumed(mut self) -> Self {
        if let Step::Continue(changes) = self.step {
            self.step = Step::Resume(changes);
        }
        self
    }
}
