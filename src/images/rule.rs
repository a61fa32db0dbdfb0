//! The rules of one image: what a tag stands for, and where each machine is sent.

use std::sync::Arc;

use super::form::Form;
use super::lines::{Line, Lines, MachinePlatform};
use super::search::Search;
use crate::machine_type::MachineType;
use crate::oci::index::AssumedLevels;
use crate::oci::reference::{Repository, Tag};

/// The rules of an image.
#[derive(Debug, Default)]
pub struct ImageRules {
    /// The rules of its tags; the first one that matches a tag counts.
    pub(crate) tags: Vec<Arc<TagRule>>,
    /// The repositories in which machines find it instead; empty if there are none.
    pub(super) repositories: Vec<Repository>,
    /// The requirements of each repository, and behind them those of the image's own.
    pub(super) repository_lines: Lines,
}

/// A rule for tags of one form or several.
#[derive(Debug)]
pub struct TagRule {
    patterns: Vec<Form>,
    templates: Vec<Form>,
    /// The requirements of each template, and behind them those of the tag itself where no template yields it: a
    /// machine that no line fits gets the tag, unless a line says which machines may have it.
    lines: Lines,
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
    /// A rule for tags of these forms. `variants` may be empty; machines of these platforms are planned for fast.
    pub(crate) fn new(
        patterns: Vec<Form>,
        variants: Vec<(Form, Line)>,
        assumed: AssumedLevels,
        platforms: &[MachinePlatform],
    ) -> Self {
        let (templates, mut lines): (Vec<Form>, Vec<Line>) = variants.into_iter().unzip();
        if !templates.is_empty() && !templates.iter().any(Form::is_tag) {
            lines.push(Line::default());
        }
        Self { patterns, templates, lines: Lines::new(lines, platforms), assumed }
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
        if self.templates.is_empty() || self.is_variant(tag) {
            return Plan::AsItIs;
        }
        let fit = self.lines.ranked(machine);
        if fit.is_empty() {
            return Plan::NothingFits(format!("nothing fits; the variants are for {}", self.lines.summary(machine)));
        }
        // The implied line comes last, however it ranks.
        let (implied, named): (Vec<usize>, Vec<usize>) =
            fit.into_iter().partition(|position| *position == self.templates.len());
        let tags = named.iter().filter_map(|position| self.tag_of(*position, tag));
        Plan::Search(Search::new(tags.chain(implied.iter().map(|_| tag.clone()))))
    }

    /// All lines as they apply to a tag that the rule matches, the implied one too; none if the tag stands for itself.
    #[must_use]
    pub fn lines(&self, tag: &Tag) -> Vec<Variant> {
        if self.templates.is_empty() || self.is_variant(tag) {
            return Vec::new();
        }
        let lines = self.lines.as_slice().iter().enumerate();
        let variant = |(position, line): (usize, &Line)| {
            let is_implied = position == self.templates.len();
            let tag = if is_implied { Some(tag.clone()) } else { self.tag_of(position, tag) };
            Variant { tag, requires: line.words() }
        };
        lines.map(variant).collect()
    }

    /// The tag that a line makes of another one.
    fn tag_of(&self, position: usize, tag: &Tag) -> Option<Tag> {
        let template = self.templates.get(position)?;
        let names = self.patterns.iter().find_map(|pattern| pattern.names_in(tag.as_str()))?;
        Tag::parse(&template.expand(&names)).ok()
    }

    /// Whether a tag has the form of a variant's, so that it is asked for by its own name.
    fn is_variant(&self, tag: &Tag) -> bool {
        let templates = self.templates.iter().filter(|template| !template.is_tag());
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

    /// The rules with these repositories, each with what it asks for; machines of these platforms are sent there fast.
    #[must_use]
    pub(crate) fn sent_to(self, repositories: Vec<(Repository, Line)>, platforms: &[MachinePlatform]) -> Self {
        let (repositories, mut lines): (Vec<Repository>, Vec<Line>) = repositories.into_iter().unzip();
        // The image's own is there for every machine, so that none is sent to 32-bit images instead.
        lines.push(Line::default());
        Self { repositories, repository_lines: Lines::new(lines, platforms), ..self }
    }

    /// Whether some machines find the image in another repository.
    #[must_use]
    pub const fn has_repositories(&self) -> bool {
        !self.repositories.is_empty()
    }

    /// The repository in which a machine finds the image; `None` where it is the image's own.
    #[must_use]
    pub fn repository(&self, machine: &MachineType) -> Option<&Repository> {
        if self.repositories.is_empty() {
            return None;
        }
        // The image's own comes last, however it ranks: it has no place in the list.
        let ranked = self.repository_lines.ranked(machine);
        ranked.into_iter().find_map(|position| self.repositories.get(position))
    }
}
