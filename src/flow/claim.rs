//! The machine type of a request: the first place that speaks says it ([`Source`] has the order). Nothing that is
//! remembered of a login holds it, so that nodes which share a login each get their own images.

use super::caller::Caller;
use super::local_reply::{LocalReply, refuse};
use super::report::Counter;
use crate::auth::account::{Account, Grant, View};
use crate::config::{Config, LoginClaim, Registry};
use crate::machine_type::Source;
use crate::oci::errors::Code;

/// The view of a request, and the place that says it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) view: View,
    pub(super) source: Source,
}

/// Why a request has no view.
#[derive(Clone, Debug)]
pub(super) enum ClaimDenied {
    /// No place says a machine type.
    NoMachineType,
    /// The account may not be this machine type.
    NotGranted(Claim),
}

impl Claim {
    /// The claim of a caller's request.
    ///
    /// # Errors
    /// [`ClaimDenied`].
    pub(super) fn of(config: &Config, registry: &Registry, caller: &Caller<'_>) -> Result<Self, ClaimDenied> {
        let claim = Self::first(config, registry, caller)?;
        match caller.account {
            Some(account) if !account.may_use(&claim.view) => Err(ClaimDenied::NotGranted(claim)),
            _ => Ok(claim),
        }
    }

    /// The word of the first place that speaks.
    fn first(config: &Config, registry: &Registry, caller: &Caller<'_>) -> Result<Self, ClaimDenied> {
        let said = |view: &View, source| Ok(Self { view: view.clone(), source });
        if caller.is_anonymous() {
            let view = registry.anonymous.as_ref().ok_or(ClaimDenied::NoMachineType)?;
            return said(view, Source::Anonymous);
        }
        let named = config.login_claim(registry.authentication, &caller.user, caller.account);
        let bound = caller.account.and_then(|account| match &account.grant {
            Grant::Bound(view) => Some(view),
            Grant::Of(_) | Grant::Any => None,
        });
        match (named, bound, &config.default_machine_type) {
            (LoginClaim::Named(name), ..) => {
                let view = config.claimed(name).map_err(|_| ClaimDenied::NoMachineType)?;
                Ok(Self { view, source: Source::Login })
            }
            (_, Some(view), _) => said(view, Source::Account),
            (LoginClaim::Nothing, None, Some(view)) => said(view, Source::Default),
            (LoginClaim::Nothing, None, None) | (LoginClaim::Unknown, None, _) => Err(ClaimDenied::NoMachineType),
        }
    }
}

impl ClaimDenied {
    /// The answer to a request that needs a machine type.
    #[cold]
    pub(super) fn refusal(&self, config: &Config, user: &str, account: Option<&Account>) -> Box<LocalReply> {
        let message = match self {
            Self::NoMachineType => {
                let separator = &config.username_separator;
                format!(
                    "the login {user:?} names no machine type that MetaHub knows; log in as \
                     <account>{separator}<machine type>"
                )
            }
            Self::NotGranted(Claim { view, .. }) => {
                let account = account.map_or(user, Account::name);
                let name = view.name();
                format!("account {account:?} may not log in as machine type {name:?}; ask for it, or log in as another")
            }
        };
        refuse(Code::Denied, Counter::Denied, &message)
    }
}
