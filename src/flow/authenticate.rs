//! `Authorization` → the caller.

mod by_password;
mod by_ticket;
mod presented;

pub(super) use self::by_password::by_password;
use self::by_ticket::by_ticket;
use self::presented::malformed;
pub(super) use self::presented::presented;
use super::Arrival;
use super::caller::{Caller, Proof, logged_in, shared};
use super::challenge::Challenge;
use super::known_callers::{KnownCaller, KnownCallers};
use super::local_reply::LocalReply;
use super::report::{Counter, Report, Reporting};
use crate::auth::credentials::{InvalidAuthorization, Presented};
use crate::auth::jwt;
use crate::auth::secret::Secret;
use crate::auth::ticket::PREFIX;
use crate::config::{Config, Registry};
use crate::store::resources::Resources;
use crate::text::headers::Headers;

/// The message to a client that has not logged in.
const LOG_IN: &str = "log in to MetaHub with a user name and a password";

/// The caller of this request. A request without credentials is always asked for them, even where clients may go on
/// without: docker learns the scheme from its bare ping and containerd sends credentials only when asked.
pub(super) fn authenticate<'a>(
    config: &'a Config,
    resources: &dyn Resources,
    known_callers: &KnownCallers,
    registry: &Registry,
    arrival: Arrival<'_>,
) -> Result<Caller<'a>, Box<LocalReply>> {
    // MetaHub does not choose one of several headers.
    let mut values = arrival.headers.all("authorization");
    let authorization = values.next().filter(|_| values.next().is_none());
    if let Some(known) = authorization.and_then(|value| known_callers.find(resources, &registry.cluster, value)) {
        let account = known.account.map(|name| config.accounts.get(&name).ok_or(name));
        // Without its account a known login would escape the account's limits. Then it is checked again.
        if let Ok(account) = account.transpose() {
            let caller = logged_in(known.user, account, shared(registry));
            return Ok(Caller { identity: known.identity, ..caller });
        }
    }
    let caller = look_at(config, resources, registry, arrival)?;
    if let (Some(value), true) = (authorization, caller.proof == Proof::Checked) {
        let Caller { user, account, identity, .. } = &caller;
        let account = account.map(|account| account.name().to_owned());
        let known = KnownCaller { user: user.clone(), account, identity: *identity };
        known_callers.keep(resources, &registry.cluster, value, known);
    }
    Ok(caller)
}

fn look_at<'a>(
    config: &'a Config,
    resources: &dyn Resources,
    registry: &Registry,
    arrival: Arrival<'_>,
) -> Result<Caller<'a>, Box<LocalReply>> {
    let headers = arrival.headers;
    match presented(headers)? {
        Presented::Nothing => {
            let reply = Challenge::of(config, registry, headers, None).reply(LOG_IN);
            Err(Box::new(LocalReply::from(reply).reporting(Report::count(Counter::Challenged))))
        }
        Presented::Password(credentials) => by_password(config, resources, registry, arrival, credentials),
        Presented::Token(token) if token.expose().starts_with(PREFIX) => {
            by_ticket(config, resources, registry, token.expose(), arrival)
        }
        Presented::Token(token) if registry.accept_jwt => by_jwt(token, headers),
        Presented::Token(_) => Err(malformed(&InvalidAuthorization::Scheme.to_string(), headers)),
    }
}

/// A token that the client brought and that only the registry can judge. A token that is refused is answered like a
/// wrong password: a client that can log in must not become anonymous by mistake.
fn by_jwt<'a>(token: Secret, headers: Headers<'_>) -> Result<Caller<'a>, Box<LocalReply>> {
    let user = jwt::subject(token.expose())
        .ok_or_else(|| malformed("the bearer token is no JSON Web Token with a subject", headers))?;
    Ok(logged_in(user, None, Presented::Token(token)))
}

#[cfg(test)]
mod tests;
