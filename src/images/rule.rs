//! The rules of one image: what a tag stands for, and where each machine is sent.

use std::sync::Arc;

use super::form::Form;
use super::lines::{self, Line};
use super::search::Search;
use crate::machine_type::MachineType;
use crate::oci::index::AssumedLevels;
use crate::oci::reference::{Repository, Tag};

/// The rules of an image.
#[derive(Debug, Default)]
pub struct ImageRules {
    /// The rules of its tags; the first one that matches a tag counts.
    pub(crate) tags: Vec<Arc<TagRule>>,
    /// The repositories in which machines find it instead, each with what it asks for; empty if there are none.
    pub(crate) repositories: Vec<(Repository, Line)>,
}

/// A rule for tags of one form or several.
#[derive(Debug)]
pub struct TagRule {
    patterns: Vec<Form>,
    variants: Vec<(Form, Line)>,
    /// Whether one of the variants is the tag itself.
    names_tag: bool,
    assumed: AssumedLevels,
}

/// The tags that a tag stands for.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// Itself.
    AsItIs,
    /// The first of these tags that the registry has and in which something fits the machine.
    Search(Search),
    /// Nothing: no line of the rule fits the machine. The text says so.
    NothingFits(String),
}

/// A line of a rule, as it applies to one tag.
#[derive(Debug)]
pub struct Variant {
    /// The tag that the line stands for; `None` if it would be longer than a tag may be.
    pub tag: Option<Tag>,
    /// Its requirements, in words.
    pub requires: Vec<String>,
}

impl TagRule {
    /// A rule for tags of these forms. `variants` may be empty.
    pub(crate) fn new(patterns: Vec<Form>, variants: Vec<(Form, Line)>, assumed: AssumedLevels) -> Self {
        let names_tag = variants.iter().any(|(template, _)| template.is_tag());
        Self { patterns, variants, names_tag, assumed }
    }

    fn matches(&self, tag: &Tag) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(tag.as_str()))
    }

    /// The levels that entries without a variant really need.
    #[must_use]
    pub const fn assumed(&self) -> &AssumedLevels {
        &self.assumed
    }

    /// The plan for a tag that the rule matches.
    #[must_use]
    pub fn plan(&self, tag: &Tag, machine: &MachineType) -> Plan {
        if self.variants.is_empty() || self.is_variant(tag) {
            return Plan::AsItIs;
        }
        // A machine that no line fits gets the tag itself, unless a line says which machines may have it.
        let any = Line::default();
        let implied = (!self.names_tag).then_some(&any);
        let ranked = lines::ranked(self.variants.iter().map(|(_, line)| line).chain(implied), machine);
        if ranked.fit.is_empty() {
            return Plan::NothingFits(format!("nothing fits; the variants are for {}", ranked.summary));
        }
        // The implied line comes last, however it ranks.
        let (implied, named): (Vec<usize>, Vec<usize>) =
            ranked.fit.into_iter().partition(|position| *position == self.variants.len());
        let tags = named.iter().filter_map(|position| self.tag_of(*position, tag));
        Plan::Search(Search::new(tags.chain(implied.iter().map(|_| tag.clone()))))
    }

    /// All lines as they apply to a tag that the rule matches, the implied one too; none if the tag stands for itself.
    #[must_use]
    pub fn lines(&self, tag: &Tag) -> Vec<Variant> {
        if self.variants.is_empty() || self.is_variant(tag) {
            return Vec::new();
        }
        let named = self.variants.iter().enumerate();
        let named =
            named.map(|(position, (_, line))| Variant { tag: self.tag_of(position, tag), requires: line.words() });
        let implied = (!self.names_tag).then(|| Variant { tag: Some(tag.clone()), requires: Vec::new() });
        named.chain(implied).collect()
    }

    /// The tag that a line makes of another one.
    fn tag_of(&self, position: usize, tag: &Tag) -> Option<Tag> {
        let (template, _) = self.variants.get(position)?;
        let names = self.patterns.iter().find_map(|pattern| pattern.names_in(tag.as_str()))?;
        Tag::parse(&template.expand(&names)).ok()
    }

    /// Whether a tag has the form of a variant's, so that it is asked for by its own name.
    fn is_variant(&self, tag: &Tag) -> bool {
        let templates = self.variants.iter().map(|(template, _)| template).filter(|template| !template.is_tag());
        let made = |template: &Form| {
            // The text of `{tag}` must be a tag of the rule.
            let inner = template.tag_in(tag.as_str());
            let of_rule = |inner: &str| self.patterns.iter().any(|pattern| pattern.matches(inner));
            template.matches(tag.as_str()) && inner.is_none_or(of_rule)
        };
        templates.into_iter().any(made)
    }
}

impl ImageRules {
    /// The rule of a tag.
    #[must_use]
    pub fn rule(&self, tag: &Tag) -> Option<&Arc<TagRule>> {
        self.tags.iter().find(|rule| rule.matches(tag))
    }

    /// The repository in which a machine finds the image; `None` where it is the image's own.
    #[must_use]
    pub fn repository(&self, machine: &MachineType) -> Option<&Repository> {
        if self.repositories.is_empty() {
            return None;
        }
        // The image's own is there for every machine, so that none is sent to 32-bit images instead.
        let own = Line::default();
        let lines = self.repositories.iter().map(|(_, line)| line).chain([&own]);
        let ranked = lines::ranked(lines, machine);
        // It comes last, however it ranks: it has no place in the list.
        let (repository, _) = ranked.fit.into_iter().find_map(|position| self.repositories.get(position))?;
        Some(repository)
    }
}
