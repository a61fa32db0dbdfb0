//! `/metahub/v1/token`: MetaHub's tickets, where clients may be anonymous (distribution spec, token authentication).
//! The login is in `Authorization` or, of a POST, in a form (`token_form`).
//!
//! Every client gets one, with or without a login, so that one challenge serves both. Scopes are not read: the
//! permissions of a ticket are decided when it is used.

use std::sync::Arc;

use super::authenticate;
use super::caller::Caller;
use super::challenge::Challenge;
use super::exchange::{Effects, Exchange};
use super::local_reply::{LocalReply, refuse, rejected, target};
use super::report::{Counter, Report, Reporting};
use super::verifying::Verifying;
use super::{Arrival, ticket};
use crate::auth::credentials::{Credentials, Presented};
use crate::auth::ticket::{Binding, Ticket};
use crate::config::{Authentication, Config, Registry};
use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::store::resources::Resources;
use crate::text::json::json;

/// The answer to anything but GET and POST.
pub(super) fn other_method() -> Box<LocalReply> {
    let reply = Reply::error(Code::Unsupported, "ask for a token with GET or POST").with("allow", "GET, POST");
    Box::new(reply.into())
}

/// Refuses all requests for tickets where clients may not be anonymous: there, every login is a password.
pub(super) fn issues(registry: &Registry) -> Result<(), Box<LocalReply>> {
    if registry.anonymous.is_none() {
        let message = "MetaHub issues no tokens for this registry; log in with a user name and a password";
        return Err(refuse(Code::Unsupported, Counter::Refused, message));
    }
    Ok(())
}

/// The answer to a client that asks for a ticket, with right credentials or without any.
pub(super) fn issue(
    config: &Config,
    resources: &dyn Resources,
    registry: &Arc<Registry>,
    arrival: Arrival<'_>,
) -> Result<Effects, Box<LocalReply>> {
    let headers = arrival.headers;
    issues(registry)?;
    match authenticate::presented(headers)? {
        Presented::Nothing => {
            let ticket = Ticket { user: String::new(), password: None, binding: Binding::NONE };
            Ok(seal(config, resources, registry, &ticket)?.into())
        }
        Presented::Password(credentials) => log_in(config, resources, registry, arrival, credentials),
        Presented::Token(_) => {
            let problem = "ask for a token with a user name and a password, or without a login";
            let line = format!("401 {}: {problem}", target(headers));
            Err(rejected(Challenge::basic().reply(problem), Counter::Unauthorized, line))
        }
    }
}

/// The answer to a client that asks for a ticket with this login.
pub(super) fn log_in(
    config: &Config,
    resources: &dyn Resources,
    registry: &Arc<Registry>,
    arrival: Arrival<'_>,
    credentials: Credentials,
) -> Result<Effects, Box<LocalReply>> {
    let mut caller = authenticate::by_password(config, resources, registry, arrival, credentials.clone())?;
    let ticket = ticket_of(config, resources, &caller, credentials, registry.authentication);
    let answer = seal(config, resources, registry, &ticket)?;
    Ok(match registry.authentication {
        Authentication::Upstream => {
            let session = caller.session(registry);
            let decision = Verifying::begin(&session, answer);
            let path = arrival.headers.text(":path").unwrap_or_default();
            Exchange::begin(resources, session, &caller.presented, None, path, decision)
        }
        Authentication::Accounts | Authentication::None => answer.into(),
    })
}

/// The ticket of a login, which holds no more than is needed to look the login up again.
fn ticket_of(
    config: &Config,
    resources: &dyn Resources,
    caller: &Caller<'_>,
    credentials: Credentials,
    authentication: Authentication,
) -> Ticket {
    let password = (authentication == Authentication::Upstream).then_some(credentials.password);
    let binding =
        caller.account.and_then(|account| ticket::binding(config, resources, account)).unwrap_or(Binding::NONE);
    Ticket { user: credentials.user, password, binding }
}

fn seal(
    config: &Config,
    resources: &dyn Resources,
    registry: &Registry,
    ticket: &Ticket,
) -> Result<LocalReply, Box<LocalReply>> {
    let Some(token) = ticket::seal(config, resources, registry, ticket) else {
        let message = "MetaHub cannot make tokens now: Envoy gives it no random numbers";
        return Err(refuse(Code::Unavailable, Counter::UpstreamFailed, message));
    };
    let token = token.expose();
    let document = json!({
        "token": token,
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": config.token_lifetime,
    });
    let reply = Reply::json(200, &document).with("cache-control", "no-store");
    Ok(LocalReply::from(reply).reporting(Report::count(Counter::TokenIssued)))
}
