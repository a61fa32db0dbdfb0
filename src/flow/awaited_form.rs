//! The form that a request waits for, and the refusals of forms.

use std::sync::Arc;

use super::local_reply::{LocalReply, overloaded, rejected, target};
use super::report::Counter;
use super::worker::FormBytes;
use crate::config::Registry;
use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::request::form::MAX_FORM;
use crate::text::headers::Headers;
use crate::text::json::json;

/// OAuth's word for a request that breaks its rules (RFC 6749 §5.2).
pub(super) const INVALID_REQUEST: &str = "invalid_request";

/// The form that a request waits for. The host holds it.
#[derive(Debug)]
pub(super) struct AwaitedForm {
    /// The registry that the login in it is for.
    pub(super) registry: Arc<Registry>,
    pub(super) bytes: FormBytes,
}

impl AwaitedForm {
    /// So many bytes of it are held by now.
    pub(super) fn hold(mut self, bytes: usize, headers: Headers<'_>) -> Result<Self, Box<LocalReply>> {
        if bytes > MAX_FORM {
            return Err(too_long(headers));
        }
        if !self.bytes.set(bytes) {
            let message = "MetaHub waits for the rest of too many forms; try again later";
            return Err(overloaded(Code::Unavailable, message, "forms"));
        }
        Ok(self)
    }
}

#[cold]
pub(super) fn too_long(headers: Headers<'_>) -> Box<LocalReply> {
    refuse_form(413, INVALID_REQUEST, "the form is above 16 KiB", headers)
}

/// A refusal in OAuth's form (RFC 6749 §5.2) and in the registry's, so that each client shows it.
#[cold]
pub(super) fn refuse_form(status: u16, error: &str, problem: &str, headers: Headers<'_>) -> Box<LocalReply> {
    let code = if status == 413 { Code::SizeInvalid } else { Code::Unsupported };
    let document = json!({
        "error": error,
        "error_description": problem,
        "errors": vec![json!({ "code": code.as_str(), "message": problem })],
    });
    let reply = Reply::json(status, &document).with("cache-control", "no-store");
    rejected(reply, Counter::Refused, format!("{status} {}: {problem}", target(headers)))
}
