//! Refusals of MetaHub's own: the reply, what is counted, and the line for operators.

use super::{Counter, Effects, Report};
use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::text::headers::Headers;

/// A refusal with a log line of its own.
#[cold]
pub(super) fn rejected(reply: Reply, counter: Counter, line: String) -> Box<Effects> {
    Box::new(Effects::reply(reply).reporting(Report::fault(counter, line)))
}

/// A refusal whose message serves the client and the log alike.
#[cold]
pub(super) fn refuse(code: Code, counter: Counter, message: &str) -> Box<Effects> {
    let line = format!("{} {message}", code.status());
    rejected(Reply::error(code, message), counter, line)
}

/// Method and path as a log line may show them: escaped, without the query (it may be signed), not endless.
pub(super) fn target(headers: Headers<'_>) -> String {
    let show = |name| String::from_utf8_lossy(headers.first(name).unwrap_or_default()).into_owned();
    let path = show(":path");
    let path: String = path.split('?').next().unwrap_or_default().chars().take(200).collect();
    format!("{} {}", show(":method").escape_debug(), path.escape_debug())
}
