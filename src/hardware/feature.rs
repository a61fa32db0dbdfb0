//! Features (`key:value`, or a bare flag) and the rules by which a machine's value satisfies an image's.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::text::field::FieldError;
use std::collections::BTreeMap;

mod version;

pub use version::{Capability, Version};

/// The longest feature, in bytes, in a configuration or an index.
pub const MAX_LENGTH: usize = 256;

/// The key whose values are microarchitectures.
pub const CPU: &str = "cpu";

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

/// Checks the text of a feature in the configuration, or of a key: printable ASCII without blanks and commas (the
/// annotation `org.metahub.features` separates by commas).
pub(crate) fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > MAX_LENGTH {
        return Err(format!("is longer than {MAX_LENGTH} bytes"));
    }
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b',') {
        return Err("may only have printable ASCII characters, without blanks and commas".to_owned());
    }
    Ok(())
}

/// A feature as an image asks for it: `cpu:broadwell`, or a flag such as `infiniband`.
///
/// Ordered by key, then by text, so that features of one key stand together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Feature {
    text: Box<str>,
    /// This is kept because ranking asks for the key again and again.
    key_length: u16,
}

impl Feature {
    /// Reads a feature; surrounding blanks do not count, and the first `:` separates key and value.
    ///
    /// # Errors
    /// In words, when there is no key, or the text is longer than [`MAX_LENGTH`].
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.starts_with(':') {
            return Err("a feature without a key".to_owned());
        }
        if text.len() > MAX_LENGTH {
            return Err(format!("a feature longer than {MAX_LENGTH} bytes"));
        }
        let key_length = text.find(':').unwrap_or(text.len());
        let key_length = u16::try_from(key_length).map_err(|_| "a key that is too long")?;
        Ok(Self { text: text.into(), key_length })
    }

    /// The part before the first `:`, or the whole flag.
    #[must_use]
    pub fn key(&self) -> &str {
        let key = self.text.get(..usize::from(self.key_length));
        debug_assert!(key.is_some(), "{self:?}");
        key.unwrap_or_default()
    }

    /// The part after the first `:`; `None` for a flag.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.text.get(usize::from(self.key_length) + 1..)
    }

    /// The feature as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Ord for Feature {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.key(), self.as_str()).cmp(&(other.key(), other.as_str()))
    }
}

impl PartialOrd for Feature {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How near an image's value is to the machine's: greater is nearer. Comparable within one key only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    /// Values of the key are equal or not, and no more.
    Equal,
    /// The image's version: the higher, the nearer to the machine's.
    Version(Version),
    /// The image's capability, likewise.
    Capability(Capability),
    /// Fewer generations behind, then more ISA features.
    Cpu { generations: std::cmp::Reverse<u8>, isa_features: u16 },
}

/// A requirement that the machine meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) nearness: Nearness,
    /// The image asks for just what the machine has, so nothing better could be built for this key.
    pub(crate) exact: bool,
}

/// The values that a machine has of one key other than `cpu`; any of them may satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OfferedValues {
    /// `None` is the bare flag.
    Exact(Vec<Option<String>>),
    AtLeast(Vec<Version>),
    ComputeCapability(Vec<Capability>),
}

impl OfferedValues {
    pub(crate) const fn new(rule: Rule) -> Self {
        match rule {
            Rule::AtLeast => Self::AtLeast(Vec::new()),
            Rule::ComputeCapability => Self::ComputeCapability(Vec::new()),
            Rule::Exact | Rule::Microarchitecture => Self::Exact(Vec::new()),
        }
    }

    /// Adds one of the machine's values; the error says in words what the value should be.
    pub(crate) fn add(&mut self, value: Option<&str>) -> Result<(), String> {
        match self {
            Self::Exact(values) => insert(values, value.map(str::to_owned)),
            Self::AtLeast(values) => {
                let version = value.and_then(Version::parse);
                insert(values, version.ok_or("expected a version such as 550.54 (at_least compares numbers)")?);
            }
            Self::ComputeCapability(values) => {
                let capability = value.and_then(Capability::parse);
                let capability = capability.ok_or("expected a compute capability such as 8.6")?;
                if !capability.is_plain() {
                    return Err(
                        "a machine has a plain compute capability such as 9.0, which covers 9.0a and 9.0f".into()
                    );
                }
                insert(values, capability);
            }
        }
        Ok(())
    }

    /// Whether, and how nearly, one of these values satisfies what an image asks for.
    pub(crate) fn satisfies(&self, wanted: Option<&str>) -> Option<Match> {
        match self {
            Self::Exact(values) => {
                let equal = values.iter().any(|value| value.as_deref() == wanted);
                equal.then_some(Match { nearness: Nearness::Equal, exact: true })
            }
            Self::AtLeast(values) => {
                let wanted = Version::parse(wanted?)?;
                let satisfied = values.iter().any(|value| *value >= wanted);
                let exact = values.contains(&wanted);
                satisfied.then_some(Match { nearness: Nearness::Version(wanted), exact })
            }
            Self::ComputeCapability(values) => {
                let wanted = Capability::parse(wanted?)?;
                let satisfied = values.iter().any(|value| value.runs(wanted));
                let exact = values.iter().any(|value| value.same_device(wanted));
                satisfied.then_some(Match { nearness: Nearness::Capability(wanted), exact })
            }
        }
    }

    pub(crate) const fn rule(&self) -> Rule {
        match self {
            Self::Exact(_) => Rule::Exact,
            Self::AtLeast(_) => Rule::AtLeast,
            Self::ComputeCapability(_) => Rule::ComputeCapability,
        }
    }

    /// The machine's values in words, each with its key: `nvcap:8.6`.
    pub(crate) fn words(&self, key: &str) -> Vec<String> {
        match self {
            Self::Exact(values) => values
                .iter()
                .map(|value| value.as_ref().map_or(key.to_owned(), |value| format!("{key}:{value}")))
                .collect(),
            Self::AtLeast(values) => values.iter().map(|value| format!("{key}:{value}")).collect(),
            Self::ComputeCapability(values) => values.iter().map(|value| format!("{key}:{value}")).collect(),
        }
    }
}

fn insert<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if !values.contains(&value) {
        values.push(value);
    }
}
