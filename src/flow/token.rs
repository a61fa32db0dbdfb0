//! `/metahub/v1/token`: MetaHub's own tokens, where clients may be anonymous (distribution spec, token authentication).
//!
//! Everybody gets one, with a login or without, so that one challenge serves both. Scopes are not looked at: what a
//! token is good for is decided when it is used.

use std::sync::Arc;

use super::caller::{self, Caller};
use super::challenge::Challenge;
use super::request::{refuse, rejected};
use super::{Arrival, Counter, Effects, Report, Upstream, Verifying, target};
use crate::auth::access;
use crate::auth::account::Account;
use crate::auth::identity::{Credentials, Presented};
use crate::auth::token::{Binding, Content, Key, LIFETIME, Refused};
use crate::config::{Authentication, Config, Registry};
use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::store::keys::ProcessKey;
use crate::store::resources::Resources;
use crate::text::json::json;

/// The answer to anything but GET. containerd tries POST first, each time, so nothing is logged.
pub(super) fn only_get() -> Box<Effects> {
    let reply = Reply::error(Code::Unsupported, "ask for a token with GET").with("allow", "GET");
    Box::new(Effects::reply(reply))
}

/// A token for whoever asks: with credentials that are right, or without any.
#[inline(never)]
pub(super) fn issue(
    config: &Config,
    resources: &dyn Resources,
    registry: &Arc<Registry>,
    arrival: Arrival<'_>,
) -> Result<Effects, Box<Effects>> {
    let headers = arrival.headers;
    if registry.anonymous.is_none() {
        let message = "there are no tokens here; log in with a user name and a password";
        return Err(refuse(Code::Unsupported, Counter::Refused, message));
    }
    match caller::presented(headers)? {
        Presented::Nothing => {
            let content = Content { user: String::new(), password: None, binding: Binding::NONE };
            seal(config, resources, registry, &content)
        }
        Presented::Password(credentials) => {
            let caller = caller::by_password(config, resources, registry, arrival, credentials.clone())?;
            let content = content(config, resources, &caller, credentials, registry.authentication);
            let effects = seal(config, resources, registry, &content)?;
            Ok(match registry.authentication {
                Authentication::Upstream => {
                    let effects = Verifying::begin(Upstream::new(registry, &caller.user), effects);
                    caller.standing.authorize(resources, registry, None, headers, effects)
                }
                Authentication::Accounts | Authentication::None => effects,
            })
        }
        Presented::Token(_) => {
            let problem = "a token is given for a user name and a password, or for nothing";
            let line = format!("401 {}: {problem}", target(headers));
            Err(rejected(Challenge::basic().reply(problem), Counter::Unauthorized, line))
        }
    }
}

/// What a token must hold of a login: no more than is needed to look it up again.
fn content(
    config: &Config,
    resources: &dyn Resources,
    caller: &Caller<'_>,
    credentials: Credentials,
    authentication: Authentication,
) -> Content {
    let password = (authentication == Authentication::Upstream).then_some(credentials.password);
    let binding = caller.account.and_then(|account| binding(config, resources, account)).unwrap_or(Binding::NONE);
    Content { user: credentials.user, password, binding }
}

fn seal(
    config: &Config,
    resources: &dyn Resources,
    registry: &Registry,
    content: &Content,
) -> Result<Effects, Box<Effects>> {
    let token = key(config, resources).zip(resources.random()).and_then(|(key, random)| {
        let (nonce, _) = random.split_first_chunk()?;
        key.seal(&place(&key, registry), content, resources.now().saturating_add(LIFETIME), *nonce)
    });
    let Some(token) = token else {
        let message = "MetaHub cannot make tokens now: Envoy gives it no random numbers";
        return Err(refuse(Code::Unavailable, Counter::UpstreamFailed, message));
    };
    let token = token.expose();
    let document = json!({ "token": token, "access_token": token, "expires_in": LIFETIME });
    let reply = Reply::json(200, &document).with("cache-control", "no-store");
    Ok(Effects::reply(reply).reporting(Report::count(Counter::TokenIssued)))
}

/// Reads a token that was made for this registry.
pub(super) fn open(
    config: &Config,
    resources: &dyn Resources,
    registry: &Registry,
    token: &str,
) -> Result<Content, Refused> {
    let key = key(config, resources).ok_or(Refused::Foreign)?;
    key.open(&place(&key, registry), token, resources.now())
}

/// What a token of this account is bound to.
pub(super) fn binding(config: &Config, resources: &dyn Resources, account: &Account) -> Option<Binding> {
    key(config, resources).map(|key| access::binding(&key, account))
}

/// The configured key, or else this process's.
fn key(config: &Config, resources: &dyn Resources) -> Option<Key> {
    config.token_key.clone().or_else(|| Some(Key::derive(ProcessKey::of(resources)?.expose())))
}

/// Where a token is good: one registry's passwords must never reach another.
fn place(key: &Key, registry: &Registry) -> [u8; 32] {
    let authentication = match registry.authentication {
        Authentication::Accounts => "accounts",
        Authentication::Upstream => "upstream",
        Authentication::None => "none",
    };
    key.digest(&[b"place", registry.cluster.as_bytes(), registry.host.as_bytes(), authentication.as_bytes()])
}
