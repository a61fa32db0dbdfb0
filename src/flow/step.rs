//! The events of a request and the steps that follow: all that the host has to know of the flow.

use super::body::Body;
use super::reply::Reply;
use crate::text::headers::{HeaderChange, Headers};

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The upstream's status and headers are here.
    ResponseHeaders {
        /// `:status`, and what [`Exchange::suffices`](super::Exchange::suffices) names or else all response headers.
        headers: Headers<'a>,
        /// There is no body.
        end: bool,
    },
    /// A piece of the response's body.
    ResponseBody {
        /// The bytes.
        piece: &'a [u8],
        /// It is the last one.
        end: bool,
    },
    /// A callout was answered; `None` if the connection broke or the answer was cut off.
    CalloutAnswered(Option<Answer<'a>>),
    /// A callout cannot be made, or its answer cannot be taken: waiting requests hold too much on this worker already.
    Overfull,
}

/// The answer to a callout.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// All response headers, `:status` included.
    pub headers: Headers<'a>,
    /// The body.
    pub body: &'a Body,
}

impl<'a> Event<'a> {
    /// The headers with which upstream answers.
    pub(super) fn answer_headers(&self) -> Option<Headers<'a>> {
        match self {
            Self::ResponseHeaders { headers, .. } => Some(*headers),
            Self::CalloutAnswered(Some(answer)) => Some(answer.headers),
            Self::CalloutAnswered(None) | Self::ResponseBody { .. } | Self::Overfull => None,
        }
    }
}

/// A request of MetaHub's own to an upstream cluster. Identical callouts under way at the same time may be sent once:
/// the same `Authorization` gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Callout {
    /// The Envoy cluster.
    pub cluster: String,
    /// All headers, pseudo-headers first.
    pub headers: Vec<(&'static str, String)>,
}

impl Callout {
    /// The length of its text, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.cluster.len() + self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }
}

/// The next step. There is always exactly one.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Let the headers go on with these changes.
    Continue(Vec<HeaderChange>),
    /// Let the request that is held go on with these changes.
    Resume(Vec<HeaderChange>),
    /// Keep what is here and wait for the rest.
    Hold,
    /// Keep what is here, and ask upstream.
    CallOut(Callout),
    /// Answer the client instead of upstream.
    Reply(Reply),
    /// Break off the answer that is on its way to the client; the reply says why.
    Cut(Reply),
}
