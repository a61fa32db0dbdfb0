//! `Authorization` → the caller, its view, and the credentials that the registry gets for it.

use std::sync::Arc;

use super::Arrival;
use super::challenge::{Challenge, TokenError};
use super::known_callers::{KnownCaller, KnownCallers};
use super::local_reply::{LocalReply, rejected, target};
use super::report::{Counter, Report, Reporting};
use super::session::Session;
use super::ticket;
use crate::auth::access::{self, Client, Verdict};
use crate::auth::account::{Account, View};
use crate::auth::credentials::{Credentials, InvalidAuthorization, Presented};
use crate::auth::jwt;
use crate::auth::secret::Secret;
use crate::auth::ticket::{InvalidTicket, PREFIX, Ticket};
use crate::config::ViewDenied;
use crate::config::{Authentication, Config, Registry};
use crate::flow::reply::Reply;
use crate::machine_type::MachineType;
use crate::oci::errors::Code;
use crate::store::keys::{Identity, ProcessKey};
use crate::store::resources::Resources;
use crate::text::headers::Headers;

/// The message to a client that has not logged in.
const LOG_IN: &str = "log in to MetaHub with the login of a machine type";
/// The user in log lines of clients that did not log in.
const ANONYMOUS: &str = "anonymous";

/// A client whose login was checked as far as MetaHub can: with `authentication: upstream` the registry's answer is
/// still to come.
pub(super) struct Caller<'a> {
    pub(super) user: String,
    pub(super) view: Result<View, ViewDenied>,
    pub(super) account: Option<&'a Account>,
    /// The credentials that the registry gets.
    pub(super) presented: Presented,
    /// How the client is asked for better credentials.
    challenge: Challenge,
    /// A keyed digest of the upstream cluster and the complete credential. `None` where nothing may be kept for the
    /// caller: a token that only the registry can judge, or no key.
    pub(super) identity: Option<Identity>,
    proof: Proof,
}

/// How far a caller's login was checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    Anonymous,
    Claimed,
    /// By a password that MetaHub has checked, or that no party checks.
    Checked,
}

impl Caller<'_> {
    /// Whether the client did not log in.
    pub(super) fn is_anonymous(&self) -> bool {
        self.proof == Proof::Anonymous
    }

    /// A keyed digest of the credential that the registry sees of this caller, which others may share; `None` where
    /// nothing may be remembered.
    pub(super) fn seen(&self, resources: &dyn Resources, registry: &Registry) -> Option<Identity> {
        match &self.presented {
            Presented::Nothing => identity(resources, registry, &["seen"]),
            Presented::Password(Credentials { user, password }) => {
                identity(resources, registry, &["seen", user, password.expose()])
            }
            Presented::Token(_) => None,
        }
    }

    /// The caller's session with a registry, which takes its name and challenge along.
    pub(super) fn session(&mut self, registry: &Arc<Registry>) -> Session {
        let challenge = std::mem::replace(&mut self.challenge, Challenge::basic());
        Session::new(registry, std::mem::take(&mut self.user), challenge)
    }

    /// The machine types that the caller may ask about.
    pub(super) fn machine_types(&self, config: &Config) -> Vec<Arc<MachineType>> {
        match &self.view {
            Ok(View::Machine(machine_type)) if self.is_anonymous() => vec![Arc::clone(machine_type)],
            _ => config.allowed_machine_types(self.account),
        }
    }
}

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
            let caller = logged_in(known.user, known.view, account, shared(registry));
            return Ok(Caller { identity: known.identity, ..caller });
        }
    }
    let caller = look_at(config, resources, registry, arrival)?;
    if let (Some(value), true) = (authorization, caller.proof == Proof::Checked) {
        let Caller { user, view, account, identity, .. } = &caller;
        let account = account.map(|account| account.name().to_owned());
        let known = KnownCaller { user: user.clone(), view: view.clone(), account, identity: *identity };
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
        Presented::Token(token) if registry.accept_jwt => by_jwt(config, token, headers),
        Presented::Token(_) => Err(malformed(&InvalidAuthorization::Scheme.to_string(), headers)),
    }
}

/// The credentials that the client presents.
pub(super) fn presented(headers: Headers<'_>) -> Result<Presented, Box<LocalReply>> {
    Presented::decode(headers.all("authorization")).map_err(|error| malformed(&error.to_string(), headers))
}

fn malformed(problem: &str, headers: Headers<'_>) -> Box<LocalReply> {
    let line = format!("401 {}: {problem}", target(headers));
    rejected(Challenge::basic().reply(problem), Counter::Unauthorized, line)
}

/// A login name and a password, as far as MetaHub can check them.
pub(super) fn by_password<'a>(
    config: &'a Config,
    resources: &dyn Resources,
    registry: &Registry,
    arrival: Arrival<'_>,
    credentials: Credentials,
) -> Result<Caller<'a>, Box<LocalReply>> {
    let identity = identity(resources, registry, &["Basic", &credentials.user, credentials.password.expose()]);
    let (caller, proof) = match registry.authentication {
        Authentication::Accounts => (by_account(config, resources, registry, arrival, credentials)?, Proof::Checked),
        Authentication::Upstream => (by_upstream(config, credentials), Proof::Claimed),
        Authentication::None => (by_name(config, registry, credentials.user), Proof::Checked),
    };
    Ok(Caller { identity, proof, ..caller })
}

/// `authentication: accounts`.
fn by_account<'a>(
    config: &'a Config,
    resources: &dyn Resources,
    registry: &Registry,
    arrival: Arrival<'_>,
    credentials: Credentials,
) -> Result<Caller<'a>, Box<LocalReply>> {
    let login = config.account_login(&credentials.user);
    let account = login.as_ref().map(|login| login.account);
    let line = |status: u16, problem: &str| {
        let client = Client::at((arrival.address)());
        format!("{status} login {:?} from {client}: {problem}", credentials.user)
    };
    let refused = |reply: Reply, counter: Counter, line: Option<String>| {
        Err(Box::new(LocalReply::from(reply).reporting(Report { line, ..Report::count(counter) })))
    };
    match (access::verify(resources, config.decoy(), account, &credentials, arrival.address), login) {
        (Verdict::Accepted, Some(login)) => Ok(logged_in(credentials.user, login.view, account, shared(registry))),
        (Verdict::Limited(limit), _) => {
            let reply = Reply::error(Code::TooManyRequests, "too many wrong passwords lately; try again later");
            let reply = reply.with("retry-after", limit.retry_after.to_string());
            let problem = || format!("too many wrong passwords lately {}", limit.scope);
            refused(reply, Counter::Limited, limit.is_due.then(|| line(429, &problem())))
        }
        (verdict, _) => {
            let problem = "no such account or wrong password";
            let is_due = verdict != Verdict::Rejected { is_due: false };
            refused(Challenge::basic().reply(problem), Counter::Unauthorized, is_due.then(|| line(401, problem)))
        }
    }
}

/// `authentication: upstream`: the registry will say whether the password is right.
fn by_upstream<'a>(config: &Config, credentials: Credentials) -> Caller<'a> {
    let (account, view) = config.upstream_login(&credentials.user);
    let account = Credentials { user: account.to_owned(), password: credentials.password };
    logged_in(credentials.user, view, None, Presented::Password(account))
}

/// `authentication: none`.
fn by_name<'a>(config: &Config, registry: &Registry, user: String) -> Caller<'a> {
    let view = config.open_login(&user);
    logged_in(user, view, None, shared(registry))
}

/// The caller of a ticket. The permissions of its login are looked up now, not when the ticket was made.
fn by_ticket<'a>(
    config: &'a Config,
    resources: &dyn Resources,
    registry: &Registry,
    token: &str,
    arrival: Arrival<'_>,
) -> Result<Caller<'a>, Box<LocalReply>> {
    let headers = arrival.headers;
    let Some(anonymous) = &registry.anonymous else {
        return Err(malformed(
            "MetaHub accepts no tokens for this registry; log in with a user name and a password",
            headers,
        ));
    };
    let ticket = ticket::open(config, resources, registry, token).map_err(|refused| {
        // Every ticket expires, so operators need no line about that.
        let told = refused == InvalidTicket::Foreign;
        let line = told.then(|| format!("401 {}: {refused}", target(headers)));
        invalid_ticket(config, registry, headers, &refused.to_string(), line)
    })?;
    if ticket.user.is_empty() {
        return Ok(anonymous_by_ticket(config, resources, registry, anonymous, headers));
    }
    if registry.authentication == Authentication::Upstream {
        return upstream_by_ticket(config, resources, registry, ticket, arrival);
    }
    let caller = if registry.authentication == Authentication::Accounts {
        account_by_ticket(config, resources, registry, ticket, headers)?
    } else {
        by_name(config, registry, ticket.user)
    };
    Ok(Caller { identity: identity(resources, registry, &["Bearer", token]), ..caller })
}

/// The ticket of a client that did not log in. All of them are one caller.
fn anonymous_by_ticket<'a>(
    config: &Config,
    resources: &dyn Resources,
    registry: &Registry,
    view: &View,
    headers: Headers<'_>,
) -> Caller<'a> {
    let challenge = Challenge::of(config, registry, headers, Some(TokenError::Insufficient));
    Caller {
        user: ANONYMOUS.to_owned(),
        view: Ok(view.clone()),
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
    let login = config.account_login(&ticket.user).ok_or_else(revoked)?;
    if ticket::binding(config, resources, login.account) != Some(ticket.binding) {
        return Err(revoked());
    }
    Ok(logged_in(ticket.user, login.view, Some(login.account), shared(registry)))
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

/// A token that the client brought and that only the registry can judge. A token that is refused is answered like a
/// wrong password: a client that can log in must not become anonymous by mistake.
fn by_jwt<'a>(config: &Config, token: Secret, headers: Headers<'_>) -> Result<Caller<'a>, Box<LocalReply>> {
    let user = jwt::subject(token.expose())
        .ok_or_else(|| malformed("the bearer token is no JSON Web Token with a subject", headers))?;
    let (_, view) = config.upstream_login(&user);
    Ok(logged_in(user, view, None, Presented::Token(token)))
}

fn logged_in<'a>(
    user: String,
    view: Result<View, ViewDenied>,
    account: Option<&'a Account>,
    presented: Presented,
) -> Caller<'a> {
    let (challenge, identity, proof) = (Challenge::basic(), None, Proof::Claimed);
    Caller { user, view, account, presented, challenge, identity, proof }
}

/// The credentials that MetaHub itself presents. There are none where each client brings its own: no configuration may
/// have both.
fn shared(registry: &Registry) -> Presented {
    registry.credentials.clone().map_or(Presented::Nothing, Presented::Password)
}

fn identity(resources: &dyn Resources, registry: &Registry, credential: &[&str]) -> Option<Identity> {
    Some(Identity::of(&ProcessKey::of(resources)?, &registry.cluster, credential))
}

#[cfg(test)]
mod tests;
