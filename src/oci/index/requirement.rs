//! The requirements of an entry: all that it asks of a machine.

use std::fmt;

use crate::hardware::feature::{CPU, Feature};
use crate::hardware::microarchitecture::Microarchitecture;
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
            (Level::Known(level), Origin::Feature) => write!(f, "{CPU}:{}", level.name()),
            (Level::Known(level), Origin::Variant) => {
                debug_assert!(level.variant().is_some(), "{} came of a variant", level.name());
                write!(f, "variant {}", level.variant().unwrap_or_default())
            }
            (Level::Known(level), Origin::Baseline) => match level.variant() {
                Some(variant) => write!(f, "variant {variant} (none given)"),
                None => write!(f, "architecture {}", level.architecture()),
            },
            (Level::Named(name), _) => write!(f, "{CPU}:{name}"),
            (Level::Variant(variant), _) => write!(f, "variant {variant}"),
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
    /// A microarchitecture or variant.
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
