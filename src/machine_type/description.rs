//! The description of a machine type in the configuration, and what its name may be.

use serde::Deserialize;

use crate::text::field::FieldError;

/// Words that a login or the configuration uses in the place of a machine type.
const RESERVED: [&str; 3] = ["refuse", "unfiltered", "none"];

/// The longest name of a machine type, in bytes.
const MAX_NAME_LENGTH: usize = 128;

/// A machine type as the configuration describes it, not yet validated. `T` is the kind of text: a configuration of
/// thousands of machine types is read without copying.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
pub struct Description<T = String> {
    /// Operating system (`GOOS`); linux unless given.
    pub os: Option<T>,
    /// Operating system version; Windows images are made for one build.
    pub os_version: Option<T>,
    /// Architecture (`GOARCH`); follows from a `cpu` feature.
    pub architecture: Option<T>,
    /// Variant of the architecture, such as `v3`; follows from a `cpu` feature.
    pub variant: Option<T>,
    /// `key:value` or flags; several values of one key: any may satisfy. The order of keys ranks nearness.
    #[serde(default)]
    pub features: Vec<T>,
    /// Keys that outrank the number of keys an image asks for, the first most.
    #[serde(default)]
    pub prefer: Vec<T>,
}

pub(super) fn check_name(name: &str) -> Result<(), FieldError> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let starts_well = name.bytes().next().is_some_and(plain);
    if !starts_well || name.bytes().any(|byte| !plain(byte) && !matches!(byte, b'.' | b'_' | b'-')) {
        let message = "a machine type's name is of lower-case letters, digits, '.', '_' and '-', and starts with a \
                       letter or digit";
        return Err(FieldError::new("", message));
    }
    if name.len() > MAX_NAME_LENGTH {
        return Err(FieldError::new("", format!("a machine type's name has at most {MAX_NAME_LENGTH} characters")));
    }
    if RESERVED.contains(&name) {
        return Err(FieldError::new("", format!("{name} is a reserved word, not a machine type's name")));
    }
    Ok(())
}
