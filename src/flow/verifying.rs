//! An answer of MetaHub's own that says something about machine types, and so waits for the registry's answer on the
//! login.

use super::decision::{Context, Decision, Undecided};
use super::fault::Fault;
use super::local_reply::{LocalReply, rejected};
use super::session::Session;
use super::step::{Callout, Event, Step};

/// An answer of MetaHub's own that waits for the registry's answer on the login.
#[derive(Debug)]
pub(super) struct Verifying(LocalReply);

impl Verifying {
    /// Asks the registry by a ping; `answer` is for a login that it accepts.
    pub(super) fn begin(session: &Session, answer: LocalReply) -> Decision {
        Decision::undecided(Self(answer), Step::CallOut(ping(session)))
    }
}

impl Undecided for Verifying {
    fn advance(self: Box<Self>, at: Context<'_>, event: &Event<'_>) -> Decision {
        let Event::CalloutAnswered(answer) = event else {
            return Decision::undecided(*self, Step::Hold);
        };
        let status = answer.map_or(0, |answer| answer.headers.status());
        if status == 200 {
            return self.0.into();
        }
        let session = at.session;
        let message = format!("the registry {} is not available ({status}); try again later", session.registry.host);
        let fault = Fault::upstream(message);
        let line = format!("503 {} (login {:?})", fault.message, session.user);
        (*rejected(fault.reply(&fault.message), fault.counter, line)).into()
    }

    fn repeat(&mut self, session: &Session) -> Option<Callout> {
        Some(ping(session))
    }

    fn holds_request(&self) -> bool {
        true
    }
}

/// A callout that says whether a login is right, once it is authorized.
fn ping(session: &Session) -> Callout {
    let registry = &session.registry;
    let headers =
        vec![(":method", "GET".to_owned()), (":path", "/v2/".to_owned()), (":authority", registry.host.clone())];
    Callout { cluster: registry.cluster.clone(), headers }
}
