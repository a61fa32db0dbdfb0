//! The rules by which values of a key compare.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{CPU, check_text};
use crate::text::field::FieldError;

/// How values of one key compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Microarchitectures: equal, or an ancestor of the machine's. Only `cpu` has it, and `cpu` only this one.
    Microarchitecture,
    /// CUDA compute capabilities, see [`Capability`].
    ComputeCapability,
    /// Dotted numeric versions, see [`Version`]: the machine's is at least the image's.
    AtLeast,
    /// Equal, byte by byte.
    Exact,
}

impl Rule {
    /// Those that `feature_rules` may give to a key; the schema offers them to editors.
    pub const CONFIGURABLE: [Self; 3] = [Self::AtLeast, Self::ComputeCapability, Self::Exact];

    /// The word for the rule in the configuration and in explanations.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Microarchitecture => "microarchitecture",
            Self::ComputeCapability => "compute_capability",
            Self::AtLeast => "at_least",
            Self::Exact => "exact",
        }
    }
}

/// The rule of every key: built in (`cpu`, `nvcap`), or from `feature_rules` of the configuration, else exact.
#[derive(Clone, Debug, Default)]
pub struct FeatureRules {
    overrides: Arc<BTreeMap<String, Rule>>,
}

impl FeatureRules {
    /// The built-in rules with `overrides`: key → the word for one of [`Rule::CONFIGURABLE`].
    ///
    /// # Errors
    /// [`FieldError`], its field the key: an unknown rule, a key that no feature can have, or a rule for `cpu`
    /// (architecture and variant follow from it, so its rule is fixed).
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Self, FieldError> {
        let mut rules = BTreeMap::new();
        for (key, rule) in overrides.iter() {
            let error = |message: String| FieldError { field: key.clone(), message };
            check_text(key).map_err(|problem| error(format!("this key {problem}")))?;
            if key.contains(':') {
                return Err(error("a key has no ':'; write the part before it".to_owned()));
            }
            if key == CPU {
                return Err(error("the rule of cpu is fixed; remove this line".to_owned()));
            }
            let Some(known) = Rule::CONFIGURABLE.into_iter().find(|known| known.word() == rule) else {
                let [others @ .., last] = Rule::CONFIGURABLE.map(Rule::word);
                return Err(error(format!("no such rule: {rule} ({} or {last})", others.join(", "))));
            };
            rules.insert(key.clone(), known);
        }
        Ok(Self { overrides: Arc::new(rules) })
    }

    /// The rule of `key`.
    #[must_use]
    pub fn rule(&self, key: &str) -> Rule {
        match key {
            CPU => Rule::Microarchitecture,
            _ => self.overrides.get(key).copied().unwrap_or(match key {
                "nvcap" => Rule::ComputeCapability,
                _ => Rule::Exact,
            }),
        }
    }
}
