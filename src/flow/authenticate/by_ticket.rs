//! Logins by one of MetaHub's tickets.

use super::by_password::{by_name, by_password};
use super::presented::malformed;
use crate::auth::credentials::Credentials;
use crate::auth::secret::Secret;
use crate::auth::ticket::{InvalidTicket, Ticket};
use crate::config::{Authentication, Config, Registry};
use crate::flow::caller::{ANONYMOUS, Caller, Proof, identity, logged_in, shared};
use crate::flow::challenge::{Challenge, TokenError};
use crate::flow::local_reply::{LocalReply, target};
use crate::flow::report::{Counter, Report, Reporting};
use crate::flow::{Arrival, ticket};
use crate::store::resources::Resources;
use crate::text::headers::Headers;

/// The caller of a ticket. The permissions of its login are looked up now, not when the ticket was made.
pub(super) fn by_ticket<'a>(
    config: &'a Config,
    resources: &dyn Resources,
    registry: &Registry,
    token: &str,
    arrival: Arrival<'_>,
) -> Result<Caller<'a>, Box<LocalReply>> {
    let headers = arrival.headers;
    if registry.anonymous.is_none() {
        return Err(malformed(
            "MetaHub accepts no tokens for this registry; log in with a user name and a password",
            headers,
        ));
    }
    let ticket = ticket::open(config, resources, registry, token).map_err(|refused| {
        // Every ticket expires, so operators need no line about that.
        let told = refused == InvalidTicket::Foreign;
        let line = told.then(|| format!("401 {}: {refused}", target(headers)));
        invalid_ticket(config, registry, headers, &refused.to_string(), line)
    })?;
    if ticket.user.is_empty() {
        return Ok(anonymous_by_ticket(config, resources, registry, headers));
    }
    if registry.authentication == Authentication::Upstream {
        return upstream_by_ticket(config, resources, registry, ticket, arrival);
    }
    let caller = if registry.authentication == Authentication::Accounts {
        account_by_ticket(config, resources, registry, ticket, headers)?
    } else {
        by_name(registry, ticket.user)
    };
    Ok(Caller { identity: identity(resources, registry, &["Bearer", token]), ..caller })
}

/// The ticket of a client that did not log in. All of them are one caller.
fn anonymous_by_ticket<'a>(
    config: &Config,
    resources: &dyn Resources,
    registry: &Registry,
    headers: Headers<'_>,
) -> Caller<'a> {
    let challenge = Challenge::of(config, registry, headers, Some(TokenError::Insufficient));
    Caller {
        user: ANONYMOUS.to_owned(),
        account: None,
        presented: shared(registry),
        challenge,
        identity: identity(resources, registry, &[]),
        proof: Proof::Anonymous,
    }
}

/// A ticket for `authentication: accounts`: the account and its passwords must still be what they were.
fn account_by_ticket<'a>(
    config: &'a Config,
    resources: &dyn Resources,
    registry: &Registry,
    ticket: Ticket,
    headers: Headers<'_>,
) -> Result<Caller<'a>, Box<LocalReply>> {
    let revoked = || {
        let line =
            format!("401 login {:?}: its token was made with a password that is no longer the account's", ticket.user);
        let problem = "the account or its password has changed; log in again";
        invalid_ticket(config, registry, headers, problem, Some(line))
    };
    let account = config.account_of(&ticket.user).ok_or_else(revoked)?;
    if ticket::binding(config, resources, account) != Some(ticket.binding) {
        return Err(revoked());
    }
    Ok(logged_in(ticket.user, Some(account), shared(registry)))
}

/// A ticket for `authentication: upstream`: it holds the password, which the registry judges.
fn upstream_by_ticket<'a>(
    config: &'a Config,
    resources: &dyn Resources,
    registry: &Registry,
    ticket: Ticket,
    arrival: Arrival<'_>,
) -> Result<Caller<'a>, Box<LocalReply>> {
    debug_assert!(ticket.password.is_some(), "tickets for `authentication: upstream` are sealed with a password");
    let password = ticket.password.unwrap_or_else(|| Secret::new(String::new()));
    let credentials = Credentials { user: ticket.user, password };
    let mut caller = by_password(config, resources, registry, arrival, credentials)?;
    caller.challenge = Challenge::of(config, registry, arrival.headers, Some(TokenError::Invalid));
    Ok(caller)
}

/// Asks for another ticket.
fn invalid_ticket(
    config: &Config,
    registry: &Registry,
    headers: Headers<'_>,
    problem: &str,
    line: Option<String>,
) -> Box<LocalReply> {
    let reply = Challenge::of(config, registry, headers, Some(TokenError::Invalid)).reply(problem);
    Box::new(LocalReply::from(reply).reporting(Report { line, ..Report::count(Counter::TokenInvalid) }))
}
