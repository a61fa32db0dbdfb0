//! The request side: method, path and `Authorization` → refuse, answer, or send on to upstream.

use std::rc::Rc;

use super::accept;
use super::caller::{self, Caller};
use super::callers::Callers;
use super::pull::Wish;
use super::{
    Arrival, Content, Counter, Effects, Exchange, Explain, Pull, Report, Step, Upstream, Verifying, target, token,
};
use crate::config::{Authentication, Config, Registry, View};
use crate::errors::{Code, Reply};
use crate::explain;
use crate::headers::{HeaderChange, Headers};
use crate::index::is_artifact_tag;
use crate::json::json;
use crate::memory::Memory;
use crate::request::{InvalidRequest, Method, Reference, Repository, Request};

/// Request headers that would make upstream answer with less than the whole index.
const CONDITIONS: [&str; 6] =
    ["if-none-match", "if-match", "if-modified-since", "if-unmodified-since", "range", "if-range"];

/// Where a request arrived.
#[derive(Clone, Copy)]
struct Site<'a> {
    config: &'a Config,
    memory: &'a dyn Memory,
    registry: &'a Rc<Registry>,
}

/// Takes a request up. `callers` are known under `config` only.
#[must_use]
pub fn begin(config: &Config, memory: &dyn Memory, callers: &Callers, arrival: Arrival<'_>) -> Effects {
    decide(config, memory, callers, arrival).unwrap_or_else(|refusal| *refusal)
}

/// Refusals travel as the error, so that each check is one line.
fn decide(
    config: &Config,
    memory: &dyn Memory,
    callers: &Callers,
    arrival: Arrival<'_>,
) -> Result<Effects, Box<Effects>> {
    let headers = arrival.headers;
    let method = Method::parse(headers.first(":method").unwrap_or_default());
    let request = Request::parse(headers.first(":path").unwrap_or_default());
    if request == Ok(Request::Token) && method != Ok(Method::Get) {
        return Err(token::only_get());
    }
    let method = method.map_err(|error| invalid(error, headers))?;
    let request = request.map_err(|error| invalid(error, headers))?;
    if request == Request::Health {
        return Ok(Effects::reply(health(config)));
    }
    let registry = registry(config, arrival.cluster)?;
    if request == Request::Token {
        return token::issue(config, memory, registry, arrival);
    }
    let (request, namespace) = request.in_namespace(registry.default_namespace.as_ref());
    let caller = caller::identify(config, memory, callers, registry, arrival)?;
    let repository = request.repository().cloned();
    if let (Some(account), Some(repository)) = (caller.account, &repository)
        && !account.may_pull(repository)
    {
        let message =
            format!("account {:?} may not pull from {repository}; ask for it, or log in as another", account.name());
        return Err(refuse(Code::Denied, Counter::Denied, &message));
    }
    let (user, standing, anonymous) = (caller.user.clone(), caller.standing.clone(), caller.is_anonymous());
    let mut effects =
        take_up(Site { config, memory, registry }, caller, method, request, headers).unwrap_or_else(|refusal| *refusal);
    if let (Step::Continue(changes), Some(path)) =
        (&mut effects.step, namespace.and_then(|name| namespaced(name, headers)))
    {
        changes.push(path);
    }
    // Who has shown no right password yet must not learn which machine types there are, nor get anything else.
    let unproven = registry.authentication == Authentication::Upstream && !anonymous;
    if unproven && !effects.proven && matches!(effects.step, Step::Reply(_)) {
        effects = Verifying::begin(Upstream::new(registry, &user), effects);
    }
    let effects = standing.authorize(memory, registry, repository.as_ref(), headers, effects);
    Ok(if anonymous { effects.reporting(Report::count(Counter::Anonymous)) } else { effects })
}

/// What to do with an allowed request, upstream's `Authorization` aside.
fn take_up(
    site: Site<'_>,
    caller: Caller<'_>,
    method: Method,
    request: Request,
    headers: Headers<'_>,
) -> Result<Effects, Box<Effects>> {
    let Site { config, registry, .. } = site;
    match request {
        Request::MachineTypes(after) => {
            let document = explain::machine_types(&caller.machine_types(config), after.as_deref());
            let reply = Reply::json(200, &document).with("cache-control", "no-store").with("vary", "Authorization");
            Ok(Effects::reply(reply))
        }
        Request::Explain(query) => {
            let machine_types = caller.machine_types(config);
            Ok(Explain::begin(*query, caller.user, registry, machine_types, config.on_no_match))
        }
        request => {
            let view =
                caller.view.clone().map_err(|refused| refuse(Code::Denied, Counter::Denied, &refused.to_string()))?;
            Ok(dispatch(site, caller, view, method, request, headers))
        }
    }
}

/// Everything is allowed: answer the ping, take up manifests, let the rest pass.
fn dispatch(
    Site { config, memory, registry }: Site<'_>,
    caller: Caller<'_>,
    view: View,
    method: Method,
    request: Request,
    headers: Headers<'_>,
) -> Effects {
    let upstream = Upstream::new(registry, &caller.user);
    let unconditional = || !CONDITIONS.iter().any(|name| headers.has(name));
    match (request, view) {
        // Where the registry owns the passwords, it is asked.
        (Request::Ping, view) if registry.authentication != Authentication::Upstream => {
            Effects::reply(Reply::json(200, &json!({})).with("x-metahub-machine-type", view.name()))
        }
        (Request::Manifest(repository, Reference::Tag(tag)), View::Machine(machine_type))
            if !is_artifact_tag(tag.as_str()) =>
        {
            let wish = Wish {
                repository,
                tag,
                user: caller.user,
                identity: caller.identity,
                machine_type,
                on_no_match: config.on_no_match,
                cache: config.cache,
                accept: accept::sent(headers),
            };
            Pull::begin(wish, upstream, memory, |wish| ask_what_it_points_to(&wish.accept, headers))
        }
        (Request::Manifest(_, Reference::Tag(_)), _) => {
            passing(upstream).reporting(Report::count(Counter::PassedThrough))
        }
        (Request::Manifest(repository, Reference::Digest(digest)), _)
            if method == Method::Get && config.cache.is_on() && unconditional() =>
        {
            let accept = accept::sent(headers);
            Content::begin(repository, digest, caller.user, upstream, config.cache, accept, memory)
        }
        _ => passing(upstream),
    }
}

/// Goes upstream as it is, and its answer comes back as it is.
fn passing(upstream: Upstream) -> Effects {
    Effects::new(Exchange::Passing(upstream), Step::Continue(Vec::new()))
}

/// The path with the namespace that the client left out.
#[inline(never)]
fn namespaced(namespace: &Repository, headers: Headers<'_>) -> Option<HeaderChange> {
    let path = headers.text(":path")?.strip_prefix("/v2/")?;
    Some(HeaderChange::Set(":path", format!("/v2/{namespace}/{path}")))
}

/// Makes a request for a manifest by tag one that asks what the tag points to. Each change costs a call into Envoy, so
/// there are as few as possible; an answer to HEAD has no body whose encoding could matter.
fn ask_what_it_points_to(accepted: &str, headers: Headers<'_>) -> Vec<HeaderChange> {
    let mut changes = Vec::new();
    if headers.first(":method") != Some(b"HEAD") {
        changes.push(HeaderChange::Set(":method", "HEAD".to_owned()));
    }
    if !accept::is_complete(accepted) {
        changes.push(HeaderChange::Set("accept", accept::completed(accepted)));
    }
    changes.extend(CONDITIONS.iter().filter(|name| headers.has(name)).map(|name| HeaderChange::Remove(name)));
    changes
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

#[cold]
pub(super) fn rejected(reply: Reply, counter: Counter, line: String) -> Box<Effects> {
    Box::new(Effects::reply(reply).reporting(Report::fault(counter, line)))
}

/// A refusal whose message serves the client and the log alike.
#[cold]
pub(super) fn refuse(code: Code, counter: Counter, message: &str) -> Box<Effects> {
    let line = format!("{} {message}", code.status());
    rejected(Reply::error(code, message), counter, line)
}

#[cold]
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

#[inline(never)]
fn health(config: &Config) -> Reply {
    let document = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "configuration": config.hash(),
        "machine_types": config.machine_type_count(),
    });
    Reply::json(200, &document).with("cache-control", "no-store")
}
