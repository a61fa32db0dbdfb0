//! The description of a machine type in the configuration, and what its name may be.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::text::field::FieldError;

/// Words that a login or the configuration uses in the place of a machine type.
pub(crate) const RESERVED: [&str; 4] = ["refuse", "unfiltered", "none", "described"];

/// The longest name of a machine type, in bytes.
pub(crate) const MAX_NAME_LENGTH: usize = 128;

/// How an image must suit the devices of a machine that has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub enum Devices {
    /// It has code for each of them.
    Every,
    /// It has code for at least one of them.
    Any,
}

/// The platform and the features of a kind of machine, which decide what it can run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "machine_type"))]
pub struct Description<T = String> {
    /// The operating system as OCI spells it (`GOOS`): `linux`, `windows`. Default: `linux`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "linux")))]
    pub os: Option<T>,
    /// The version of the operating system; on Windows with its build, `10.0.20348`. Default: images for any version
    /// fit.
    pub os_version: Option<T>,
    /// The architecture as OCI spells it (`GOARCH`): `amd64`, `arm64`. Default: it follows from a `cpu` feature or
    /// the variant; one that contradicts them is refused.
    pub architecture: Option<T>,
    /// The variant of the architecture: `v3`, `v8.2`. Default: it follows from a `cpu` feature; one that contradicts
    /// it is refused.
    pub variant: Option<T>,
    /// The abilities of the machine beyond its platform: `key:value` or flags, as in `["cpu:skylake", "nvcap:8.6",
    /// infiniband]`. Of several values of one key any may meet what an image asks for, except for devices (see
    /// `devices`). The keys stand in the order in which they matter. They have no vertical bar, and no `+`
    /// except in `:xnack+` and `:sramecc+`. Default: none.
    #[serde(default)]
    #[cfg_attr(
        feature = "schema",
        schemars(inner(regex(pattern = r"^\s*[!-*\--9;-{}~]+(:[!-*\--{}~]+(:(xnack|sramecc)[+-])*)?\s*$")))
    )]
    pub features: Vec<T>,
    /// How an image must suit a machine with several devices, by their key: `{ nvcap: any }`. With `every` it must have
    /// code for each of them, with `any` for at least one. Devices are the values of keys with the rule
    /// `compute_capability` or `amd_gpu`; at most 8 different ones of a key, unless `any`. Default: `every`.
    #[serde(default)]
    pub devices: BTreeMap<String, Devices>,
    /// Keys of features that outrank the number of keys an image asks for, the first most: `[cpu]`. Default: none.
    #[serde(default)]
    pub prefer: Vec<T>,
    /// Whether the machine gets 32-bit images of indexes that have none for its own architecture: amd64 those for 386,
    /// arm64 those for arm. Machines whose `cpu` is known to have no 32-bit mode never do. Default: `true`.
    #[cfg_attr(feature = "schema", schemars(extend("default" = true)))]
    pub run_32_bit: Option<bool>,
}

/// Whether a text has the form of a machine type's name.
pub(crate) fn is_name(name: &str) -> bool {
    has_plain_letters(name) && name.len() <= MAX_NAME_LENGTH
}

fn has_plain_letters(name: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let starts_well = name.bytes().next().is_some_and(plain);
    starts_well && name.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

pub(super) fn check_name(name: &str) -> Result<(), FieldError> {
    if !has_plain_letters(name) {
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
