//! The values that a machine has of a key, and what they satisfy.

use super::{Capability, Rule, Version};

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
