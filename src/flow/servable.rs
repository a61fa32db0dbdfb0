//! The requests that MetaHub serves at all, by method, path and body: the same for all clients.

use super::exchange::Effects;
use super::local_reply::{LocalReply, refuse, rejected, target};
use super::report::Counter;
use super::{onward, token_endpoint};
use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::oci::reference::InvalidReference;
use crate::request::said::Said;
use crate::request::{InvalidRequest, Method, Request};
use crate::text::headers::Headers;

/// A request that MetaHub serves.
pub(super) struct Servable<'a> {
    /// The path as the client has sent it.
    pub(super) path: &'a str,
    pub(super) method: Method,
    pub(super) request: Request,
    /// The machine type that the path says, if it says one.
    pub(super) said: Option<Said<'a>>,
}

impl<'a> Servable<'a> {
    /// `word` is the one behind which a path may say a machine type.
    pub(super) fn of(headers: Headers<'a>, word: Option<&str>) -> Result<Self, Box<LocalReply>> {
        let method = Method::parse(headers.first(":method").unwrap_or_default());
        let path = headers.text(":path").unwrap_or_default();
        let said = word.and_then(|word| Said::of(path, word));
        let request = match &said {
            Some(said) => Request::parse(said.path().as_bytes()),
            None => Request::parse(headers.first(":path").unwrap_or_default()),
        };
        if request == Ok(Request::Token) && method != Ok(Method::Get) {
            return Err(token_endpoint::other_method());
        }
        // A method is allowed or not where something is.
        if let Err(error @ InvalidRequest::NotServed) = request {
            return Err(invalid(error, headers));
        }
        let method = method.map_err(|error| invalid(error, headers))?;
        let request = request.map_err(|error| invalid(error, headers))?;
        if brings_a_body(headers) {
            return Err(bodied(headers));
        }
        if matches!(request, Request::Manifest(..)) && !onward::names_a_host(path) {
            let message = "ns in the query is not the name of a registry";
            return Err(refuse(Code::NameInvalid, Counter::Refused, message));
        }
        Ok(Self { path, method, request, said })
    }
}

/// Whether a request announces a body. Nothing that MetaHub serves has one, and Envoy would hold it while the request
/// waits.
fn brings_a_body(headers: Headers<'_>) -> bool {
    headers.has("transfer-encoding") || headers.first("content-length").is_some_and(|length| length != b"0")
}

/// Whether the headers alone do not tell if a request brings a body: true for one that is to be served and has no
/// length.
#[must_use]
pub fn may_bring_a_body(headers: Headers<'_>) -> bool {
    Method::parse(headers.first(":method").unwrap_or_default()).is_ok() && !headers.has("content-length")
}

/// Refuses a request because of its body.
#[must_use]
pub fn unexpected_body(headers: Headers<'_>) -> Effects {
    (*bodied(headers)).into()
}

fn bodied(headers: Headers<'_>) -> Box<LocalReply> {
    let message = "this request must not have a body";
    let line = format!("400 {}: {message}", target(headers));
    rejected(Reply::error(Code::SizeInvalid, message), Counter::Refused, line)
}

fn invalid(error: InvalidRequest, headers: Headers<'_>) -> Box<LocalReply> {
    let code = match error {
        InvalidRequest::Unsupported => Code::Unsupported,
        InvalidRequest::NotServed => Code::NotServed,
        InvalidRequest::Name(InvalidReference::Repository) | InvalidRequest::Image => Code::NameInvalid,
        InvalidRequest::Name(InvalidReference::Tag) => Code::TagInvalid,
        InvalidRequest::Name(InvalidReference::Digest) => Code::DigestInvalid,
    };
    let line = format!("{} {}: {error}", code.status(), target(headers));
    let reply = match code {
        Code::Unsupported => Reply::error(code, &error.to_string()).with("allow", "GET, HEAD"),
        _ => Reply::error(code, &error.to_string()),
    };
    rejected(reply, Counter::Refused, line)
}
