//! The decision about an event, and the state of a request that is still undecided afterwards.

use std::fmt;

use super::local_reply::LocalReply;
use super::report::{Report, Reporting};
use super::session::Session;
use super::step::{Callout, Event, Step};
use crate::oci::reference::Repository;
use crate::store::cache::CacheScope;
use crate::store::resources::Resources;

/// The context in which a request is decided.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) resources: &'a dyn Resources,
    pub(super) session: &'a Session,
}

impl<'a> Context<'a> {
    /// The part of the cache that is of this repository.
    pub(super) fn scope(self, repository: &'a Repository) -> CacheScope<'a> {
        self.session.registry.scope(repository)
    }
}

/// A request about which upstream's next answer decides something.
pub(super) trait Undecided {
    /// Takes the request one event further. An answer that refuses the caller never comes here.
    fn advance(self: Box<Self>, at: Context<'_>, event: &Event<'_>) -> Decision;

    /// The callout to send once more with another token: the one that is under way, or one that replaces the client's
    /// own request, which has gone. `None` where only the client's own request will do.
    fn repeat(&mut self, session: &Session) -> Option<Callout>;

    /// Whether the client's request itself waits, and has not gone upstream.
    fn holds_request(&self) -> bool;

    /// The headers, besides the status, that are needed of upstream's response with this status; `None` for all.
    fn suffices(&self, _status: &[u8]) -> Option<&'static [&'static str]> {
        None
    }

    /// Whether the answer to the client's own request goes to the client as it is, or not at all.
    fn passes(&self) -> bool {
        false
    }

    /// Whether it looks at the response's body on its way to the client.
    fn checks_body(&self) -> bool {
        false
    }
}

impl fmt::Debug for dyn Undecided + '_ {
    /// Nothing of the state: as a supertrait `Debug` would keep the code that prints all states in the filter, where
    /// nothing prints them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Undecided")
    }
}

/// The state of a request after an event.
#[derive(Debug)]
pub(super) enum Next {
    /// Everything is decided.
    Done,
    /// Nothing is left to decide, but a registry that refuses MetaHub must not challenge the client.
    Pass,
    /// The next event decides more.
    Undecided(Box<dyn Undecided>),
}

/// The decision about an event.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) next: Next,
    /// The step to take. `Authorization` for upstream is not in it: the exchange adds it.
    pub(super) step: Step,
    pub(super) reports: Vec<Report>,
}

impl Decision {
    /// Whether the answer to the client's own request goes to the client as it is, or not at all.
    pub(super) fn passes(&self) -> bool {
        match &self.next {
            Next::Done => false,
            Next::Pass => true,
            Next::Undecided(state) => state.passes(),
        }
    }

    pub(super) fn new(next: Next, step: Step) -> Self {
        Self { next, step, reports: Vec::new() }
    }

    /// This step, and the next event decides more.
    pub(super) fn undecided(state: impl Undecided + 'static, step: Step) -> Self {
        Self::new(Next::Undecided(Box::new(state)), step)
    }
}

impl Reporting for Decision {
    fn reports_mut(&mut self) -> &mut Vec<Report> {
        &mut self.reports
    }
}

impl From<LocalReply> for Decision {
    fn from(LocalReply { reply, reports }: LocalReply) -> Self {
        Self { next: Next::Done, step: Step::Reply(reply), reports }
    }
}
