//! Images whose variants are tags or repositories, as the configuration describes them (`images`).
//!
//! Hardly any public index carries features: the variant is in the tag, or in another repository. A rule says which
//! tags there are for which machines, and a pull of one name becomes a search among them. Nothing here does I/O.

mod form;
mod lines;
mod rule;
mod search;

use std::collections::BTreeMap;

pub(crate) use form::{Form, pattern, template};
pub use lines::Line;
pub(crate) use lines::MachinePlatform;
pub use rule::{ImageRules, Plan, TagRule, Variant};
pub use search::{Lack, Search, joined};

use crate::auth::pattern::Pattern;
use crate::oci::reference::Repository;

/// The rules of all images. An exact name goes before a pattern, and no two patterns match one name.
#[derive(Debug, Default)]
pub struct Images {
    pub(crate) exact: BTreeMap<String, ImageRules>,
    pub(crate) patterns: Vec<(Pattern, ImageRules)>,
}

impl Images {
    /// The rules of a repository.
    #[must_use]
    pub fn of(&self, repository: &Repository) -> Option<&ImageRules> {
        self.exact.get(repository.as_str()).or_else(|| {
            let matching = self.patterns.iter().find(|(pattern, _)| pattern.matches(repository));
            matching.map(|(_, rules)| rules)
        })
    }
}

#[cfg(test)]
mod tests;
