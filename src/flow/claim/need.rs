//! Which answers depend on a machine type.

use crate::flow::mapped;
use crate::flow::site::Site;
use crate::oci::reference::Reference;
use crate::request::Request;

/// How an answer depends on the client's machine type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// There is none without it.
    Must,
    /// It says more with it.
    May,
    /// Not at all.
    None,
}

impl Need {
    /// Only a tag needs a machine type, once anything but the login may say one: many requests of runtimes do not carry
    /// what their pulls do. Where the login alone says it, a login that says none gets nothing.
    pub(super) fn of(Site { config, registry, .. }: Site<'_>, request: &Request) -> Self {
        match request {
            Request::MachineTypes(_) | Request::Explain(_) => Self::None,
            Request::Manifest(_, Reference::Tag(_)) => Self::Must,
            _ if !config.has_sources() => Self::Must,
            // There the machine type says which repository is read.
            request if request.repository().is_some_and(|named| mapped::by_machine(config, registry, named)) => {
                Self::Must
            }
            Request::Manifest(..) | Request::Ping => Self::May,
            _ => Self::None,
        }
    }
}
