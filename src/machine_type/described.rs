//! Machine types that a client describes instead of naming one: `cpu=icelake,nvcap=8.6,ib`.
//!
//! A description is a list of the features of a machine type, and of `os`, `os_version`, `architecture` and `variant`.
//! It is written in one of two notations. Headers, logins and queries separate a key from its value with `=` or `:`,
//! and parts with commas. A path has `__` and `--` in their places, because a component of a repository's name has no
//! other characters: `cpu__icelake--nvcap__8.6--ib`. So a path carries neither upper case nor `+`, and no text with
//! `__` or `--` in it.
//!
//! Nobody reads warnings about a description, so everything that would be one in the configuration is refused here.

mod canonical;
#[cfg(test)]
mod tests;

use super::description::Description;
use super::{MachineType, Origin};
use crate::hardware::feature::{CPU, FeatureRules, ISA};
use crate::hardware::microarchitecture::{IsaFlag, Microarchitecture};
use crate::text::field::FieldError;

/// The longest description, in bytes, as it is written and in its canonical form.
pub const MAX_LENGTH: usize = 1024;

/// The most features of a description, `cpu` not counted.
pub const MAX_FEATURES: usize = 32;

/// The longest key and the longest value, in bytes.
const MAX_WORD: usize = 64;

/// The keys of which one begins the description in a login.
const FIRST: [&str; 4] = ["cpu=", "architecture=", "variant=", "os="];

/// How a description is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// In a header, a login or a query.
    Plain,
    /// As a component of a path.
    Path,
}

impl Notation {
    /// Whether a text is a description in this notation: no machine type has a name with `=` or `:`. One may have a
    /// name with `__`, and then a path names it.
    #[must_use]
    pub fn is_description(self, text: &str) -> bool {
        match self {
            Self::Plain => text.contains(['=', ':']),
            Self::Path => text.contains("__"),
        }
    }
}

/// Why a description is refused. The message quotes nothing but printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDescription {
    /// Above [`MAX_LENGTH`].
    #[error("is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// A character that no notation has.
    #[error("may only have letters, digits, and the characters '.', '_', '+', '-', '=', ':' and ','")]
    Character,
    /// A character that a path does not carry, or a run of dashes or underscores that reads in two ways.
    #[error(
        "may only have lower-case letters, digits, '.', '_' and '-' in a path, with '__' for '=' and '--' for ','; \
         send other values in the header X-MetaHub-Machine-Type"
    )]
    Path,
    /// More than [`MAX_FEATURES`].
    #[error("has more than {MAX_FEATURES} features")]
    TooMany,
    /// Nothing between two commas, or a key or a value that is empty or longer than 64 bytes.
    #[error("has a key or a value that is empty or longer than {MAX_WORD} bytes")]
    Word,
    /// A key without a value, which needs one.
    #[error("has {0} without a value")]
    NoValue(&'static str),
    /// A key for the second time, of which there is one.
    #[error("has {0} twice")]
    Twice(&'static str),
    /// A microarchitecture or a flag that archspec does not know.
    #[error("has {0}, which archspec does not know")]
    Unknown(String),
    /// A machine type that the configuration could not have, or only with a warning.
    #[error("describes no machine: {0}")]
    Machine(FieldError),
}

/// The place where the description in a login begins: behind the first separator that one of its first keys follows.
/// Returns the account before the separator, and the description.
#[must_use]
pub fn in_login<'u>(user: &'u str, separator: &str) -> Option<(&'u str, &'u str)> {
    user.match_indices(separator).find_map(|(at, _)| {
        let (account, rest) = user.split_at_checked(at)?;
        let text = rest.get(separator.len()..)?;
        is_begun(text).then_some((account, text))
    })
}

/// Whether the text begins as a description in a login does.
#[must_use]
pub fn is_begun(text: &str) -> bool {
    FIRST.iter().any(|first| text.starts_with(first))
}

impl MachineType {
    /// The machine that a text describes. Its name is the description's canonical form, which reads as the same machine
    /// again.
    ///
    /// # Errors
    /// [`InvalidDescription`].
    pub fn described(text: &str, notation: Notation, rules: &FeatureRules) -> Result<Self, InvalidDescription> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidDescription::TooLong);
        }
        let text = match notation {
            Notation::Plain => text.replace('=', ":"),
            Notation::Path => of_path(text)?,
        };
        let description = read(&text)?;
        let machine = Self::of("", &description, rules).map_err(InvalidDescription::Machine)?;
        if let Some(warning) = machine.warnings().first() {
            return Err(InvalidDescription::Machine(warning.clone()));
        }
        let mut machine = machine.in_canonical_order();
        machine.name = machine.canonical_text();
        machine.origin = Origin::Described;
        if machine.name.len() > MAX_LENGTH { Err(InvalidDescription::TooLong) } else { Ok(machine) }
    }
}

/// The plain notation of a description in a path.
fn of_path(text: &str) -> Result<String, InvalidDescription> {
    let carried = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    if !text.bytes().all(carried) || text.contains("---") || text.contains("___") {
        return Err(InvalidDescription::Path);
    }
    Ok(text.replace("--", ",").replace("__", ":"))
}

/// Reads the plain notation with `:` between keys and values.
fn read(text: &str) -> Result<Description, InvalidDescription> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-:, ".contains(&byte);
    if !text.bytes().all(valid) {
        return Err(InvalidDescription::Character);
    }
    let (mut description, mut features) = (Description::default(), 0);
    let mut cpu = None;
    for part in text.split(',').map(str::trim) {
        let (key, value) = part.split_once(':').map_or((part, None), |(key, value)| (key, Some(value)));
        let fits = |word: &str| !word.contains(' ') && (1..=MAX_WORD).contains(&word.len());
        if !fits(key) || !value.is_none_or(fits) {
            return Err(InvalidDescription::Word);
        }
        let (name, once) = match key.to_ascii_lowercase().as_str() {
            "os" => ("os", &mut description.os),
            "os_version" => ("os_version", &mut description.os_version),
            "architecture" => ("architecture", &mut description.architecture),
            "variant" => ("variant", &mut description.variant),
            CPU => (CPU, &mut cpu),
            other => {
                features += 1;
                if features > MAX_FEATURES {
                    return Err(InvalidDescription::TooMany);
                }
                description.features.push(feature(part, other, value)?);
                continue;
            }
        };
        let value = value.ok_or(InvalidDescription::NoValue(name))?;
        if once.replace(value.to_owned()).is_some() {
            return Err(InvalidDescription::Twice(name));
        }
    }
    if let Some(cpu) = cpu {
        let text = [CPU, ":", &cpu].concat();
        if Microarchitecture::find(&cpu).is_none() {
            return Err(InvalidDescription::Unknown(text));
        }
        description.features.push(text);
    }
    Ok(description)
}

/// A feature as the configuration has it; `key` is in lower case.
fn feature(part: &str, key: &str, value: Option<&str>) -> Result<String, InvalidDescription> {
    if key != ISA {
        return Ok(part.to_owned());
    }
    let flag = value.ok_or(InvalidDescription::NoValue(ISA))?;
    let text = [ISA, ":", flag].concat();
    if IsaFlag::find(flag).is_none() { Err(InvalidDescription::Unknown(text)) } else { Ok(text) }
}
