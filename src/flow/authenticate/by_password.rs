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
        Authentication::None => (by_name(registry, credentials.user), Proof::Checked),
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
    let account = config.account_of(&credentials.user);
    let line = |status: u16, problem: &str| {
        let client = Client::at((arrival.address)());
        format!("{status} login {:?} from {client}: {problem}", credentials.user)
    };
    let refused = |reply: Reply, counter: Counter, line: Option<String>| {
        Err(Box::new(LocalReply::from(reply).reporting(Report { line, ..Report::count(counter) })))
    };
    match (access::verify(resources, config.decoy(), account, &credentials, arrival.address), account) {
        (Verdict::Accepted, Some(_)) => Ok(logged_in(credentials.user, account, shared(registry))),
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
    let user = config.upstream_user(&credentials.user).to_owned();
    let presented = Credentials { user, password: credentials.password };
    logged_in(credentials.user, None, Presented::Password(presented))
}

/// `authentication: none`.
pub(super) fn by_name<'a>(registry: &Registry, user: String) -> Caller<'a> {
    logged_in(user, None, shared(registry))
}
