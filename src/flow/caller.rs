//! A client whose login was checked, and the credentials that the registry gets for it. Its machine type is not here:
//! each request says it anew (`claim.rs`).

use std::sync::Arc;

use super::challenge::Challenge;
use super::session::Session;
use crate::auth::account::{Account, View};
use crate::auth::credentials::{Credentials, Presented};
use crate::config::{Config, Registry};
use crate::machine_type::MachineType;
use crate::store::keys::{Identity, ProcessKey};
use crate::store::resources::Resources;

/// The user in log lines of clients that did not log in.
pub(super) const ANONYMOUS: &str = "anonymous";

/// A client whose login was checked as far as MetaHub can: with `authentication: upstream` the registry's answer is
/// still to come.
pub(super) struct Caller<'a> {
    pub(super) user: String,
    pub(super) account: Option<&'a Account>,
    /// The credentials that the registry gets.
    pub(super) presented: Presented,
    /// How the client is asked for better credentials.
    pub(super) challenge: Challenge,
    /// A keyed digest of the upstream cluster and the complete credential. `None` where nothing may be kept for the
    /// caller: a token that only the registry can judge, or no key.
    pub(super) identity: Option<Identity>,
    pub(super) proof: Proof,
}

/// How far a caller's login was checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
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
        let mut session = Session::new(registry, std::mem::take(&mut self.user), challenge);
        session.anonymous = self.is_anonymous();
        session
    }

    /// The machine types that the caller may ask about.
    pub(super) fn machine_types(&self, config: &Config, registry: &Registry) -> Vec<Arc<MachineType>> {
        match &registry.anonymous {
            // They may be any of these, if they say so.
            Some(View::Machine(_)) if self.is_anonymous() && config.has_sources() => {
                let may = |machine_type: &Arc<MachineType>| {
                    registry.may_be_anonymous(&View::Machine(Arc::clone(machine_type)))
                };
                config.machine_types.values().filter(|machine_type| may(machine_type)).cloned().collect()
            }
            Some(View::Machine(machine_type)) if self.is_anonymous() => vec![Arc::clone(machine_type)],
            _ => config.allowed_machine_types(self.account),
        }
    }
}

pub(super) fn logged_in<'a>(user: String, account: Option<&'a Account>, presented: Presented) -> Caller<'a> {
    let (challenge, identity, proof) = (Challenge::basic(), None, Proof::Claimed);
    Caller { user, account, presented, challenge, identity, proof }
}

/// The credentials that MetaHub itself presents. There are none where each client brings its own: no configuration may
/// have both.
pub(super) fn shared(registry: &Registry) -> Presented {
    registry.credentials.clone().map_or(Presented::Nothing, Presented::Password)
}

pub(super) fn identity(resources: &dyn Resources, registry: &Registry, credential: &[&str]) -> Option<Identity> {
    Some(Identity::of(&ProcessKey::of(resources)?, &registry.cluster, credential))
}
