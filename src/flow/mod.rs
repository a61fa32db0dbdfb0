//! The way of a request as a state machine that consumes itself: (state, event) → (state, step).
//!
//! It knows nothing of Envoy and does no I/O: `host` turns callbacks into events and steps into calls of the
//! host, tests do the same with values. The request side is [`begin`], the response side [`Exchange::advance`].

mod accept;
mod answer;
mod arrival;
mod authorizing;
pub mod body;
mod caller;
mod callers;
mod challenge;
mod explain;
mod fault;
mod fetch;
mod forwarded;
mod manifest_by_digest;
mod manifest_by_tag;
mod refusal;
pub mod reply;
mod report;
mod request;
mod standing;
mod step;
mod ticket;
mod token;
mod transfer;
mod verifying;
mod worker;

pub use arrival::{Arrival, source_address};
pub use authorizing::Authorizing;
pub use explain::Explain;
pub use fetch::MAX_MANIFEST;
pub use manifest_by_digest::ManifestByDigest;
pub use manifest_by_tag::ManifestByTag;
pub use report::{Counter, Report};
pub use request::{begin, may_bring_a_body, unexpected_body};
use standing::Judgement;
pub use standing::Upstream;
pub use step::{Answer, Callout, Event, Step};
pub use transfer::Transfer;
pub use verifying::Verifying;
pub use worker::WorkerState;

use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::store::cache::CacheGrowth;
use crate::store::resources::Resources;

/// Where a request stands.
#[derive(Debug)]
pub enum Exchange {
    /// Nothing is left to decide, but an upstream that refuses MetaHub must not challenge the client.
    Passing(Upstream),
    /// A request that waits for a token.
    Authorizing(Box<Authorizing>),
    /// An answer that waits for the registry's word on the login.
    Verifying(Box<Verifying>),
    /// A manifest by tag, on its way through the steps of [`ManifestByTag`].
    ManifestByTag(Box<ManifestByTag>),
    /// A manifest by digest, on its way through the steps of [`ManifestByDigest`].
    ManifestByDigest(Box<ManifestByDigest>),
    /// A large manifest that passes from upstream and is checked on its way.
    Transferring(Box<Transfer>),
    /// An explanation, on its way through the steps of [`Explain`].
    Explaining(Box<Explain>),
    /// Everything is decided.
    Done,
}

/// What comes of an event.
#[derive(Debug)]
pub struct Effects {
    /// The state afterwards.
    pub exchange: Exchange,
    /// What to do.
    pub step: Step,
    /// What to count and log.
    pub reports: Vec<Report>,
    /// The registry has accepted the caller's credential before, so that this needs no word of it.
    proven: bool,
}

impl Effects {
    fn new(exchange: Exchange, step: Step) -> Self {
        Self { exchange, step, reports: Vec::new(), proven: false }
    }

    fn reply(reply: Reply) -> Self {
        Self::new(Exchange::Done, Step::Reply(reply))
    }

    fn reporting(mut self, report: Report) -> Self {
        self.reports.push(report);
        self
    }

    /// With how the cache grew, which operators see as a gauge: what is left out once is wrong for ever.
    fn growing(mut self, growth: CacheGrowth) -> Self {
        let reports = [(Counter::CacheBytes, growth.bytes), (Counter::CacheEvicted, growth.evicted)];
        let reports = reports.into_iter().filter(|(_, amount)| *amount != 0);
        self.reports.extend(reports.map(|(counter, amount)| Report::amount(counter, amount)));
        self
    }
}

impl Exchange {
    /// Where a request that goes upstream keeps its standing there.
    fn upstream_mut(&mut self) -> Option<&mut Upstream> {
        match self {
            Self::Passing(upstream) => Some(upstream),
            Self::ManifestByTag(manifest) => Some(&mut manifest.upstream),
            Self::ManifestByDigest(manifest) => Some(&mut manifest.upstream),
            Self::Explaining(explain) => Some(&mut explain.upstream),
            Self::Verifying(verifying) => Some(&mut verifying.upstream),
            Self::Transferring(transfer) => Some(&mut transfer.upstream),
            Self::Authorizing(_) | Self::Done => None,
        }
    }

    /// One event further.
    #[must_use]
    pub fn advance(mut self, resources: &dyn Resources, event: &Event<'_>) -> Effects {
        match event {
            Event::Overfull if !matches!(self, Self::Done) => return overfull(),
            // What answers a request that has not gone upstream, or has been answered, is Envoy itself (408, 504).
            Event::ResponseHeaders { .. } if self.holds_request() => {
                return Effects::new(Self::Done, Step::Continue(Vec::new()));
            }
            _ => {}
        }
        let growth = self.upstream_mut().filter(|_| event.is_denied()).map(|upstream| upstream.distrust(resources));
        let effects = self.advance_by(resources, event);
        if let Some(growth) = growth { effects.growing(growth) } else { effects }
    }

    fn advance_by(self, resources: &dyn Resources, event: &Event<'_>) -> Effects {
        match (self, event) {
            (Self::Passing(upstream), Event::ResponseHeaders { headers, .. }) => upstream.pass(resources, *headers),
            (Self::Transferring(transfer), event) => transfer.advance(resources, event),
            (Self::Authorizing(authorizing), event) => authorizing.advance(resources, event),
            (Self::Verifying(verifying), event) => verifying.advance(resources, event),
            (Self::ManifestByTag(manifest), event) => manifest.advance(resources, event),
            (Self::ManifestByDigest(manifest), event) => manifest.advance(resources, event),
            (Self::Explaining(explain), event) => explain.advance(resources, event),
            (exchange, _) => Effects::new(exchange, Step::Continue(Vec::new())),
        }
    }

    /// The headers, besides the status, that are needed of upstream's response with this status; `None` for all.
    #[must_use]
    pub fn suffices(&self, status: &[u8]) -> Option<&'static [&'static str]> {
        match self {
            // All that passes but a challenge.
            Self::Passing(_) if status != b"401" => Some(&[]),
            Self::ManifestByDigest(_) if status == b"200" => Some(&[]),
            Self::ManifestByTag(_) if status == b"200" => Some(&["docker-content-digest"]),
            _ => None,
        }
    }

    /// Whether the request waits for a callout. Its body, should it have one, waits with it.
    #[must_use]
    pub const fn holds_request(&self) -> bool {
        match self {
            Self::Authorizing(_) | Self::Verifying(_) | Self::Explaining(_) => true,
            Self::ManifestByTag(manifest) => manifest.holds_request(),
            Self::ManifestByDigest(manifest) => manifest.holds_request(),
            Self::Passing(_) | Self::Transferring(_) | Self::Done => false,
        }
    }
}

/// The worker holds too much already.
#[cold]
fn overfull() -> Effects {
    let message = "MetaHub has too many requests under way; try again later";
    let reply = Reply::error(Code::Unavailable, message).with("retry-after", "1");
    let report = Report::fault(Counter::Overloaded, format!("503 {message}"));
    Effects::reply(reply).reporting(Report { topic: Some("overfull".to_owned()), ..report })
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn readme_names_every_counter() {
        let readme = include_str!("../../README.md");
        for name in Counter::ALL.iter().map(|counter| counter.name()) {
            let short = name.strip_prefix("metahub").unwrap();
            let named = readme.contains(&format!("`wasmcustom.{name}`")) || readme.contains(&format!("`{short}`"));
            assert!(named, "{name}");
        }
    }
}
