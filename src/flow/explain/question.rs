//! The question of an `explain` request.

use std::sync::Arc;

use crate::config::Config;
use crate::flow::session::Session;
use crate::flow::worker::Permit;
use crate::flow::{claim, mapped};
use crate::images::TagRule;
use crate::machine_type::{MachineType, listing};
use crate::oci::index::is_artifact_tag;
use crate::oci::reference::{Reference, Repository};
use crate::request::query::ExplainQuery;
use crate::select::OnNoMatch;
use crate::store::cache::Cache;
use crate::store::keys::Identity;

/// The question: all that does not change until it is answered.
#[derive(Debug)]
pub(in crate::flow) struct Question {
    pub(in crate::flow) query: ExplainQuery,
    /// The repository that the caller names: the query has the one in which the machine types find the image.
    pub(in crate::flow) named: Repository,
    /// The most machine types that the answer tells of.
    pub(in crate::flow) limit: usize,
    /// The rule of the tag, if the image has one.
    pub(in crate::flow) rule: Option<Arc<TagRule>>,
    /// The machine types that the caller may use, by name.
    pub(in crate::flow) machine_types: Vec<Arc<MachineType>>,
    pub(in crate::flow) on_no_match: OnNoMatch,
    /// `Vary` of the answer.
    pub(in crate::flow) vary: &'static str,
    pub(in crate::flow) cache: Cache,
    /// A keyed digest of the credential that the registry sees; `None` where nothing may be remembered.
    pub(in crate::flow) seen: Option<Identity>,
    /// The place among the explanations that may be under way.
    pub(in crate::flow) _permit: Permit,
}

impl Question {
    /// A question about these machine types. `seen` gives the digest of the credential that the registry sees.
    pub(in crate::flow) fn new(
        config: &Config,
        session: &Session,
        query: ExplainQuery,
        machine_types: Vec<Arc<MachineType>>,
        seen: impl FnOnce() -> Option<Identity>,
        permit: Permit,
    ) -> Self {
        let registry = &session.registry;
        let rule = match &query.reference {
            Reference::Tag(tag) if !is_artifact_tag(tag.as_str()) => {
                mapped::rule(config, registry, &query.repository, tag).cloned()
            }
            _ => None,
        };
        let named = session.mapped.as_ref().map_or(&query.repository, |mapped| &mapped.named).clone();
        // One answer is about machine types that find the image in one repository.
        let is_here = |machine_type: &&Arc<MachineType>| {
            *mapped::chosen(config, registry, &named, machine_type).unwrap_or(&named) == query.repository
        };
        let limit = asked(&machine_types, &query).take_while(is_here).count();
        let seen = if rule.is_some() { seen() } else { None };
        let (on_no_match, cache, vary) = (config.on_no_match, config.cache, claim::vary(config));
        Self { query, named, limit, rule, machine_types, on_no_match, vary, cache, seen, _permit: permit }
    }

    /// The repository in which the image is found, if that is not the one that the caller names.
    pub(super) fn chosen(&self) -> Option<&Repository> {
        Some(&self.query.repository).filter(|chosen| **chosen != self.named)
    }
}

/// The machine types that a question is about, from the first of its page on.
pub(in crate::flow) fn asked<'m>(
    machine_types: &'m [Arc<MachineType>],
    query: &ExplainQuery,
) -> impl Iterator<Item = &'m Arc<MachineType>> {
    let named = move |name: &str| query.machine_type.as_deref().is_none_or(|asked| asked == name);
    listing::behind(machine_types, query.after.as_deref()).filter(move |machine_type| named(machine_type.name()))
}
