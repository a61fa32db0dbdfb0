//! Images that a machine finds in another repository (`repositories` of an image's rules). The request is for that
//! repository from then on.

use std::sync::Arc;

use crate::config::{Config, Mode, Registry};
use crate::images::{ImageRules, TagRule};
use crate::machine_type::MachineType;
use crate::oci::reference::{Repository, Tag};

/// A repository in the place of the one that the client names.
#[derive(Clone, Debug)]
pub(super) struct Mapped {
    /// The repository that the client names, with its namespace.
    pub(super) named: Repository,
    /// The one in which the machine finds the image.
    pub(super) chosen: Repository,
}

impl Mapped {
    pub(super) fn new(named: &Repository, chosen: &Repository) -> Self {
        Self { named: named.clone(), chosen: chosen.clone() }
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

/// Whether the machine type says in which repository an image is found.
pub(super) fn by_machine(config: &Config, registry: &Registry, named: &Repository) -> bool {
    rules(config, registry, named).is_some_and(ImageRules::has_repositories)
}

/// The rules of an image. A registry that is only observed is asked for what clients ask for, so it has none.
fn rules<'c>(config: &'c Config, registry: &Registry, repository: &Repository) -> Option<&'c ImageRules> {
    config.images().of(repository).filter(|_| registry.mode != Mode::Observe)
}
