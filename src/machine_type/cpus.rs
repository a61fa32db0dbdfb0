//! The microarchitectures of a machine type, and the flags that it has beyond theirs.

use std::cmp::Reverse;

use super::thirty_two_bit::{self, Mode};
use crate::hardware::feature::{CPU, ISA, Match, Nearness, nearer};
use crate::hardware::microarchitecture::Microarchitecture;
use crate::oci::index::Level;
use crate::text::field::FieldError;

/// All that meets requirements of the keys `cpu` and `isa`, and of variants.
#[derive(Clone, Debug)]
pub(super) struct Cpus {
    /// None of them is an ancestor of another: otherwise an ancestor could seem nearer than its descendant.
    known: Vec<Microarchitecture>,
    /// Microarchitectures that archspec does not know.
    named: Vec<String>,
    /// A variant that is not a level of the table; compared as text.
    variant: Option<String>,
    /// Flags that none of the microarchitectures has, sorted by name.
    flags: Vec<Level>,
}

impl Cpus {
    pub(super) const fn new(known: Vec<Microarchitecture>, named: Vec<String>, variant: Option<String>) -> Self {
        Self { known, named, variant, flags: Vec::new() }
    }

    /// Adds the flags that features list, each with its position there.
    pub(super) fn with_flags(mut self, listed: &[(usize, &str)], warnings: &mut Vec<FieldError>) -> Self {
        for (position, name) in listed {
            let flag = Level::of_isa(name);
            if matches!(flag, Level::NamedIsa(_)) {
                let message = format!("archspec does not know isa:{name}; only images asking for this very name match");
                warnings.push(FieldError::new(format!("features[{position}]"), message));
            }
            if self.meet(&flag).is_none() {
                let place = self.flags.partition_point(|before| before.value() < flag.value());
                self.flags.insert(place, flag);
            }
        }
        self
    }

    /// The 32-bit mode of a machine of this architecture, if it has one.
    pub(super) fn mode_32_bit(&self, architecture: &str) -> Option<Mode> {
        thirty_two_bit::mode(architecture, &self.known)
    }

    /// The same as they run 32-bit code of a level.
    pub(super) fn in_32_bit(mut self, level: Microarchitecture) -> Self {
        self.known.push(level);
        self.variant = None;
        self
    }

    /// Whether, and how nearly, they meet what an image asks for.
    pub(super) fn meet(&self, wanted: &Level) -> Option<Match> {
        match wanted {
            Level::Known(level) => {
                // The farthest of the CPUs that run it counts, so that an ancestor is never nearer than its descendant,
                // even on a type that stands for machines of several microarchitectures.
                let generations = self.known.iter().filter_map(|cpu| cpu.generations_to(*level)).max()?;
                let isa_features = u16::from(level.isa_features());
                let exact = self.known.contains(level);
                Some(Match { nearness: Nearness::Cpu { generations: Reverse(generations), isa_features }, exact })
            }
            // Only an equal name fits, so nothing can be nearer.
            Level::Named(name) => self.named.contains(name).then_some(NAMED),
            Level::Variant(variant) => (self.variant.as_ref() == Some(variant)).then_some(NAMED),
            Level::Isa(flag) => {
                let has = self.known.iter().any(|cpu| cpu.has(*flag)) || self.flags.contains(wanted);
                has.then_some(Match::ANY)
            }
            Level::NamedIsa(_) => self.flags.contains(wanted).then_some(Match::ANY),
            Level::Any(_) => (!self.known.is_empty() || !self.named.is_empty()).then_some(Match::ANY),
            Level::OneOf(levels) => Some(self.nearest(levels)?.1),
        }
    }

    /// The level that is met and nearest, and its place.
    pub(super) fn nearest(&self, levels: &[Level]) -> Option<(usize, Match)> {
        let met = levels.iter().enumerate().filter_map(|(place, level)| Some((place, self.meet(level)?)));
        met.reduce(nearer)
    }

    /// The variant; the highest where there are several.
    pub(super) fn variant(&self) -> Option<&str> {
        let highest = self.known.iter().filter_map(|cpu| cpu.variant()).max_by_key(|variant| {
            // Variants of one architecture differ in a number: their length, then their text, is their order.
            (variant.len(), *variant)
        });
        self.variant.as_deref().or(highest)
    }

    /// The variant, if it is not a level.
    pub(super) fn text_variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// The microarchitectures in words: `cpu:skylake`.
    pub(super) fn words(&self) -> Vec<String> {
        let names = self.known.iter().map(|cpu| cpu.name());
        names.chain(self.named.iter().map(String::as_str)).map(|name| format!("{CPU}:{name}")).collect()
    }

    /// The same, and the flags beyond them: `isa:avx2`.
    pub(super) fn words_and_flags(&self) -> Vec<String> {
        let mut words = self.words();
        words.extend(self.flags.iter().map(|flag| format!("{ISA}:{}", flag.value())));
        words
    }

    /// A variant that does not follow from a microarchitecture, and the one microarchitecture in words, for the
    /// description of a machine.
    pub(super) fn described(&self) -> (Option<&str>, Vec<String>) {
        let words = |cpu: &Microarchitecture| vec![[CPU, ":", cpu.name()].concat()];
        match self.known.as_slice() {
            // A level stands beside a microarchitecture that has none.
            [first, second] => {
                let (level, cpu) = if first.variant().is_some() { (first, second) } else { (second, first) };
                (self.text_variant().or(level.variant()), words(cpu))
            }
            known => (self.text_variant(), known.first().map(words).unwrap_or_default()),
        }
    }
}

/// An equal name of something without a place in the tree.
const NAMED: Match = Match { nearness: Nearness::Cpu { generations: Reverse(0), isa_features: u16::MAX }, exact: true };
