//! POST to `/metahub/v1/token`: the login comes in a form (OAuth 2.0, RFC 6749 §4.3), for which the request waits.

use std::sync::Arc;

use super::awaited_form::{AwaitedForm, INVALID_REQUEST, refuse_form, too_long};
use super::exchange::{Effects, Exchange};
use super::local_reply::LocalReply;
use super::{Arrival, WorkerState, token_endpoint};
use crate::config::{Config, Registry};
use crate::request::Request;
use crate::request::form::{self, InvalidForm, MAX_FORM};
use crate::store::resources::Resources;
use crate::text::headers::Headers;

/// The media type of forms.
const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Whether these are the headers of a form for the token endpoint.
pub(super) fn is_posted(headers: Headers<'_>) -> bool {
    headers.first(":method") == Some(b"POST")
        && headers.first(":path").is_some_and(|path| Request::parse(path) == Ok(Request::Token))
}

/// Lets a request wait for its form, unless its headers show that it is none. Nothing of it is held before.
pub(super) fn expect(
    registry: &Arc<Registry>,
    worker: &WorkerState,
    headers: Headers<'_>,
) -> Result<Effects, Box<LocalReply>> {
    token_endpoint::issues(registry)?;
    if headers.has("authorization") {
        // Which of two logins is meant is not for MetaHub to choose (RFC 6749 §2.3).
        let problem = "POST takes the login from the form alone: send no Authorization, or ask with GET";
        return Err(refuse_form(400, INVALID_REQUEST, problem, headers));
    }
    let mut types = headers.all("content-type");
    if !types.next().is_some_and(is_form) || types.next().is_some() || headers.is_encoded() {
        let problem = "send the form as application/x-www-form-urlencoded, uncompressed";
        return Err(refuse_form(415, INVALID_REQUEST, problem, headers));
    }
    if headers.number("content-length").unwrap_or_default() > MAX_FORM as u64 {
        return Err(too_long(headers));
    }
    Ok(Effects::awaiting(AwaitedForm { registry: Arc::clone(registry), bytes: worker.form_bytes() }))
}

/// Takes up the form of a request, which is complete. `config` is what the request began with.
#[must_use]
pub fn read_form(
    exchange: Exchange,
    config: &Config,
    resources: &dyn Resources,
    arrival: Arrival<'_>,
    form: &[u8],
) -> Effects {
    match exchange.into_form() {
        Ok(AwaitedForm { registry, .. }) => {
            log_in(&registry, config, resources, arrival, form).unwrap_or_else(|refusal| (*refusal).into())
        }
        Err(effects) => *effects,
    }
}

fn log_in(
    registry: &Arc<Registry>,
    config: &Config,
    resources: &dyn Resources,
    arrival: Arrival<'_>,
    form: &[u8],
) -> Result<Effects, Box<LocalReply>> {
    let headers = arrival.headers;
    if form.len() > MAX_FORM {
        return Err(too_long(headers));
    }
    let credentials = form::login(form).map_err(|error| {
        let word = if error == InvalidForm::GrantType { "unsupported_grant_type" } else { INVALID_REQUEST };
        refuse_form(400, word, &error.to_string(), headers)
    })?;
    token_endpoint::log_in(config, resources, registry, arrival, credentials)
}

/// Whether a content type is that of forms. A form is UTF-8 whatever its `charset` says (WHATWG URL).
fn is_form(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(FORM)
}
