//! Images that a machine finds in another repository (`repositories` of an image's rules). The request is for that
//! repository from then on; paths in the registry's answer are turned back, so that clients go on where they began.

use std::sync::Arc;

use crate::config::{Config, Mode, Registry};
use crate::flow::reply::Reply;
use crate::images::{ImageRules, TagRule};
use crate::machine_type::MachineType;
use crate::oci::reference::{Repository, Tag};
use crate::text::headers::{HeaderChange, Headers};

/// The headers that may name a path in the repository.
pub(super) const PATHS: [&str; 2] = ["link", "location"];

/// A repository in the place of the one that the client names.
#[derive(Clone, Debug)]
pub(super) struct Mapped {
    /// The repository that the client names, with its namespace.
    pub(super) named: Repository,
    /// The one in which the machine finds the image.
    pub(super) chosen: Repository,
    /// The registry's host.
    host: String,
}

impl Mapped {
    pub(super) fn new(named: &Repository, chosen: &Repository, host: &str) -> Self {
        Self { named: named.clone(), chosen: chosen.clone(), host: host.to_owned() }
    }

    /// A client's path as the registry gets it. `namespace` was put before the repository that it names.
    pub(super) fn path(&self, sent: &str, namespace: Option<&Repository>) -> Option<String> {
        let named = self.named.as_str();
        let written = match namespace {
            Some(namespace) => named.strip_prefix(namespace.as_str())?.strip_prefix('/')?,
            None => named,
        };
        Some(format!("/v2/{}{}", self.chosen, sent.strip_prefix("/v2/")?.strip_prefix(written)?))
    }

    /// The changes that turn the paths in an answer's headers back.
    pub(super) fn changes(&self, headers: Headers<'_>) -> Vec<HeaderChange> {
        let back = |name| Some(HeaderChange::Set(name, self.back(headers.text(name)?)?));
        PATHS.into_iter().filter_map(back).collect()
    }

    /// Turns the paths in the headers of a reply back.
    pub(super) fn turn_back(&self, reply: &mut Reply) {
        for (name, value) in &mut reply.headers {
            if PATHS.contains(&&**name)
                && let Some(back) = self.back(value)
            {
                *value = back;
            }
        }
    }

    /// A path in the chosen repository, or a URL of the registry's with one, turned back; `None` for any other.
    fn back(&self, value: &str) -> Option<String> {
        let start = value.find(|first| first != '<')?;
        let (open, url) = value.split_at_checked(start)?;
        let schemes = ["https://", "http://"];
        let path = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)?.strip_prefix(self.host.as_str()));
        let path = path.unwrap_or(url);
        let rest = path.strip_prefix("/v2/")?.strip_prefix(self.chosen.as_str())?.strip_prefix('/')?;
        let before = url.strip_suffix(path)?;
        Some(format!("{open}{before}/v2/{}/{rest}", self.named))
    }
}

/// The rule of a tag.
pub(super) fn rule<'c>(
    config: &'c Config,
    registry: &Registry,
    repository: &Repository,
    tag: &Tag,
) -> Option<&'c Arc<TagRule>> {
    rules(config, registry, repository)?.rule(tag)
}

/// The repository in which a machine finds an image; `None` if it is the one that the client names.
pub(super) fn chosen<'c>(
    config: &'c Config,
    registry: &Registry,
    named: &Repository,
    machine_type: &MachineType,
) -> Option<&'c Repository> {
    rules(config, registry, named)?.repository(machine_type).filter(|chosen| *chosen != named)
}

/// The rules of an image. A registry that is only observed is asked for what clients ask for, so it has none.
fn rules<'c>(config: &'c Config, registry: &Registry, repository: &Repository) -> Option<&'c ImageRules> {
    config.images().of(repository).filter(|_| registry.mode != Mode::Observe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_registry_are_turned_back() {
        let repository = |name: &str| Repository::parse(name).unwrap();
        let mapped = Mapped::new(&repository("a/b"), &repository("a/b-rocm"), "registry.example");
        let rows = [
            ("/v2/a/b-rocm/blobs/x", Some("/v2/a/b/blobs/x")),
            ("</v2/a/b-rocm/tags/list?n=2>; rel=\"next\"", Some("</v2/a/b/tags/list?n=2>; rel=\"next\"")),
            ("https://registry.example/v2/a/b-rocm/blobs/x", Some("https://registry.example/v2/a/b/blobs/x")),
            ("https://storage.example/v2/a/b-rocm/blobs/x", None),
            ("https://registry.example.org/v2/a/b-rocm/blobs/x", None),
            ("/v2/a/b-rocm2/blobs/x", None),
            ("/v2/a/b/blobs/x", None),
            ("", None),
        ];
        for (value, expected) in rows {
            assert_eq!(mapped.back(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn paths_of_clients_lead_to_the_chosen_repository() {
        let repository = |name: &str| Repository::parse(name).unwrap();
        let mapped = Mapped::new(&repository("library/b"), &repository("x/c"), "registry.example");
        let library = repository("library");
        assert_eq!(mapped.path("/v2/b/tags/list?n=2", Some(&library)).as_deref(), Some("/v2/x/c/tags/list?n=2"));
        assert_eq!(mapped.path("/v2/library/b/blobs/x", None).as_deref(), Some("/v2/x/c/blobs/x"));
    }
}
