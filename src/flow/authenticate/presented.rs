//! The credentials in a client's `Authorization`.

use crate::auth::credentials::Presented;
use crate::flow::challenge::Challenge;
use crate::flow::local_reply::{LocalReply, rejected, target};
use crate::flow::report::Counter;
use crate::text::headers::Headers;

/// The credentials that the client presents.
pub(in crate::flow) fn presented(headers: Headers<'_>) -> Result<Presented, Box<LocalReply>> {
    Presented::decode(headers.all("authorization")).map_err(|error| malformed(&error.to_string(), headers))
}

pub(super) fn malformed(problem: &str, headers: Headers<'_>) -> Box<LocalReply> {
    let line = format!("401 {}: {problem}", target(headers));
    rejected(Challenge::basic().reply(problem), Counter::Unauthorized, line)
}
