//! A request's headers → refuse, answer, or send on to upstream.
//!
//! The order of the stages keeps it secure, and each has a type that only the stage before it can make:
//!
//! 1. [`Servable`]: requests that MetaHub never serves are refused before anything is looked up, and to all clients
//!    alike, so that the refusal tells nothing of accounts or machine types. Health is answered here: a probe has no
//!    login.
//! 2. The registry, whose settings say what a login is. Tickets are given out here: a client logs in by asking for one,
//!    and its request waits here for a form, if it sends one.
//! 3. [`Authenticated`]: nobody learns anything of permissions, images or machine types before this.
//! 4. [`Allowed`]: before anything is asked for or read from the cache in a repository.
//! 5. [`Planned`]: an answer of MetaHub's own or a request to the registry.
//! 6. [`Verified`]: where the registry owns the passwords, its answer comes before every answer of MetaHub's own.
//! 7. The exchange with upstream begins, and no part of the client's credentials goes with it by itself.

use std::rc::Rc;
use std::sync::Arc;

use super::accept_header;
use super::authenticate;
use super::caller::Caller;
use super::claim::{self, Claim, ClaimDenied};
use super::decision::{Context, Decision, Next};
use super::exchange::{Effects, Exchange};
use super::explain::{self, Explain, Question};
use super::forwarded::{self, Purpose};
use super::local_reply::{LocalReply, overloaded, refuse};
use super::manifest_by_digest::{DigestRequest, ManifestByDigest};
use super::manifest_by_tag::ManifestByTag;
use super::mapped::{self, Mapped};
use super::onward;
use super::paths::Content;
use super::report::{Counter, Report, Reporting};
use super::servable::Servable;
use super::session::{Session, Trust};
use super::site::Site;
use super::step::Step;
use super::verifying::Verifying;
use super::{Arrival, WorkerState, token_endpoint, token_form};
use crate::auth::account::View;
use crate::auth::credentials::Presented;
use crate::config::{Authentication, Config, Mode, Registry};
use crate::flow::reply::Reply;
use crate::machine_type::listing;
use crate::oci::errors::Code;
use crate::oci::index::is_artifact_tag;
use crate::oci::reference::{Reference, Repository};
use crate::request::said::Said;
use crate::request::{Method, Request};
use crate::store::resources::Resources;
use crate::text::headers::HeaderChange;
use crate::text::json::json;

/// Request headers that ask for less than a whole document.
const CONDITIONS: [&str; 6] =
    ["if-none-match", "if-match", "if-modified-since", "if-unmodified-since", "range", "if-range"];

/// Takes up a request. `worker` holds the state that is kept under `config` only.
///
/// ```
/// use metahub::config::Config;
/// use metahub::flow::{Arrival, Step, WorkerState, begin};
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
/// assert!(effects.exchange.holds_request());
/// # Ok::<(), metahub::config::ConfigError>(())
/// ```
#[must_use]
pub fn begin(config: &Config, resources: &dyn Resources, worker: &WorkerState, arrival: Arrival<'_>) -> Effects {
    decide(config, resources, worker, arrival).unwrap_or_else(|refusal| (*refusal).into())
}

/// Refusals travel as the error, so that each stage is one line.
fn decide(
    config: &Config,
    resources: &dyn Resources,
    worker: &WorkerState,
    arrival: Arrival<'_>,
) -> Result<Effects, Box<LocalReply>> {
    let headers = arrival.headers;
    if token_form::is_posted(headers) {
        let registry = registry(config, arrival.cluster)?;
        return token_form::expect(registry, worker, headers);
    }
    let servable = Servable::of(headers, config.machine_type_from().path.as_deref())?;
    if servable.request == Request::Health {
        return Ok(LocalReply::from(health(config)).into());
    }
    let registry = registry(config, arrival.cluster)?;
    if servable.request == Request::Token {
        return token_endpoint::issue(config, resources, registry, arrival);
    }
    let site = Site { config, resources, registry, worker, headers, address: arrival.address };
    Ok(identify(servable, site, arrival)?.allow(site)?.plan(site).verify(site).exchange(resources))
}

/// Identifies the caller.
fn identify<'a>(
    Servable { path, method, request, said }: Servable<'a>,
    site: Site<'a>,
    arrival: Arrival<'_>,
) -> Result<Authenticated<'a>, Box<LocalReply>> {
    let (mut request, namespace) = request.in_namespace(site.registry.default_namespace.as_ref());
    let caller =
        authenticate::authenticate(site.config, site.resources, &site.worker.known_callers, site.registry, arrival)?;
    let claim = Claim::of(site, &caller, &request, said.map(|said| said.machine_type));
    let described = claim::described(site, &caller, &mut request);
    let repository = request.repository().cloned();
    Ok(Authenticated { path, said, method, request, namespace, repository, mapped: None, caller, claim, described })
}

/// A request whose caller is known, as far as MetaHub can check it.
struct Authenticated<'a> {
    path: &'a str,
    /// The machine type that the path says, if it says one.
    said: Option<Said<'a>>,
    method: Method,
    request: Request,
    /// The namespace that is put before the client's repository, if there is one.
    namespace: Option<&'a Repository>,
    repository: Option<Repository>,
    /// The repository that the machine type is sent to instead.
    mapped: Option<Box<Mapped>>,
    caller: Caller<'a>,
    /// Its machine type, if the answer depends on it.
    claim: Result<Option<Claim>, ClaimDenied>,
    /// The machine that `explain` is asked about, if it is described.
    described: claim::Described,
}

impl<'a> Authenticated<'a> {
    /// Access to the repository that the client names, and to the one in which its machine type finds the image.
    fn allow(mut self, site: Site<'_>) -> Result<Allowed<'a>, Box<LocalReply>> {
        self.permit()?;
        if let Some(mapped) = self.map(site) {
            self.repository = Some(mapped.chosen.clone());
            if let Some(repository) = self.request.repository_mut() {
                repository.clone_from(&mapped.chosen);
            }
            self.mapped = Some(Box::new(mapped));
            self.permit()?;
        }
        Ok(Allowed(self))
    }

    /// The repository in which the machine type finds the image, if it is another one.
    fn map(&self, Site { config, registry, .. }: Site<'_>) -> Option<Mapped> {
        let named = self.repository.as_ref()?;
        let chosen = match (&self.request, &self.claim) {
            (Request::Explain(query), _) => {
                let machine_types = match &self.described {
                    Ok(Some(machine)) => vec![Arc::clone(machine)],
                    _ => self.caller.machine_types(config, registry),
                };
                mapped::chosen(config, registry, named, explain::asked(&machine_types, query).next()?)
            }
            (_, Ok(Some(Claim { view: View::Machine(machine_type), .. }))) => {
                mapped::chosen(config, registry, named, machine_type)
            }
            _ => None,
        };
        chosen.map(|chosen| Mapped::new(named, chosen))
    }

    fn permit(&self) -> Result<(), Box<LocalReply>> {
        if let (Some(account), Some(repository)) = (self.caller.account, &self.repository)
            && !account.may_pull(repository)
        {
            let name = account.name();
            let message = format!("account {name:?} may not pull from {repository}; ask for it, or log in as another");
            return Err(refuse(Code::Denied, Counter::Denied, &message));
        }
        Ok(())
    }
}

/// A request for something that its caller may have.
struct Allowed<'a>(Authenticated<'a>);

impl<'a> Allowed<'a> {
    /// The plan for the request, upstream's `Authorization` aside.
    fn plan(self, site: Site<'_>) -> Planned<'a> {
        let Authenticated { path, said, method, request, namespace, repository, mapped, mut caller, claim, described } =
            self.0;
        let mut session = caller.session(site.registry);
        session.repeated = onward::is_repeated(path);
        if onward::names_a_host(path) {
            session.query = onward::routed(path);
        }
        (session.mapped, session.content) = (mapped, Content::of(&request));
        session.lead = said.map(|said| said.lead.into());
        let changed_path = session.paths().upstream(path, &request, namespace);
        let cache = site.config.cache;
        if let Some((repository, identity)) = repository.as_ref().zip(caller.identity)
            && cache.trusts_earlier_confirmations()
        {
            session.trust = Some(Box::new(Trust { cache, repository: repository.clone(), identity }));
        }
        let plan = take_up(site, &session, &caller, (claim, described), method, request)
            .unwrap_or_else(|refusal| Plan::Answer(*refusal));
        // An answer that was confirmed before sends nothing upstream, so nothing is stripped for it.
        if let Plan::Registry(decision) = &plan
            && !matches!(decision.step, Step::Reply(_))
        {
            let purpose = if decision.passes() { Purpose::Pass } else { Purpose::Manifest };
            session.stripped = forwarded::strip(site.headers, purpose);
            session.stripped.extend(changed_path.map(|path| HeaderChange::Set(":path", path)));
        }
        let (anonymous, presented) = (caller.is_anonymous(), caller.presented);
        Planned { path, plan, anonymous, presented, repository, session }
    }
}

/// The plan for a request that is allowed.
enum Plan {
    /// An answer of MetaHub's own, for which the registry was not asked.
    Answer(LocalReply),
    /// A request to the registry, or an answer that it has confirmed to this very caller before.
    Registry(Decision),
}

/// A request with its plan.
struct Planned<'a> {
    path: &'a str,
    plan: Plan,
    anonymous: bool,
    presented: Presented,
    repository: Option<Repository>,
    session: Session,
}

impl<'a> Planned<'a> {
    /// A caller that has shown no right password yet must not learn which machine types there are, nor get anything
    /// else. A client that did not log in has no password to show.
    fn verify(self, site: Site<'_>) -> Verified<'a> {
        let Self { path, plan, anonymous, presented, repository, session } = self;
        let owns_passwords = site.registry.authentication == Authentication::Upstream;
        let decision = match plan {
            Plan::Answer(answer) if owns_passwords && !anonymous => Verifying::begin(&session, answer),
            Plan::Answer(answer) => answer.into(),
            Plan::Registry(decision) => decision,
        };
        Verified { path, decision, anonymous, presented, repository, session }
    }
}

/// A request whose answer tells nothing to a caller whom the registry has not accepted yet.
struct Verified<'a> {
    path: &'a str,
    decision: Decision,
    anonymous: bool,
    presented: Presented,
    repository: Option<Repository>,
    session: Session,
}

impl Verified<'_> {
    fn exchange(self, resources: &dyn Resources) -> Effects {
        let Self { path, decision, anonymous, presented, repository, session } = self;
        let effects = Exchange::begin(resources, session, &presented, repository.as_ref(), path, decision);
        if anonymous { effects.reporting(Report::count(Counter::Anonymous)) } else { effects }
    }
}

/// The decision about an allowed request.
fn take_up(
    site: Site<'_>,
    session: &Session,
    caller: &Caller<'_>,
    (claim, described): (Result<Option<Claim>, ClaimDenied>, claim::Described),
    method: Method,
    request: Request,
) -> Result<Plan, Box<LocalReply>> {
    let Site { config, resources, registry, worker, .. } = site;
    match request {
        Request::MachineTypes(after) => {
            let document = listing::page(&caller.machine_types(config, registry), after.as_deref());
            let reply = Reply::json(200, &document).with("cache-control", "no-store");
            let reply = reply.with("vary", claim::vary(config));
            Ok(Plan::Answer(reply.into()))
        }
        Request::Explain(query) => {
            let message = "too many explanations are under way; try again later";
            let permit = worker.explain().ok_or_else(|| overloaded(Code::TooManyRequests, message, "explanations"))?;
            let described = described.map_err(|denied| denied.of_question(config, session, caller.account))?;
            let all = || caller.machine_types(config, registry);
            let machine_types = described.map_or_else(all, |machine| vec![machine]);
            let seen = || caller.seen(resources, registry);
            let question = Question::new(config, session, *query, machine_types, seen, permit);
            Explain::begin(Context { resources, session }, question).map(Plan::Registry)
        }
        request => {
            let claim = claim.map_err(|denied| denied.refusal(config, session, caller.account))?;
            Ok(dispatch(site, Context { resources, session }, caller, claim.as_ref(), method, request))
        }
    }
}

/// Everything is allowed: answer the ping, take up manifests, let the rest pass.
fn dispatch(
    site: Site<'_>,
    at: Context<'_>,
    caller: &Caller<'_>,
    claim: Option<&Claim>,
    method: Method,
    request: Request,
) -> Plan {
    let Site { config, registry, worker, headers, .. } = site;
    let unconditional = || !CONDITIONS.iter().any(|name| headers.has(name));
    let observes = registry.mode == Mode::Observe;
    // A request for less, or for other types, gets what it would get without MetaHub.
    let may_be_observed = || !at.session.repeated && accept_header::asks_for_all(headers) && unconditional();
    Plan::Registry(match (request, claim) {
        // Where the registry owns the passwords, it is asked.
        (Request::Ping, _) if registry.authentication != Authentication::Upstream => {
            let reply = Reply::json(200, &json!({}));
            return Plan::Answer(if let Some(claim) = claim { claim.told(reply) } else { reply }.into());
        }
        (
            Request::Manifest(repository, Reference::Tag(tag)),
            Some(claim @ Claim { view: View::Machine(machine_type), .. }),
        ) if !is_artifact_tag(tag.as_str()) && (!observes || may_be_observed()) => {
            match ManifestByTag::asked_by(site, at, caller, (claim, machine_type), (repository, tag), method) {
                Ok(decision) => decision,
                Err(answer) => return Plan::Answer(answer),
            }
        }
        (Request::Manifest(_, Reference::Tag(_)), _) => passing().reporting(Report::count(Counter::PassedThrough)),
        (Request::Manifest(repository, Reference::Digest(digest)), claim) => {
            // A client without a machine type may be one.
            let selects = !matches!(claim, Some(Claim { view: View::Unfiltered, .. })) && !observes;
            let indexes = selects.then_some(config.index_by_digest);
            let recent = Rc::clone(&worker.recent);
            let asked = DigestRequest { repository, digest, indexes, cache: config.cache, recent };
            let is_whole = method == Method::Get && config.cache.is_on() && unconditional();
            ManifestByDigest::begin(at, asked, headers, is_whole)
        }
        _ => passing(),
    })
}

/// Lets a request and its answer pass unchanged.
fn passing() -> Decision {
    Decision::new(Next::Pass, Step::Continue(Vec::new()))
}

fn registry<'a>(config: &'a Config, cluster: Option<&str>) -> Result<&'a Arc<Registry>, Box<LocalReply>> {
    let Some(cluster) = cluster else {
        let message = "no Envoy route leads from this host and path to a registry";
        return Err(refuse(Code::NameUnknown, Counter::Refused, message));
    };
    config.registry(cluster).ok_or_else(|| {
        let message = format!("MetaHub's configuration names no registry for the Envoy cluster {cluster:?}");
        refuse(Code::Denied, Counter::Denied, &message)
    })
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
