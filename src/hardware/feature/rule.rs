//! The rules by which values of a key compare.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{CPU, ISA, check_text};
use crate::text::field::FieldError;

/// How values of one key compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Microarchitectures and their flags: equal, or an ancestor of the machine's. Only `cpu` and `isa` have it, and
    /// these only this one.
    Microarchitecture,
    /// CUDA compute capabilities, see [`Capability`](super::Capability). The values are devices.
    ComputeCapability,
    /// AMD GPU targets: equal, or a generic target that contains the machine's. The values are devices.
    AmdGpu,
    /// Dotted numeric versions, see [`Version`](super::Version): the machine's is at least the image's. A bound.
    AtLeast,
    /// Likewise, and the first numbers are equal.
    SameMajor,
    /// Equal, byte by byte.
    Exact,
}

impl Rule {
    /// Those that `feature_rules` may give to a key; the schema offers them to editors.
    pub const CONFIGURABLE: [Self; 5] =
        [Self::AtLeast, Self::SameMajor, Self::ComputeCapability, Self::AmdGpu, Self::Exact];

    /// The word for the rule in the configuration and in explanations.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Microarchitecture => "microarchitecture",
            Self::ComputeCapability => "compute_capability",
            Self::AmdGpu => "amd_gpu",
            Self::AtLeast => "at_least",
            Self::SameMajor => "same_major",
            Self::Exact => "exact",
        }
    }

    /// The rule of a key to which the configuration gives none.
    #[must_use]
    pub fn built_in(key: &str) -> Self {
        match key {
            CPU | ISA => Self::Microarchitecture,
            "nvcap" => Self::ComputeCapability,
            "gfx" => Self::AmdGpu,
            "cuda" | "driver" | "glibc" | "kernel" => Self::AtLeast,
            "l4t" => Self::SameMajor,
            _ => Self::Exact,
        }
    }

    /// Whether values are devices: a machine may have several, and an image must suit every one.
    pub(crate) const fn is_device(self) -> bool {
        match self {
            Self::ComputeCapability | Self::AmdGpu => true,
            Self::Microarchitecture | Self::AtLeast | Self::SameMajor | Self::Exact => false,
        }
    }

    /// Whether values are bounds. They do not count among the keys that an image is made for.
    pub(crate) const fn is_bound(self) -> bool {
        match self {
            Self::AtLeast | Self::SameMajor => true,
            Self::Microarchitecture | Self::ComputeCapability | Self::AmdGpu | Self::Exact => false,
        }
    }

    /// Whether values are read as something else than text; microarchitectures are read elsewhere.
    pub(super) const fn reads(self) -> bool {
        self.is_device() || self.is_bound()
    }
}

/// The rule of every key: from `feature_rules` of the configuration, else built in.
#[derive(Clone, Debug, Default)]
pub struct FeatureRules {
    overrides: Arc<BTreeMap<String, Rule>>,
}

impl FeatureRules {
    /// The built-in rules with `overrides`: key → the word for one of [`Rule::CONFIGURABLE`].
    ///
    /// # Errors
    /// [`FieldError`], its field the key: an unknown rule, a key that no feature can have, or a rule for `cpu`
    /// or `isa` (architecture and variant follow from the microarchitecture, so its rule is fixed).
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Self, FieldError> {
        let mut rules = BTreeMap::new();
        for (key, rule) in overrides.iter() {
            let error = |message: String| FieldError { field: key.clone(), message };
            check_text(key).map_err(|problem| error(format!("this key {problem}")))?;
            if key.contains(':') {
                return Err(error("a key has no ':'; write the part before it".to_owned()));
            }
            if [CPU, ISA].contains(&key.as_str()) {
                return Err(error(format!("the rule of {key} is fixed; remove this line")));
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
        self.overrides.get(key).copied().unwrap_or_else(|| Rule::built_in(key))
    }
}
