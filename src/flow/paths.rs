//! The two names of a path: clients ask for a repository by MetaHub's name, perhaps below a machine type, and the
//! registry may have it by another (a prefix, a repository that an image's rules choose). Here a client's path becomes
//! the registry's, and paths in the registry's answers become the client's again, so that it goes on where it began:
//! with MetaHub, also where the registry names itself by its host.

use super::mapped::Mapped;
use super::onward;
use crate::config::Registry;
use crate::flow::reply::Reply;
use crate::oci::reference::Repository;
use crate::request::{BASE, Request, canonical_digest};
use crate::text::headers::{HeaderChange, Headers};

/// The headers that may name a path of the registry.
const PATHS: [&str; 2] = ["link", "location"];

/// The kind of thing that is asked for, as far as it matters for paths in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Manifest,
    Blob,
    /// Tags or referrers, which may go on at another path.
    List,
    /// Nothing in a repository.
    Other,
}

impl Content {
    pub(super) const fn of(request: &Request) -> Self {
        match request {
            Request::Manifest(..) => Self::Manifest,
            Request::Blob(_) => Self::Blob,
            Request::Tags(_) | Request::Referrers(_) => Self::List,
            Request::Ping | Request::Health | Request::Token | Request::MachineTypes(_) | Request::Explain(_) => {
                Self::Other
            }
        }
    }
}

/// The names of a request's paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paths<'s> {
    pub(super) registry: &'s Registry,
    /// The repository that stands in the place of the one that the client names.
    pub(super) mapped: Option<&'s Mapped>,
    pub(super) content: Content,
    /// The beginning of the client's paths, which may say a machine type.
    pub(super) lead: &'s str,
    /// The part of the client's query by which Envoy chose the route, with its question mark; or nothing.
    pub(super) routed: &'s str,
}

impl Paths<'_> {
    /// Whether the registry's paths are not the client's.
    fn differ(&self) -> bool {
        self.mapped.is_some() || self.registry.prefix.is_some() || self.lead != BASE
    }

    /// The headers of an answer with this status that may name a path. Reading one costs a call into Envoy, so only
    /// those are named that such an answer has by the specification (RFC 9110 §10.2.2; OCI distribution spec, §Content
    /// Discovery), and for a manifest under another name both.
    pub(super) fn named_in(&self, status: &[u8]) -> &'static [&'static str] {
        match (self.content, status) {
            (Content::Other, _) => &[],
            (_, b"201" | [b'3', _, _]) => &["location"],
            (Content::List, b"200") => &["link"],
            (Content::Manifest, _) if self.differ() => &PATHS,
            _ => &[],
        }
    }

    /// The path of the client's own request as it goes upstream, if it is another than the client's, `sent`. The
    /// repository of `request` is the one in which the image is found, `namespace` was put before the one that the
    /// client names. A digest goes in its one form.
    pub(super) fn upstream(&self, sent: &str, request: &Request, namespace: Option<&Repository>) -> Option<String> {
        let renamed = self.renamed(sent, request, namespace);
        canonical(renamed.as_deref().unwrap_or(sent)).or(renamed)
    }

    /// The same; a digest of a blob or of referrers is left as it was sent.
    fn renamed(&self, sent: &str, request: &Request, namespace: Option<&Repository>) -> Option<String> {
        match request {
            Request::Manifest(repository, reference) => {
                let repository = self.registry.upstream(repository);
                let parts = [BASE, repository.as_str(), "/manifests/", reference.as_str(), self.routed];
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
                let rest = sent.strip_prefix(self.lead)?.strip_prefix(written)?;
                Some([BASE, self.registry.upstream(repository).as_str(), rest].concat())
            }
            Request::Ping if self.lead != BASE => {
                let query = sent.find('?').and_then(|start| sent.get(start..));
                Some([BASE, query.unwrap_or_default()].concat())
            }
            _ => None,
        }
    }

    /// The registry's path of a manifest, on the route that the client's request has taken.
    pub(super) fn manifest(&self, repository: &Repository, reference: &str) -> String {
        [BASE, self.registry.upstream(repository).as_str(), "/manifests/", reference, self.routed].concat()
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

    /// The same for one URL and what follows it. Nothing of the registry's is served but what is below `/v2/`, so other
    /// URLs of its host stay as they are.
    fn turned(&self, url: &str) -> Option<String> {
        let rest = path_at(&self.registry.host, url).unwrap_or(url).strip_prefix(BASE)?;
        let rest = match &self.registry.prefix {
            Some(prefix) => rest.strip_prefix(prefix.as_str())?.strip_prefix('/')?,
            None => rest,
        };
        let in_chosen = self.mapped.and_then(|mapped| Some((mapped, rest.strip_prefix(mapped.chosen.as_str())?)));
        let parts = match in_chosen {
            Some((mapped, rest)) if rest.starts_with('/') => [self.lead, mapped.named.as_str(), rest],
            _ => [self.lead, rest, ""],
        };
        Some(self.by_the_same_route(parts.concat())).filter(|turned| turned != url)
    }

    /// A path of the client's, and what follows it in `Link`, with `ns`: without it Envoy would look for the rest at
    /// another registry.
    fn by_the_same_route(&self, path: String) -> String {
        let Some(pair) = self.routed.strip_prefix('?') else { return path };
        let (url, behind) = path.split_at(path.find('>').unwrap_or(path.len()));
        if !onward::routed(url).is_empty() {
            return path;
        }
        let separator = if url.contains('?') { "&" } else { "?" };
        [url, separator, pair, behind].concat()
    }
}

/// The path of a URL that is at this host, by `http` or `https`, and what follows the path.
fn path_at<'u>(host: &str, url: &'u str) -> Option<&'u str> {
    let (scheme, rest) = url.split_once("//")?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let is_web = ["https:", "http:", ""].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let is_there = without_default_port(authority).eq_ignore_ascii_case(without_default_port(host));
    (is_web && is_there).then_some(path)
}

fn without_default_port(authority: &str) -> &str {
    authority.strip_suffix(":443").or_else(|| authority.strip_suffix(":80")).unwrap_or(authority)
}

/// A path that ends in a digest whose colon is encoded, with the digest in its one form: the registry, and what stands
/// before it, must read it as MetaHub has. `None` for every other path.
fn canonical(path: &str) -> Option<String> {
    let end = path.find('?').unwrap_or(path.len());
    let (path, query) = path.split_at_checked(end)?;
    let (before, last) = path.rsplit_once('/')?;
    Some([before, "/", &canonical_digest(last)?, query].concat())
}

#[cfg(test)]
mod tests;
