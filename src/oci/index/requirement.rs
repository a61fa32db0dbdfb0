//! The requirements of an entry: all that it asks of a machine.

use std::fmt;

use crate::hardware::feature::{CPU, Feature, ISA};
use crate::hardware::microarchitecture::{IsaFlag, Microarchitecture, canonical};
use crate::text::printable::printable;

/// The level that a `cpu` requirement asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// A microarchitecture of the table: the machine's is it or descends from it.
    Known(Microarchitecture),
    /// A name that archspec does not know, as it is compared: the machine has the very same.
    Named(String),
    /// A variant that is not a level: the machine has the very same.
    Variant(String),
    /// A flag: the machine's microarchitecture has it, or the machine lists it.
    Isa(IsaFlag),
    /// A flag that archspec does not know: the machine lists it.
    NamedIsa(String),
    /// The bare key `cpu` or `isa`: any microarchitecture of the machine does.
    Any(&'static str),
    /// One of these.
    OneOf(Box<[Level]>),
}

impl Level {
    /// The level that a feature of the key `cpu` or `isa` asks for; `None` for other keys.
    pub(super) fn of(feature: &Feature) -> Option<Self> {
        let (key, read): (_, fn(&str) -> Self) = match feature.key() {
            CPU => (CPU, Self::of_cpu),
            ISA => (ISA, Self::of_isa),
            _ => return None,
        };
        Some(match (feature.value(), feature.count()) {
            (None, _) => Self::Any(key),
            (Some(value), 1) => read(value),
            (Some(_), _) => Self::OneOf(feature.alternatives().map(read).collect()),
        })
    }

    fn of_cpu(value: &str) -> Self {
        Microarchitecture::find(value).map_or_else(|| Self::Named(canonical(value)), Self::Known)
    }

    /// The flag of this name.
    pub(crate) fn of_isa(value: &str) -> Self {
        IsaFlag::find(value).map_or_else(|| Self::NamedIsa(canonical(value)), Self::Isa)
    }

    /// The key of the features that ask for it.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Isa(_) | Self::NamedIsa(_) => ISA,
            Self::Any(key) => key,
            Self::OneOf(levels) => levels.first().map_or(CPU, Self::key),
            Self::Known(_) | Self::Named(_) | Self::Variant(_) => CPU,
        }
    }

    /// The value of such a feature, canonical.
    pub(crate) fn value(&self) -> String {
        match self {
            Self::Known(level) => level.name().to_owned(),
            Self::Isa(flag) => flag.name().to_owned(),
            Self::Named(name) | Self::NamedIsa(name) | Self::Variant(name) => name.clone(),
            Self::Any(_) => String::new(),
            Self::OneOf(levels) => levels.iter().map(Self::value).collect::<Vec<_>>().join("|"),
        }
    }
}

/// The part of an entry that asks for a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A feature `cpu:…`.
    Feature,
    /// `platform.variant`.
    Variant,
    /// The lack of a variant: what every image for the architecture may count on.
    Baseline,
}

/// A requirement of the key `cpu`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CpuRequirement {
    /// The level that it asks for.
    pub level: Level,
    /// Where it comes from.
    pub origin: Origin,
}

impl fmt::Display for CpuRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.level, self.origin) {
            (Level::Known(level), Origin::Variant) => {
                debug_assert!(level.variant().is_some(), "{} came of a variant", level.name());
                write!(f, "variant {}", level.variant().unwrap_or_default())
            }
            (Level::Known(level), Origin::Baseline) => match level.variant() {
                Some(variant) => write!(f, "variant {variant} (none given)"),
                None => write!(f, "architecture {}", level.architecture()),
            },
            (Level::Variant(variant), _) => write!(f, "variant {variant}"),
            (Level::Any(key), _) => f.write_str(key),
            (level, _) => write!(f, "{}:{}", level.key(), level.value()),
        }
    }
}

/// One thing that an entry asks of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement<'a> {
    /// The operating system.
    Os(&'a str),
    /// The architecture.
    Architecture(&'a str),
    /// The operating system version.
    OsVersion(&'a str),
    /// A microarchitecture, a variant or a flag.
    Cpu(&'a CpuRequirement),
    /// A feature of another key.
    Feature(&'a Feature),
}

impl fmt::Display for Requirement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Os(os) => format!("os {os}"),
            Self::Architecture(architecture) => format!("architecture {architecture}"),
            Self::OsVersion(version) => format!("os.version {version}"),
            Self::Cpu(cpu) => cpu.to_string(),
            Self::Feature(feature) => feature.as_str().to_owned(),
        };
        f.write_str(&printable(&text, 120))
    }
}
