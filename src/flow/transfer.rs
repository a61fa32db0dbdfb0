//! A large manifest of a tag: the client's own request fetches it by digest, and it passes from upstream instead of
//! being an answer of MetaHub's own. So Envoy slows upstream down for a client that reads slowly. It would hold an
//! answer of MetaHub's own whole, for each of a thousand such clients.
//!
//! The manifest is checked on its way: if size, digest and media type are not the descriptor's, the answer is cut off
//! before its last piece.

use super::decision::{Context, Decision, Next, Undecided};
use super::fault::Fault;
use super::fetch;
use super::report::Report;
use super::session::Session;
use super::step::{Callout, Event, Step};
use crate::oci::digest::Verifier;
use crate::oci::index::Descriptor;
use crate::text::headers::{HeaderChange, Headers};

/// Headers of upstream's answer that stay; MetaHub sets the others itself or leaves them out.
const KEPT: [&str; 7] = [":status", "accept-ranges", "age", "connection", "content-length", "date", "server"];

/// A manifest that passes.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) descriptor: Descriptor,
    /// The headers about the manifest.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The reports to count and log if upstream has it.
    pub(super) reports: Vec<Report>,
    /// The image and the machine type, for messages.
    pub(super) what: String,
    /// Whether the client asked with HEAD.
    pub(super) head: bool,
    pub(super) progress: Progress,
}

/// The progress of a transfer.
#[derive(Debug, Default)]
pub(super) enum Progress {
    /// The response has not begun.
    #[default]
    Asked,
    /// A part of the body has passed: its checksum so far, and its length in bytes.
    Passing(Verifier, u64),
}

impl Undecided for Transfer {
    fn advance(mut self: Box<Self>, at: Context<'_>, event: &Event<'_>) -> Decision {
        match (std::mem::take(&mut self.progress), event) {
            (Progress::Asked, Event::ResponseHeaders { headers, end }) => self.on_headers(at, *headers, *end),
            (Progress::Passing(verifier, received), Event::ResponseBody { piece, end }) => {
                self.on_piece(at, verifier, received, piece, *end)
            }
            (progress, _) => {
                self.progress = progress;
                Decision::new(Next::Undecided(self), Step::Hold)
            }
        }
    }

    fn repeat(&mut self, _: &Session) -> Option<Callout> {
        None
    }

    fn holds_request(&self) -> bool {
        false
    }

    fn checks_body(&self) -> bool {
        true
    }
}

impl Transfer {
    fn on_headers(mut self: Box<Self>, at: Context<'_>, headers: Headers<'_>, end: bool) -> Decision {
        let Descriptor { digest, size, .. } = &self.descriptor;
        let checked = fetch::found(at.session, digest.as_str(), headers)
            .and_then(|()| fetch::has_type(&self.descriptor, headers))
            .and_then(|()| match headers.text("content-length") {
                Some(length) if length != size.to_string() => Err(self.wrong_size(length)),
                _ if end && !self.head => Err(self.wrong_size("no")),
                _ => Ok(()),
            });
        if let Err(fault) = checked {
            return self.fail(at, &fault);
        }
        let mut changes: Vec<HeaderChange> = Vec::new();
        for (name, _) in headers.0.iter().filter(|(name, _)| !KEPT.contains(&name.as_str())) {
            let change = HeaderChange::Remove(name.clone().into());
            if !changes.contains(&change) {
                changes.push(change);
            }
        }
        changes
            .extend(std::mem::take(&mut self.headers).into_iter().map(|(name, value)| HeaderChange::Set(name, value)));
        let (reports, verifier) = (std::mem::take(&mut self.reports), Verifier::new(digest));
        let next = if self.head {
            Next::Done
        } else {
            self.progress = Progress::Passing(verifier, 0);
            Next::Undecided(self)
        };
        Decision { next, step: Step::Continue(changes), reports }
    }

    fn on_piece(
        mut self: Box<Self>,
        at: Context<'_>,
        mut verifier: Verifier,
        received: u64,
        piece: &[u8],
        end: bool,
    ) -> Decision {
        verifier.update(piece);
        let received = received.saturating_add(piece.len() as u64);
        let Descriptor { digest, size, .. } = &self.descriptor;
        if received > *size || (end && received < *size) {
            let fault = self.wrong_size(&received.to_string());
            return self.cut(at, &fault);
        }
        // Envoy announces the end after the last byte, with an empty piece. That would be too late: a client that was
        // told the length has the whole of it.
        if received == *size && !piece.is_empty() && !verifier.clone().matches() {
            let fault = Fault::invalid(format!("the manifest behind {digest} hashes to something else"));
            return self.cut(at, &fault);
        }
        if end {
            return Decision::new(Next::Done, Step::Continue(Vec::new()));
        }
        self.progress = Progress::Passing(verifier, received);
        Decision::new(Next::Undecided(self), Step::Continue(Vec::new()))
    }

    fn wrong_size(&self, bytes: &str) -> Fault {
        let Descriptor { digest, size, .. } = &self.descriptor;
        Fault::invalid(format!("the manifest {digest} has {bytes} bytes, not {size} as the index says"))
    }

    fn fail(&self, at: Context<'_>, fault: &Fault) -> Decision {
        at.session.fail(fault, &format!("{}: {}", self.what, fault.message)).into()
    }

    /// Cuts off an answer of which the client has the headers and a part of the body already.
    fn cut(&self, at: Context<'_>, fault: &Fault) -> Decision {
        let Decision { step, next, reports } = self.fail(at, fault);
        let step = if let Step::Reply(reply) = step { Step::Cut(reply) } else { step };
        Decision { next, step, reports }
    }
}
