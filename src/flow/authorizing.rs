//! A request waits for its registry token, and goes on with it.

use super::fault::Fault;
use super::standing::Upstream;
use super::{Answer, Callout, Counter, Effects, Event, Exchange, Report, Step};
use crate::auth::secret::Secret;
use crate::auth::upstream::TokenRequest;
use crate::oci::errors::Code;
use crate::store::resources::Resources;

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
    pub(super) fn advance(self, resources: &dyn Resources, event: &Event<'_>) -> Effects {
        let Event::CalloutAnswered(answer) = event else {
            return Effects::new(Exchange::Authorizing(Box::new(self)), Step::Hold);
        };
        match self.redeem(resources, *answer) {
            Ok(token) => self.next.authorized(Some(token)).resumed(),
            Err(refusal) => *refusal,
        }
    }

    fn redeem(&self, resources: &dyn Resources, answer: Option<Answer<'_>>) -> Result<Secret, Box<Effects>> {
        let host = &self.request.service.host;
        let Some(Answer { headers, body }) = answer else {
            return Err(self.fail(&Fault::upstream(format!(
                "the token service {host} cannot be reached, or broke off; try again later"
            ))));
        };
        match headers.status() {
            200 if !headers.is_encoded() => self.request.redeem(resources, body).map_err(|error| {
                self.fail(&Fault::upstream(format!("the token service {host} cannot be understood: {error}")))
            }),
            // The client's credentials, or MetaHub's.
            status @ 401 => {
                let growth = self.upstream.distrust(resources);
                Err(Box::new(self.upstream.refused(status).growing(growth)))
            }
            403 => {
                let growth = self.upstream.distrust(resources);
                let message = format!("the token service {host} refuses access (403)");
                let refusal = self.fail(&Fault::new(Code::Denied, Counter::Denied, message));
                Err(Box::new(refusal.growing(growth)))
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
