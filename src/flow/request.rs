//! The request side: method, path and `Authorization` → refuse, answer, or send on to upstream.

use std::rc::Rc;

use super::{Authorizing, Counter, Effects, Exchange, Explain, Pull, Report, Step, Upstream, Verifying, challenge};
use crate::access::{self, Verdict};
use crate::config::{Account, Authentication, Config, Registry, View};
use crate::errors::{Code, Reply};
use crate::explain;
use crate::headers::{HeaderChange, Headers};
use crate::identity::Credentials;
use crate::json::json;
use crate::login::Refused;
use crate::media_type;
use crate::memory::Memory;
use crate::request::{InvalidRequest, Method, Reference, Repository, Request};
use crate::upstream::{self, Authorization};

/// What a client is told before it has logged in.
const LOG_IN: &str = "log in to MetaHub with the login of a machine type";

/// Request headers that would make upstream answer with less than the whole index.
const CONDITIONS: [&str; 6] =
    ["if-none-match", "if-match", "if-modified-since", "if-unmodified-since", "range", "if-range"];

/// A login that was checked.
struct Caller<'a> {
    user: String,
    view: Result<View, Refused>,
    account: Option<&'a Account>,
    /// What upstream gets to check, or to let MetaHub in.
    credentials: Option<Credentials>,
}

/// Takes a request up. `cluster` is the Envoy cluster that its route leads to.
#[must_use]
pub fn begin(config: &Config, memory: &dyn Memory, cluster: Option<&str>, headers: Headers<'_>) -> Effects {
    decide(config, memory, cluster, headers).unwrap_or_else(|refusal| *refusal)
}

/// Refusals travel as the error, so that each check is one line.
fn decide(
    config: &Config,
    memory: &dyn Memory,
    cluster: Option<&str>,
    headers: Headers<'_>,
) -> Result<Effects, Box<Effects>> {
    let method =
        Method::parse(headers.first(":method").unwrap_or_default()).map_err(|error| invalid(error, headers))?;
    let request =
        Request::parse(headers.first(":path").unwrap_or_default()).map_err(|error| invalid(error, headers))?;
    if request == Request::Health {
        return Ok(Effects::reply(health(config)));
    }
    let credentials = credentials(headers)?;
    let registry = registry(config, cluster)?;
    let (request, namespace) = request.in_namespace(registry.default_namespace.as_ref());
    let caller = match registry.authentication {
        Authentication::Accounts => by_account(config, memory, registry, credentials)?,
        Authentication::Upstream => by_upstream(config, credentials)?,
        Authentication::None => by_name(config, registry, credentials),
    };
    let repository = request.repository().cloned();
    if let (Some(account), Some(repository)) = (caller.account, &repository)
        && !account.may_pull(repository)
    {
        let message =
            format!("account {:?} may not pull from {repository}; ask for it, or log in as another", account.name());
        return Err(refuse(Code::Denied, Counter::Denied, &message));
    }
    let credentials = caller.credentials.clone();
    let mut effects = take_up(config, registry, caller, method, request, headers)?;
    if let (Step::Continue(changes), Some(path)) =
        (&mut effects.step, namespace.and_then(|name| namespaced(name, headers)))
    {
        changes.push(path);
    }
    Ok(authorize(memory, registry, credentials.as_ref(), repository.as_ref(), headers, effects))
}

/// What to do with an allowed request, upstream's `Authorization` aside.
fn take_up(
    config: &Config,
    registry: &Rc<Registry>,
    caller: Caller<'_>,
    method: Method,
    request: Request,
    headers: Headers<'_>,
) -> Result<Effects, Box<Effects>> {
    match request {
        Request::MachineTypes(after) => {
            let document = explain::machine_types(&config.allowed_machine_types(caller.account), after.as_deref());
            let reply = Reply::json(200, &document).with("cache-control", "no-store").with("vary", "Authorization");
            Ok(match registry.authentication {
                Authentication::Upstream => Verifying::begin(Upstream::new(registry, &caller.user), reply),
                Authentication::Accounts | Authentication::None => Effects::reply(reply),
            })
        }
        Request::Explain(query) => {
            let machine_types = config.allowed_machine_types(caller.account);
            Ok(Explain::begin(*query, caller.user, registry, machine_types, config.on_no_match))
        }
        request => {
            let view = caller.view.map_err(|refused| refuse(Code::Denied, Counter::Denied, &refused.to_string()))?;
            Ok(dispatch(config, registry, caller.user, view, method, request, headers))
        }
    }
}

/// Gives a request that goes upstream its `Authorization`, by way of the token service if need be.
fn authorize(
    memory: &dyn Memory,
    registry: &Rc<Registry>,
    credentials: Option<&Credentials>,
    repository: Option<&Repository>,
    headers: Headers<'_>,
    mut effects: Effects,
) -> Effects {
    if !matches!(effects.step, Step::Continue(_) | Step::CallOut(_)) {
        return effects;
    }
    let (authorization, kept) = upstream::authorize(memory, registry, credentials, repository);
    match authorization {
        Authorization::Nothing => effects.authorized(None),
        Authorization::Header(value) => {
            if let Some(upstream) = effects.exchange.upstream_mut() {
                upstream.keeping(kept, headers.text(":path").unwrap_or_default());
            }
            effects.authorized(Some(value))
        }
        Authorization::Token(request) => match effects.exchange.upstream_mut().cloned() {
            Some(upstream) => Authorizing::begin(*request, upstream, effects),
            None => effects.authorized(None),
        },
    }
}

/// Everything is allowed: answer the ping, take up a manifest by tag, let the rest pass.
fn dispatch(
    config: &Config,
    registry: &Rc<Registry>,
    user: String,
    view: View,
    method: Method,
    request: Request,
    headers: Headers<'_>,
) -> Effects {
    match (request, view) {
        // Where the registry owns the passwords, it is asked.
        (Request::Ping, view) if registry.authentication != Authentication::Upstream => {
            Effects::reply(Reply::json(200, &json!({})).with("x-metahub-machine-type", view.name()))
        }
        (Request::Manifest(repository, Reference::Tag(tag)), View::Machine(machine_type)) => {
            let pull = Pull::new(method, repository, tag, user, machine_type, registry, config.on_no_match);
            Effects::new(Exchange::Pulling(Box::new(pull)), Step::Continue(ask_for_index(method, headers)))
        }
        (Request::Manifest(_, Reference::Tag(_)), View::Unfiltered) => {
            passing(registry, &user).reporting(Report::count(Counter::PassedThrough))
        }
        _ => passing(registry, &user),
    }
}

/// Goes upstream as it is, and its answer comes back as it is.
fn passing(registry: &Rc<Registry>, user: &str) -> Effects {
    Effects::new(Exchange::Passing(Upstream::new(registry, user)), Step::Continue(Vec::new()))
}

/// The path with the namespace that the client left out.
fn namespaced(namespace: &Repository, headers: Headers<'_>) -> Option<HeaderChange> {
    let path = headers.text(":path")?.strip_prefix("/v2/")?;
    Some(HeaderChange::Set(":path", format!("/v2/{namespace}/{path}")))
}

/// Makes a request for a manifest by tag one that an index answers, whole and readable.
fn ask_for_index(method: Method, headers: Headers<'_>) -> Vec<HeaderChange> {
    let mut changes = Vec::new();
    if method == Method::Head {
        changes.push(HeaderChange::Set(":method", "GET".to_owned()));
    }
    changes.push(HeaderChange::Set("accept", accept(headers)));
    changes.push(HeaderChange::Set("accept-encoding", "identity".to_owned()));
    changes.extend(CONDITIONS.iter().filter(|name| headers.has(name)).map(|name| HeaderChange::Remove(name)));
    changes
}

/// What the client accepts, and the four manifest types without any reservation (`q=0` would get another document).
fn accept(headers: Headers<'_>) -> String {
    let ranges =
        headers.all("accept").filter_map(|value| std::str::from_utf8(value).ok()).flat_map(|value| value.split(','));
    let others = ranges.map(str::trim).filter(|range| {
        !range.is_empty() && !media_type::ALL.iter().any(|media_type| media_type::same(range, media_type))
    });
    others.chain(media_type::ALL).collect::<Vec<_>>().join(", ")
}

fn credentials(headers: Headers<'_>) -> Result<Credentials, Box<Effects>> {
    match Credentials::decode(headers.all("authorization")) {
        Ok(Some(credentials)) => Ok(credentials),
        Ok(None) => Err(Box::new(Effects::reply(challenge(LOG_IN)).reporting(Report::count(Counter::Challenged)))),
        Err(error) => {
            let line = format!("401 {}: {error}", target(headers));
            Err(rejected(challenge(&error.to_string()), Counter::Unauthorized, line))
        }
    }
}

fn registry<'a>(config: &'a Config, cluster: Option<&str>) -> Result<&'a Rc<Registry>, Box<Effects>> {
    let Some(cluster) = cluster else {
        return Err(refuse(
            Code::NameUnknown,
            Counter::Refused,
            "no Envoy route leads from this host and path to a registry",
        ));
    };
    config.registry(cluster).ok_or_else(|| {
        let message = format!("MetaHub's configuration names no registry for the Envoy cluster {cluster:?}");
        refuse(Code::Denied, Counter::Denied, &message)
    })
}

/// `authentication: accounts`.
fn by_account<'a>(
    config: &'a Config,
    memory: &dyn Memory,
    registry: &Registry,
    credentials: Credentials,
) -> Result<Caller<'a>, Box<Effects>> {
    let login = config.account_login(&credentials.user);
    let account = login.as_ref().map(|login| login.account);
    match (access::verify(memory, config, account, &credentials), login) {
        (Verdict::Accepted, Some(login)) => {
            Ok(Caller { user: credentials.user, view: login.view, account, credentials: registry.credentials.clone() })
        }
        (Verdict::Limited { retry_after }, _) => {
            let line = format!("429 login {:?}: too many wrong passwords lately", credentials.user);
            let reply = Reply::error(Code::TooManyRequests, "too many wrong passwords lately; try again later");
            let reply = reply.with("retry-after", retry_after.to_string());
            Err(rejected(reply, Counter::Limited, line))
        }
        _ => {
            let line = format!("401 login {:?}: no such account or wrong password", credentials.user);
            let reply = challenge("no such account or wrong password");
            Err(rejected(reply, Counter::Unauthorized, line))
        }
    }
}

/// `authentication: upstream`: the registry will say whether the password is right.
fn by_upstream<'a>(config: &Config, credentials: Credentials) -> Result<Caller<'a>, Box<Effects>> {
    let Some((account, view)) = config.upstream_login(&credentials.user) else {
        let line = format!("401 login {:?}: no account", credentials.user);
        return Err(rejected(challenge("the login has no account"), Counter::Unauthorized, line));
    };
    let account = Credentials { user: account.to_owned(), password: credentials.password };
    Ok(Caller { user: credentials.user.clone(), view, account: None, credentials: Some(account) })
}

/// `authentication: none`.
fn by_name<'a>(config: &Config, registry: &Registry, credentials: Credentials) -> Caller<'a> {
    let view = config.open_login(&credentials.user);
    Caller { user: credentials.user, view, account: None, credentials: registry.credentials.clone() }
}

fn rejected(reply: Reply, counter: Counter, line: String) -> Box<Effects> {
    Box::new(Effects::reply(reply).reporting(Report::fault(counter, line)))
}

/// A refusal whose message serves the client and the log alike.
fn refuse(code: Code, counter: Counter, message: &str) -> Box<Effects> {
    let line = format!("{} {message}", code.status());
    rejected(Reply::error(code, message), counter, line)
}

fn invalid(error: InvalidRequest, headers: Headers<'_>) -> Box<Effects> {
    let code = match error {
        InvalidRequest::Unsupported => Code::Unsupported,
        InvalidRequest::Repository | InvalidRequest::Image => Code::NameInvalid,
        InvalidRequest::Tag => Code::TagInvalid,
        InvalidRequest::Digest => Code::DigestInvalid,
    };
    let line = format!("{} {}: {error}", code.status(), target(headers));
    let reply = match code {
        Code::Unsupported => Reply::error(code, &error.to_string()).with("allow", "GET, HEAD"),
        _ => Reply::error(code, &error.to_string()),
    };
    rejected(reply, Counter::Refused, line)
}

/// Method and path as a log line may show them: escaped, without the query (it may be signed), not endless.
fn target(headers: Headers<'_>) -> String {
    let show = |name| String::from_utf8_lossy(headers.first(name).unwrap_or_default()).into_owned();
    let path = show(":path");
    let path: String = path.split('?').next().unwrap_or_default().chars().take(200).collect();
    format!("{} {}", show(":method").escape_debug(), path.escape_debug())
}

fn health(config: &Config) -> Reply {
    let document = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "configuration": config.hash(),
        "machine_types": config.machine_type_count(),
    });
    Reply::json(200, &document).with("cache-control", "no-store")
}
