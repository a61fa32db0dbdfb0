//! The two names of a path: clients ask for a repository by MetaHub's name, and the registry may have it by another (a
//! prefix, a repository that an image's rules choose). Here a client's path becomes the registry's, and paths in the
//! registry's answers become the client's again, so that it goes on where it began.

use super::mapped::Mapped;
use crate::config::Registry;
use crate::flow::reply::Reply;
use crate::oci::reference::Repository;
use crate::request::Request;
use crate::text::headers::{HeaderChange, Headers};

/// The headers that may name a path of the registry.
pub(super) const PATHS: [&str; 2] = ["link", "location"];

/// The beginning of every path of the registry's.
const BASE: &str = "/v2/";

/// The names of a request's paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paths<'s> {
    pub(super) registry: &'s Registry,
    /// The repository that stands in the place of the one that the client names.
    pub(super) mapped: Option<&'s Mapped>,
}

impl Paths<'_> {
    /// Whether the registry's paths are not the client's.
    pub(super) const fn differ(&self) -> bool {
        self.mapped.is_some() || self.registry.prefix.is_some()
    }

    /// The path of the client's own request as it goes upstream, if it is another than the client's, `sent`. The
    /// repository of `request` is the one in which the image is found, `namespace` was put before the one that the
    /// client names. `routed` is the part of a manifest's query that routes may need.
    pub(super) fn upstream(
        &self,
        sent: &str,
        request: &Request,
        namespace: Option<&Repository>,
        routed: &str,
    ) -> Option<String> {
        match request {
            Request::Manifest(repository, reference) => {
                let repository = self.registry.upstream(repository);
                let parts = [BASE, repository.as_str(), "/manifests/", reference.as_str(), routed];
                let rest = parts.iter().try_fold(sent, |rest, part| rest.strip_prefix(part));
                if rest == Some("") { None } else { Some(parts.concat()) }
            }
            Request::Blob(repository) | Request::Tags(repository) | Request::Referrers(repository)
                if self.differ() || namespace.is_some() =>
            {
                let named = self.mapped.map_or(repository, |mapped| &mapped.named).as_str();
                let written = match namespace {
                    Some(namespace) => named.strip_prefix(namespace.as_str())?.strip_prefix('/')?,
                    None => named,
                };
                let rest = sent.strip_prefix(BASE)?.strip_prefix(written)?;
                Some([BASE, self.registry.upstream(repository).as_str(), rest].concat())
            }
            _ => None,
        }
    }

    /// The changes that turn the paths in an answer's headers back.
    pub(super) fn changes(&self, headers: Headers<'_>) -> Vec<HeaderChange> {
        let back = |name| Some(HeaderChange::Set(name, self.back(headers.text(name)?)?));
        PATHS.into_iter().filter_map(back).collect()
    }

    /// Turns the paths in an answer that is passed on back.
    pub(super) fn turn_back(&self, reply: &mut Reply) {
        for (name, value) in &mut reply.headers {
            if PATHS.contains(&&**name)
                && let Some(back) = self.back(value)
            {
                *value = back;
            }
        }
    }

    /// A value of one of these headers with the client's paths; `None` if it has no path of the registry's.
    fn back(&self, value: &str) -> Option<String> {
        // Each URL of `Link` stands behind a `<`; `Location` is one.
        let parts: Vec<_> = value.split('<').map(|part| (part, self.turned(part))).collect();
        let is_turned = parts.iter().any(|(_, turned)| turned.is_some());
        let parts = || parts.iter().map(|(part, turned)| turned.as_deref().unwrap_or(part)).collect::<Vec<_>>();
        is_turned.then(|| parts().join("<"))
    }

    /// The same for one URL and what follows it.
    fn turned(&self, url: &str) -> Option<String> {
        let schemes = ["https://", "http://"];
        let path = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)?.strip_prefix(&*self.registry.host));
        let path = path.unwrap_or(url);
        let rest = path.strip_prefix(BASE)?;
        let rest = match &self.registry.prefix {
            Some(prefix) => rest.strip_prefix(prefix.as_str())?.strip_prefix('/')?,
            None => rest,
        };
        let before = url.strip_suffix(path)?;
        let in_chosen = self.mapped.and_then(|mapped| Some((mapped, rest.strip_prefix(mapped.chosen.as_str())?)));
        let parts = match in_chosen {
            Some((mapped, rest)) if rest.starts_with('/') => [before, BASE, mapped.named.as_str(), rest],
            _ => [before, BASE, rest, ""],
        };
        Some(parts.concat()).filter(|turned| turned != url)
    }
}

#[cfg(test)]
mod tests;
