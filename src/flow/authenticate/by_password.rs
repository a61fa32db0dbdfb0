//! Logins by name and password.

use crate::auth::access::{self, Client, Verdict};
use crate::auth::credentials::{Credentials, Presented};
use crate::config::{Authentication, Config, Registry};
use crate::flow::Arrival;
use crate::flow::caller::{Caller, Proof, identity, logged_in, shared};
use crate::flow::challenge::Challenge;
use crate::flow::local_reply::LocalReply;
use crate::flow::reply::Reply;
use crate::flow::report::{Counter, Report, Reporting};
use crate::oci::errors::Code;
use crate::store::resources::Resources;

/// A login name and a password, as far as MetaHub can check them.
pub(in crate::flow) fn by_password<'a>(
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
pub(super) fn by_name<'a>(config: &Config, registry: &Registry, user: String) -> Caller<'a> {
    let view = config.open_login(&user);
    logged_in(user, view, None, shared(registry))
}
