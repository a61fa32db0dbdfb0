//! Requests that wait for a registry token, and the token service's answer.

use super::decision::Next;
use super::fault::Fault;
use super::local_reply::{LocalReply, rejected};
use super::report::{Counter, Report, Reporting};
use super::session::Session;
use super::step::{Answer, Callout};
use crate::auth::registry_token::TokenRequest;
use crate::auth::secret::Secret;
use crate::oci::errors::Code;
use crate::store::resources::Resources;
use crate::text::headers::HeaderChange;

/// The request that goes upstream once it has its `Authorization`.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// The client's own request, with these changes.
    Request(Vec<HeaderChange>),
    /// A callout.
    Callout(Callout),
}

/// A request that waits for a registry token.
#[derive(Debug)]
pub(super) struct Authorizing {
    request: TokenRequest,
    /// The state of the request once `outgoing` has gone.
    pub(super) next: Next,
    pub(super) outgoing: Outgoing,
    /// The reports to count once it has gone.
    pub(super) reports: Vec<Report>,
}

impl Authorizing {
    pub(super) const fn new(request: TokenRequest, next: Next, outgoing: Outgoing, reports: Vec<Report>) -> Self {
        Self { request, next, outgoing, reports }
    }

    /// The callout for the token.
    pub(super) fn callout(&self) -> Callout {
        let service = &self.request.service;
        let mut headers = vec![
            (":method", "GET".to_owned()),
            (":path", self.request.path.clone()),
            (":authority", service.host.clone()),
            ("accept", "application/json".to_owned()),
            ("accept-encoding", "identity".to_owned()),
        ];
        headers.extend(self.request.authorization.iter().map(|value| ("authorization", value.expose().to_owned())));
        Callout { cluster: service.cluster.clone(), headers }
    }

    /// The token in the token service's answer; `None` where the connection broke.
    pub(super) fn redeem(
        &self,
        resources: &dyn Resources,
        session: &Session,
        answer: Option<Answer<'_>>,
    ) -> Result<Secret, Box<LocalReply>> {
        let host = &self.request.service.host;
        let fail = |fault: &Fault| {
            let line = format!("{} {} (login {:?})", fault.code.status(), fault.message, session.user);
            rejected(fault.reply(&fault.message), fault.counter, line)
        };
        let Some(Answer { headers, body }) = answer else {
            return Err(fail(&Fault::upstream(format!(
                "the token service {host} cannot be reached, or broke off; try again later"
            ))));
        };
        match headers.status() {
            200 if !headers.is_encoded() => self.request.redeem(resources, body).map_err(|error| {
                fail(&Fault::upstream(format!("the token service {host} cannot be understood: {error}")))
            }),
            // The service refuses the client's credentials, or MetaHub's.
            status @ 401 => {
                let growth = session.distrust(resources);
                Err(Box::new(session.refused(status).growing(growth)))
            }
            403 => {
                let growth = session.distrust(resources);
                let message = format!("the token service {host} refuses access (403); {}", session.advice());
                let refusal = fail(&Fault::new(Code::Denied, Counter::Denied, message));
                Err(Box::new(refusal.growing(growth)))
            }
            429 => {
                let message = format!("the token service {host} limits requests (429); try again later");
                Err(fail(&Fault::new(Code::TooManyRequests, Counter::UpstreamFailed, message).retrying(headers)))
            }
            status => {
                let fault = Fault::upstream(format!("the token service {host} answered {status}; try again later"));
                Err(fail(&fault.retrying(headers)))
            }
        }
    }
}
