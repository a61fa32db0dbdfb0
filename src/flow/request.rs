//! The request side: method, path and `Authorization` → refuse, answer, or send on to upstream.

use std::rc::Rc;
use std::sync::Arc;

use super::accept;
use super::caller::{self, Caller};
use super::explain::Question;
use super::forwarded::{self, Purpose};
use super::manifest_by_tag::TagRequest;
use super::refusal::{refuse, rejected, target};
use super::standing::Trust;
use super::{
    Arrival, Counter, Effects, Exchange, Explain, ManifestByDigest, ManifestByTag, Report, Step, Upstream, Verifying,
    WorkerState, token,
};
use crate::auth::account::View;
use crate::config::{Authentication, Config, Registry};
use crate::flow::reply::Reply;
use crate::machine_type::listing;
use crate::oci::errors::Code;
use crate::oci::index::is_artifact_tag;
use crate::oci::reference::{InvalidReference, Reference, Repository};
use crate::request::query::RETRY;
use crate::request::{InvalidRequest, Method, Request};
use crate::store::resources::Resources;
use crate::text::headers::{HeaderChange, Headers};
use crate::text::json::json;

/// Request headers that ask for less than a whole document.
const CONDITIONS: [&str; 6] =
    ["if-none-match", "if-match", "if-modified-since", "if-unmodified-since", "range", "if-range"];

/// Longest `?ns=` that is looked at, in bytes: no host name has more than 253.
const MAX_NAMESPACE: usize = 270;

/// Where a request arrived.
#[derive(Clone, Copy)]
struct Site<'a> {
    config: &'a Config,
    resources: &'a dyn Resources,
    registry: &'a Arc<Registry>,
    worker: &'a WorkerState,
    onward: &'a Onward,
}

/// Takes a request up. `worker` is what is kept under `config` only.
///
/// ```
/// use metahub::config::Config;
/// use metahub::flow::{Arrival, Exchange, Step, WorkerState, begin};
/// use metahub::store::in_memory::Map;
/// use metahub::text::headers::Headers;
///
/// let text = br#"{
///     "machine_types": { "type1": { "features": ["cpu:skylake"] } },
///     "registries": { "registry": { "host": "registry.example", "authentication": "none" } }
/// }"#;
/// let config = Config::parse(text, &|_| None)?;
///
/// // The login name `app-type1` names the machine type.
/// let login = ("authorization", "Basic YXBwLXR5cGUxOng=");
/// let request = [(":method", "GET"), (":path", "/v2/app/manifests/latest"), login];
/// let request = request.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
/// let arrival = Arrival { cluster: Some("registry"), headers: Headers(&request), address: &|| None };
/// let effects = begin(&config, &Map::default(), &WorkerState::default(), arrival);
///
/// // A tag that nobody has asked for yet: the request waits, and the registry is asked what the tag points to.
/// let Step::CallOut(callout) = effects.step else { panic!("{:?}", effects.step) };
/// assert_eq!(callout.cluster, "registry");
/// assert!(callout.headers.contains(&(":path", "/v2/app/manifests/latest".to_owned())));
/// assert!(matches!(effects.exchange, Exchange::ManifestByTag(_)));
/// # Ok::<(), metahub::config::ConfigError>(())
/// ```
#[must_use]
pub fn begin(config: &Config, resources: &dyn Resources, worker: &WorkerState, arrival: Arrival<'_>) -> Effects {
    decide(config, resources, worker, arrival).unwrap_or_else(|refusal| *refusal)
}

/// Refusals travel as the error, so that each check is one line.
fn decide(
    config: &Config,
    resources: &dyn Resources,
    worker: &WorkerState,
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
    if brings_a_body(headers) {
        return Err(Box::new(unexpected_body(headers)));
    }
    if matches!(request, Request::Manifest(..)) && !names_a_host(headers) {
        return Err(refuse(Code::NameInvalid, Counter::Refused, "ns in the query is not the name of a registry"));
    }
    if request == Request::Health {
        return Ok(Effects::reply(health(config)));
    }
    let registry = registry(config, arrival.cluster)?;
    if request == Request::Token {
        return token::issue(config, resources, registry, arrival);
    }
    let (request, namespace) = request.in_namespace(registry.default_namespace.as_ref());
    let caller = caller::identify(config, resources, &worker.callers, registry, arrival)?;
    let repository = request.repository().cloned();
    let mut onward = Onward::of(config, &request, namespace, &caller, headers);
    if let (Some(account), Some(repository)) = (caller.account, &repository)
        && !account.may_pull(repository)
    {
        let message =
            format!("account {:?} may not pull from {repository}; ask for it, or log in as another", account.name());
        return Err(refuse(Code::Denied, Counter::Denied, &message));
    }
    let (user, standing, anonymous) = (caller.user.clone(), caller.standing.clone(), caller.is_anonymous());
    let mut effects =
        take_up(Site { config, resources, registry, worker, onward: &onward }, caller, method, request, headers)
            .unwrap_or_else(|refusal| *refusal);
    prepare(&mut effects, onward.path.take(), headers);
    // Who has shown no right password yet must not learn which machine types there are, nor get anything else.
    let unproven = registry.authentication == Authentication::Upstream && !anonymous;
    if unproven && !effects.proven && matches!(effects.step, Step::Reply(_)) {
        effects = Verifying::begin(Upstream::new(registry, &user), effects);
    }
    let effects = standing.authorize(resources, registry, repository.as_ref(), headers, effects);
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
    let Site { config, resources, registry, worker, .. } = site;
    match request {
        Request::MachineTypes(after) => {
            let document = listing::page(&caller.machine_types(config), after.as_deref());
            let reply = Reply::json(200, &document).with("cache-control", "no-store").with("vary", "Authorization");
            Ok(Effects::reply(reply))
        }
        Request::Explain(query) => {
            let permit = worker.explain().ok_or_else(busy_explaining)?;
            let machine_types = caller.machine_types(config);
            let (query, user, on_no_match, cache) = (*query, caller.user, config.on_no_match, config.cache);
            let question = Question { query, user, machine_types, on_no_match, cache, _permit: permit };
            Ok(Explain::begin(question, registry, resources))
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
    Site { config, resources, registry, worker, onward }: Site<'_>,
    caller: Caller<'_>,
    view: View,
    method: Method,
    request: Request,
    headers: Headers<'_>,
) -> Effects {
    let mut upstream = Upstream::new(registry, &caller.user);
    onward.query.clone_into(&mut upstream.query);
    upstream.repeated = onward.repeated;
    upstream.trust.clone_from(&onward.trust);
    let unconditional = || !CONDITIONS.iter().any(|name| headers.has(name));
    match (request, view) {
        // Where the registry owns the passwords, it is asked.
        (Request::Ping, view) if registry.authentication != Authentication::Upstream => {
            Effects::reply(Reply::json(200, &json!({})).with("x-metahub-machine-type", view.name()))
        }
        (Request::Manifest(repository, Reference::Tag(tag)), View::Machine(machine_type))
            if !is_artifact_tag(tag.as_str()) =>
        {
            let asked = TagRequest {
                repository,
                tag,
                user: caller.user,
                identity: caller.identity,
                machine_type,
                on_no_match: config.on_no_match,
                cache: config.cache,
                recent: Rc::clone(&worker.recent),
                head: method == Method::Head,
            };
            ManifestByTag::begin(asked, upstream, resources, || ask_what_it_points_to(headers))
        }
        (Request::Manifest(_, Reference::Tag(_)), _) => {
            passing(upstream).reporting(Report::count(Counter::PassedThrough))
        }
        (Request::Manifest(repository, Reference::Digest(digest)), _)
            if method == Method::Get && config.cache.is_on() && unconditional() =>
        {
            ManifestByDigest::begin(repository, digest, caller.user, upstream, config.cache, headers, resources)
        }
        _ => passing(upstream),
    }
}

/// Goes upstream as it is, and its answer comes back as it is.
fn passing(upstream: Upstream) -> Effects {
    Effects::new(Exchange::Passing(upstream), Step::Continue(Vec::new()))
}

/// What the registry gets to see of the client's own request, `Authorization` aside.
struct Onward {
    /// The path, if it is another than the client's.
    path: Option<String>,
    query: String,
    repeated: bool,
    trust: Option<Box<Trust>>,
}

impl Onward {
    fn of(
        config: &Config,
        request: &Request,
        namespace: Option<&Repository>,
        caller: &Caller<'_>,
        headers: Headers<'_>,
    ) -> Self {
        let sent = headers.text(":path").unwrap_or_default();
        let query = sent.split_once('?').map_or("", |(_, query)| query);
        let repeated = query.split('&').any(|pair| pair == RETRY);
        let mut onward = Self { path: None, query: String::new(), repeated, trust: None };
        match request {
            Request::Manifest(repository, reference) => {
                onward.query = route_query(query);
                let path = ["/v2/", repository.as_str(), "/manifests/", reference.as_str(), &onward.query].concat();
                onward.path = Some(path).filter(|path| path != sent);
            }
            _ => onward.path = namespace.and_then(|name| Some(format!("/v2/{name}/{}", sent.strip_prefix("/v2/")?))),
        }
        if let Some((repository, identity)) = request.repository().zip(caller.identity)
            && config.cache.trusts_earlier_words()
        {
            onward.trust = Some(Box::new(Trust { cache: config.cache, repository: repository.clone(), identity }));
        }
        onward
    }
}

/// The pair of a manifest's query that Envoy's routes may need (containerd's `ns`), with its question mark; or nothing.
fn route_query(query: &str) -> String {
    query.split('&').find(|pair| pair.starts_with("ns=")).map_or_else(String::new, |pair| format!("?{pair}"))
}

/// Whether `ns` looks like a registry's host, as far as there is one. It goes upstream with the request that asks what
/// a tag points to, and that a registry's front end refuses it must not be the client's choice. It is not left out
/// instead, because the route was chosen by it.
fn names_a_host(headers: Headers<'_>) -> bool {
    let query = headers.text(":path").and_then(|path| path.split_once('?')).map_or("", |(_, query)| query);
    let sent = route_query(query);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%[]/".contains(&byte);
    sent.len() <= MAX_NAMESPACE && sent.bytes().skip("?ns=".len()).all(is_plain)
}

/// Makes the client's own request fit for the registry: now, if it goes on, or for later, if it waits.
fn prepare(effects: &mut Effects, path: Option<String>, headers: Headers<'_>) {
    let path = path.map(|path| HeaderChange::Set(":path", path));
    let asks_for_a_manifest = matches!(effects.exchange, Exchange::ManifestByTag(_) | Exchange::ManifestByDigest(_));
    match (&mut effects.step, &mut effects.exchange) {
        (Step::Continue(changes), exchange) => {
            let transfers = matches!(exchange, Exchange::Transferring(_));
            let purpose = if asks_for_a_manifest || transfers { Purpose::Manifest } else { Purpose::Pass };
            changes.extend(forwarded::strip(headers, purpose));
            // The path of a manifest that was selected is in the changes already.
            changes.extend(path.filter(|_| !transfers));
        }
        (Step::CallOut(_), exchange) if asks_for_a_manifest => {
            if let Some(upstream) = exchange.upstream_mut() {
                upstream.stripped = forwarded::strip(headers, Purpose::Manifest);
                upstream.stripped.extend(path);
            }
        }
        _ => {}
    }
}

/// Makes a request for a manifest by tag one that asks what the tag points to. Each change costs a call into Envoy, so
/// there are as few as possible; an answer to HEAD has no body whose encoding could matter.
fn ask_what_it_points_to(headers: Headers<'_>) -> Vec<HeaderChange> {
    let mut changes = Vec::new();
    if headers.first(":method") != Some(b"HEAD") {
        changes.push(HeaderChange::Set(":method", "HEAD".to_owned()));
    }
    if !accept::asks_for_all(headers) {
        changes.push(HeaderChange::Set("accept", accept::all()));
    }
    changes
}

/// Whether a request announces a body. Nothing that MetaHub serves has one, and Envoy would hold it while the request
/// waits.
fn brings_a_body(headers: Headers<'_>) -> bool {
    headers.has("transfer-encoding") || headers.first("content-length").is_some_and(|length| length != b"0")
}

/// Too many explanations are under way.
#[cold]
fn busy_explaining() -> Box<Effects> {
    let message = "too many explanations are under way; try again later";
    let reply = Reply::error(Code::TooManyRequests, message).with("retry-after", "1");
    let report = Report::fault(Counter::Overloaded, format!("429 {message}"));
    Box::new(Effects::reply(reply).reporting(Report { topic: Some("explanations".to_owned()), ..report }))
}

/// Whether it takes more than its headers to know whether a request brings a body: one that is to be served, without a
/// length.
#[must_use]
pub fn may_bring_a_body(headers: Headers<'_>) -> bool {
    Method::parse(headers.first(":method").unwrap_or_default()).is_ok() && !headers.has("content-length")
}

/// Refuses a request because of its body.
#[cold]
#[must_use]
pub fn unexpected_body(headers: Headers<'_>) -> Effects {
    let message = "a request for this has no body";
    let line = format!("400 {}: {message}", target(headers));
    *rejected(Reply::error(Code::SizeInvalid, message), Counter::Refused, line)
}

fn registry<'a>(config: &'a Config, cluster: Option<&str>) -> Result<&'a Arc<Registry>, Box<Effects>> {
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
fn invalid(error: InvalidRequest, headers: Headers<'_>) -> Box<Effects> {
    let code = match error {
        InvalidRequest::Unsupported => Code::Unsupported,
        InvalidRequest::Name(InvalidReference::Repository) | InvalidRequest::Image => Code::NameInvalid,
        InvalidRequest::Name(InvalidReference::Tag) => Code::TagInvalid,
        InvalidRequest::Name(InvalidReference::Digest) => Code::DigestInvalid,
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
