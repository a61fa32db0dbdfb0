//! The machine type of a request: the first place that speaks says it ([`Source`] has the order). Nothing that is
//! remembered of a login holds it, so that nodes which share a login each get their own images.
//!
//! A refusal is about a caller who is known already; where the registry owns the passwords it has to accept the login
//! first. Otherwise guessing would tell the names of machine types.

mod denied;
mod header;
mod need;

use std::borrow::Cow;
use std::sync::Arc;

pub(super) use self::denied::ClaimDenied;
use self::need::Need;
use super::caller::Caller;
use super::reply::Reply;
use super::site::Site;
use crate::auth::account::{Grant, View};
use crate::config::{Config, HostClaim, InvalidClaim, LoginClaim};
use crate::machine_type::{MachineType, Source};
use crate::oci::reference::Reference;
use crate::request::Request;

/// The view of a request, and the place that says it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) view: View,
    pub(super) source: Source,
    /// The login name says another machine type.
    pub(super) disagrees: bool,
}

impl Claim {
    /// The claim of a caller's request; `None` where the answer depends on none. `path` is the path's word on the
    /// machine type.
    ///
    /// # Errors
    /// [`ClaimDenied`] where the answer depends on it.
    pub(super) fn of(
        site: Site<'_>,
        caller: &Caller<'_>,
        request: &Request,
        path: Option<&str>,
    ) -> Result<Option<Self>, ClaimDenied> {
        let granted = || Self::first(site, caller, path)?.granted(site, caller);
        match Need::of(site, request) {
            Need::Must if matches!(request, Request::Manifest(_, Reference::Tag(_))) => {
                granted()?.admitted(site).map(Some)
            }
            Need::Must => granted().map(Some),
            Need::May => Ok(granted().ok()),
            Need::None => Ok(None),
        }
    }

    /// A reply with the headers that say the machine type and its source.
    pub(super) fn told(&self, reply: Reply) -> Reply {
        let reply = reply.with("x-metahub-machine-type", self.view.name());
        reply.with("x-metahub-machine-type-source", self.source.as_str())
    }

    /// The word of the first place that speaks.
    fn first(site: Site<'_>, caller: &Caller<'_>, path: Option<&str>) -> Result<Self, ClaimDenied> {
        let Site { config, registry, .. } = site;
        let said = |view: &View, source| Ok(Self { view: view.clone(), source, disagrees: false });
        let named = if caller.is_anonymous() {
            LoginClaim::Nothing
        } else {
            config.login_claim(registry.authentication, &caller.user, caller.account)
        };
        if let Some(claim) = Self::of_node(site, path)? {
            return Ok(claim.beside(config, named));
        }
        let bound = caller.account.and_then(|account| match &account.grant {
            Grant::Bound(view) => Some(view),
            Grant::Of(_) | Grant::Any => None,
        });
        match (named, bound) {
            (LoginClaim::Named(name), _) => return Self::read(site, name, Source::Login),
            (_, Some(view)) => return said(view, Source::Account),
            (LoginClaim::Unknown, None) => return Err(ClaimDenied::NoMachineType),
            (LoginClaim::Nothing, None) => {}
        }
        let addresses = &config.machine_type_from().addresses;
        // Asking for the address costs a call into Envoy.
        let address = if addresses.is_empty() { None } else { (site.address)() };
        if let Some(view) = address.and_then(|address| addresses.find(address)) {
            return said(view, Source::Address);
        }
        let (view, source) = if caller.is_anonymous() {
            (&registry.anonymous, Source::Anonymous)
        } else {
            (&config.default_machine_type, Source::Default)
        };
        view.as_ref().map_or(Err(ClaimDenied::NoMachineType), |view| said(view, source))
    }

    /// The node's word: in a header, the path or the host that it asks for.
    fn of_node(site: Site<'_>, path: Option<&str>) -> Result<Option<Self>, ClaimDenied> {
        let Site { config, headers, .. } = site;
        let from = config.machine_type_from();
        if from.header
            && let Some(text) = header::text(headers)
        {
            let malformed = |problem| ClaimDenied::Malformed(Cow::Borrowed(problem), Source::Header);
            return Self::read(site, &text.map_err(malformed)?, Source::Header).map(Some);
        }
        if let Some(text) = path {
            return Self::read(site, text, Source::Path).map(Some);
        }
        if from.hosts.is_empty() {
            return Ok(None);
        }
        let host = headers.first(":authority").or_else(|| headers.first("host"));
        match host.and_then(|host| from.hosts.find(host)) {
            Some(HostClaim::Configured(view)) => {
                Ok(Some(Self { view: view.clone(), source: Source::Host, disagrees: false }))
            }
            Some(HostClaim::Label(label)) => Self::read(site, &label, Source::Host).map(Some),
            None => Ok(None),
        }
    }

    fn read(Site { config, worker, .. }: Site<'_>, text: &str, source: Source) -> Result<Self, ClaimDenied> {
        let said = |view| Ok(Self { view, source, disagrees: false });
        let may_be_described = config.may_be_described(text, source);
        if may_be_described && let Some(machine) = worker.described.find(text, source) {
            return said(View::Machine(machine));
        }
        match config.claimed(text, source) {
            Ok(view) => {
                if may_be_described && let View::Machine(machine) = &view {
                    worker.described.on_read(text, source, machine);
                }
                said(view)
            }
            Err(InvalidClaim::Unknown) => Err(ClaimDenied::Unknown(text.to_owned(), source)),
            Err(InvalidClaim::Malformed(problem)) => Err(ClaimDenied::Malformed(problem, source)),
        }
    }

    /// The claim, unless it describes a machine anew and the client has sent too many descriptions lately.
    fn admitted(self, Site { resources, worker, address, .. }: Site<'_>) -> Result<Self, ClaimDenied> {
        if let View::Machine(machine) = &self.view
            && machine.is_described()
        {
            worker.described.admit(resources, machine, address).map_err(ClaimDenied::Limited)?;
        }
        Ok(self)
    }

    /// The node's word beside that of the login name, which does not count then.
    fn beside(mut self, config: &Config, named: LoginClaim<'_>) -> Self {
        if let LoginClaim::Named(name) = named {
            let login = config.claimed(name, Source::Login);
            self.disagrees = login.is_ok_and(|view| view.name() != self.view.name());
        }
        self
    }

    /// The claim, if this caller may have the view. The view of clients that do not log in is theirs.
    fn granted(self, Site { registry, .. }: Site<'_>, caller: &Caller<'_>) -> Result<Self, ClaimDenied> {
        let may = match caller.account {
            Some(account) => account.may_use(&self.view),
            None => !caller.is_anonymous() || registry.may_be_anonymous(&self.view),
        };
        if may { Ok(self) } else { Err(ClaimDenied::NotGranted(self.view, self.source)) }
    }
}

/// The machine that `explain` is asked about, if its query describes one.
pub(super) type Described = Result<Option<Arc<MachineType>>, ClaimDenied>;

/// The machine that a query of `explain` describes. The query has its name then.
///
/// # Errors
/// [`ClaimDenied`], about no place.
pub(super) fn described(site: Site<'_>, caller: &Caller<'_>, request: &mut Request) -> Described {
    let Request::Explain(query) = request else { return Ok(None) };
    let is_description = |text: &&mut String| site.config.may_be_described(text, Source::Header);
    let Some(text) = query.machine_type.as_mut().filter(is_description) else { return Ok(None) };
    let claim = Claim::read(site, text, Source::Header)?.granted(site, caller)?.admitted(site)?;
    let View::Machine(machine) = claim.view else { return Ok(None) };
    machine.name().clone_into(text);
    Ok(Some(machine))
}

/// `Vary` of answers that depend on the client.
pub(super) fn vary(config: &Config) -> &'static str {
    if config.machine_type_from().header { "Authorization, X-MetaHub-Machine-Type" } else { "Authorization" }
}
