//! MetaHub's own answers: the reply, the counter, and the line for operators.

use super::report::{Counter, Report, Reporting};
use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::text::headers::Headers;

/// An answer of MetaHub's own (Envoy calls it a local reply), with its reports.
#[derive(Debug)]
pub(super) struct LocalReply {
    pub(super) reply: Reply,
    pub(super) reports: Vec<Report>,
}

impl From<Reply> for LocalReply {
    fn from(reply: Reply) -> Self {
        Self { reply, reports: Vec::new() }
    }
}

impl Reporting for LocalReply {
    fn reports_mut(&mut self) -> &mut Vec<Report> {
        &mut self.reports
    }
}

/// A refusal with a log line of its own.
#[cold]
pub(super) fn rejected(reply: Reply, counter: Counter, line: String) -> Box<LocalReply> {
    Box::new(LocalReply::from(reply).reporting(Report::fault(counter, line)))
}

/// A refusal whose message serves the client and the log alike.
#[cold]
pub(super) fn refuse(code: Code, counter: Counter, message: &str) -> Box<LocalReply> {
    let line = format!("{} {message}", code.status());
    rejected(Reply::error(code, message), counter, line)
}

/// A refusal because a worker has too much under way; one log line an hour says so.
#[cold]
pub(super) fn overloaded(code: Code, message: &str, topic: &str) -> Box<LocalReply> {
    let reply = Reply::error(code, message).with("retry-after", "1");
    let report = Report::fault(Counter::Overloaded, format!("{} {message}", code.status()));
    Box::new(LocalReply::from(reply).reporting(Report { topic: Some(topic.to_owned()), ..report }))
}

/// Method and path as a log line may show them: escaped, without the query (it may be signed), not endless.
pub(super) fn target(headers: Headers<'_>) -> String {
    let show = |name| String::from_utf8_lossy(headers.first(name).unwrap_or_default()).into_owned();
    let path = show(":path");
    let path: String = path.split('?').next().unwrap_or_default().chars().take(200).collect();
    format!("{} {}", show(":method").escape_debug(), path.escape_debug())
}
