//! A request from its first step to its last: its session with the registry, and the state of what is undecided.

use super::authorizing::{Authorizing, Outgoing};
use super::awaited_form::AwaitedForm;
use super::decision::{Context, Decision, Next, Undecided};
use super::local_reply::{LocalReply, overloaded};
use super::report::{Counter, Report, Reporting};
use super::session::Session;
use super::step::{Event, Step};
use crate::auth::credentials::Presented;
use crate::oci::errors::Code;
use crate::oci::reference::Repository;
use crate::store::cache::CacheGrowth;
use crate::store::resources::Resources;
use crate::text::headers::{HeaderChange, Headers};

/// Where a request stands.
#[derive(Debug, Default)]
pub struct Exchange(Way);

#[derive(Debug, Default)]
enum Way {
    /// Everything is decided.
    #[default]
    Done,
    /// Nothing is left to decide, but a registry that refuses MetaHub must not challenge the client.
    Passing(Session),
    /// Upstream's next answer decides more.
    Undecided(Session, Box<dyn Undecided>),
    /// The request to upstream waits for a registry token.
    Authorizing(Session, Box<Authorizing>),
    /// The request for a ticket waits for the rest of its form.
    Form(AwaitedForm),
}

/// The effects of an event.
#[derive(Debug)]
pub struct Effects {
    /// The state afterwards.
    pub exchange: Exchange,
    /// The step to take.
    pub step: Step,
    /// The reports to count and log.
    pub reports: Vec<Report>,
}

impl From<LocalReply> for Effects {
    fn from(LocalReply { reply, reports }: LocalReply) -> Self {
        Self { exchange: Exchange::default(), step: Step::Reply(reply), reports }
    }
}

impl Effects {
    fn new(exchange: Way, step: Step) -> Self {
        Self { exchange: Exchange(exchange), step, reports: Vec::new() }
    }

    /// The request waits for its form.
    pub(super) fn awaiting(form: AwaitedForm) -> Self {
        Self::new(Way::Form(form), Step::Hold)
    }

    /// The effects of a decision under this session: a request that goes upstream gets its `Authorization`.
    fn of(mut session: Session, Decision { next, mut step, reports }: Decision) -> Self {
        match &mut step {
            Step::Resume(changes) => session.complete(changes),
            Step::CallOut(callout) => session.authorize_callout(callout),
            Step::Reply(_) | Step::Continue(_) | Step::Hold | Step::Cut(_) => {}
        }
        let way = match next {
            Next::Done => Way::Done,
            Next::Pass => Way::Passing(session),
            Next::Undecided(state) => Way::Undecided(session, state),
        };
        Self { exchange: Exchange(way), step, reports }
    }
}

impl Reporting for Effects {
    fn reports_mut(&mut self) -> &mut Vec<Report> {
        &mut self.reports
    }
}

impl Exchange {
    /// Carries out the decision about a request's headers. A request that goes upstream gets the registry's
    /// `Authorization`, through the token service if need be, and never the client's. `path` is the client's.
    pub(super) fn begin(
        resources: &dyn Resources,
        mut session: Session,
        presented: &Presented,
        repository: Option<&Repository>,
        path: &str,
        decision: Decision,
    ) -> Effects {
        let Decision { next, step, reports } = decision;
        let outgoing = match step {
            Step::Continue(changes) => Outgoing::Request(changes),
            Step::CallOut(callout) => Outgoing::Callout(callout),
            step => return Effects::of(session, Decision { next, step, reports }),
        };
        let goes_itself = matches!(outgoing, Outgoing::Request(_));
        if let Some(request) = session.authorize(resources, presented, repository, path, goes_itself) {
            let authorizing = Authorizing::new(*request, next, outgoing, reports);
            return Self::authorize(session, authorizing);
        }
        let step = match outgoing {
            Outgoing::Request(mut changes) => {
                session.complete(&mut changes);
                Step::Continue(changes)
            }
            Outgoing::Callout(callout) => Step::CallOut(callout),
        };
        Effects::of(session, Decision { next, step, reports })
    }

    /// Asks for a registry token first.
    fn authorize(session: Session, authorizing: Authorizing) -> Effects {
        let callout = authorizing.callout();
        Effects::new(Way::Authorizing(session, Box::new(authorizing)), Step::CallOut(callout))
    }

    /// Takes the request one event further.
    #[must_use]
    pub fn advance(self, resources: &dyn Resources, event: &Event<'_>) -> Effects {
        match event {
            Event::Overfull if !self.is_done() => {
                let message = "MetaHub has too many requests under way; try again later";
                (*overloaded(Code::Unavailable, message, "overfull")).into()
            }
            // Envoy itself answers a request that has not gone upstream, or has been answered (408, 504).
            Event::ResponseHeaders { .. } if self.holds_request() => {
                Effects::new(Way::Done, Step::Continue(Vec::new()))
            }
            event => match self.0 {
                Way::Done => Effects::new(Way::Done, Step::Continue(Vec::new())),
                Way::Passing(session) => pass(session, resources, event),
                Way::Undecided(session, state) => decide(session, state, resources, event),
                Way::Authorizing(session, authorizing) => redeem(session, authorizing, resources, event),
                Way::Form(form) => Effects::awaiting(form),
            },
        }
    }

    /// Whether the request's body is a form that is to be shown: [`hold_form`](Self::hold_form) as it grows, and
    /// [`read_form`](super::read_form) at its end. The host keeps it meanwhile.
    #[must_use]
    pub const fn awaits_form(&self) -> bool {
        matches!(self.0, Way::Form(_))
    }

    /// So many bytes of the form are held by now, and it goes on. `headers` are the request's.
    #[must_use]
    pub fn hold_form(self, bytes: usize, headers: Headers<'_>) -> Effects {
        let Way::Form(form) = self.0 else { return Effects::new(self.0, Step::Hold) };
        form.hold(bytes, headers).map_or_else(|refusal| (*refusal).into(), Effects::awaiting)
    }

    /// The form that the request waits for; the effects of no event if it waits for none.
    pub(super) fn into_form(self) -> Result<AwaitedForm, Box<Effects>> {
        match self.0 {
            Way::Form(form) => Ok(form),
            way => Err(Box::new(Effects::new(way, Step::Hold))),
        }
    }

    /// Whether everything is decided.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.0, Way::Done)
    }

    /// The headers, besides the status, that are needed of upstream's response with this status; `None` for all.
    #[must_use]
    pub fn suffices(&self, status: &[u8]) -> Option<&'static [&'static str]> {
        match &self.0 {
            // Every answer passes as it is, except a challenge.
            Way::Passing(session) if status != b"401" => Some(session.paths().named_in(status)),
            // Paths in it are turned back.
            Way::Undecided(session, state) if state.passes() && !session.paths().named_in(status).is_empty() => None,
            Way::Undecided(_, state) => state.suffices(status),
            _ => None,
        }
    }

    /// Whether the request waits for a callout. Its body, should it have one, waits with it.
    #[must_use]
    pub fn holds_request(&self) -> bool {
        match &self.0 {
            Way::Authorizing(..) | Way::Form(_) => true,
            Way::Undecided(_, state) => state.holds_request(),
            Way::Passing(_) | Way::Done => false,
        }
    }

    /// Whether the response's body is to be shown, piece by piece, before it goes on.
    #[must_use]
    pub fn checks_body(&self) -> bool {
        matches!(&self.0, Way::Undecided(_, state) if state.checks_body())
    }
}

/// A response that is not looked into. A challenge belongs to a 401, and a client that sees one elsewhere may send its
/// password to the host that it names.
fn pass(session: Session, resources: &dyn Resources, event: &Event<'_>) -> Effects {
    let Event::ResponseHeaders { headers, .. } = event else {
        return Effects::new(Way::Passing(session), Step::Continue(Vec::new()));
    };
    let status = headers.status();
    let growth = session.on_denial(resources, status);
    let effects = match session.refusal(resources, status, *headers) {
        Some(refusal) => refusal.into(),
        None => {
            let mut changes = vec![HeaderChange::Remove("www-authenticate".into())];
            changes.extend(session.paths().changes(*headers));
            Effects::new(Way::Done, Step::Continue(changes))
        }
    };
    effects.growing(growth)
}

/// Upstream's answer is judged first, in one way for all requests: an old token is renewed and what was asked for is
/// asked for again; a refusal of the caller ends the request. All else is the state's to decide.
fn decide(
    mut session: Session,
    mut state: Box<dyn Undecided>,
    resources: &dyn Resources,
    event: &Event<'_>,
) -> Effects {
    let mut growth = CacheGrowth::default();
    if let Some(headers) = event.answer_headers() {
        let status = headers.status();
        growth = session.on_denial(resources, status);
        // An old token is looked at first: its refusal says nothing of the caller.
        if session.refuses_kept_token(resources, status)
            && let Some(callout) = state.repeat(&session)
            && let Some(request) = session.renew(resources, status)
        {
            let authorizing = Authorizing::new(request, Next::Undecided(state), Outgoing::Callout(callout), Vec::new());
            return Exchange::authorize(session, authorizing).reporting(Report::count(Counter::TokenRefused));
        }
        if let Some(refusal) = session.refusal(resources, status, headers) {
            return Effects::from(refusal).growing(growth);
        }
    }
    let passes = state.passes();
    let mut decision = state.advance(Context { resources, session: &session }, event);
    if passes && let (Event::ResponseHeaders { headers, .. }, Step::Continue(changes)) = (event, &mut decision.step) {
        changes.extend(session.paths().changes(*headers));
    }
    Effects::of(session, decision).growing(growth)
}

/// The token service's answer: what waits for it goes upstream now.
fn redeem(
    mut session: Session,
    authorizing: Box<Authorizing>,
    resources: &dyn Resources,
    event: &Event<'_>,
) -> Effects {
    let Event::CalloutAnswered(answer) = event else {
        return Effects::new(Way::Authorizing(session, authorizing), Step::Hold);
    };
    match authorizing.redeem(resources, &session, *answer) {
        Ok(token) => {
            session.present(token);
            let Authorizing { next, outgoing, reports, .. } = *authorizing;
            let step = match outgoing {
                Outgoing::Request(changes) => Step::Resume(changes),
                Outgoing::Callout(callout) => Step::CallOut(callout),
            };
            Effects::of(session, Decision { next, step, reports })
        }
        Err(refusal) => (*refusal).into(),
    }
}
