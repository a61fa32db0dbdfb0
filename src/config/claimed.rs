//! A text that claims a machine type → the view of it.

use std::borrow::Cow;
use std::sync::Arc;

use super::configuration::Config;
use super::descriptions::notation;
use crate::auth::account::View;
use crate::machine_type::{Source, is_name};

/// Why a text can be no machine type's name.
const MALFORMED: &str =
    "is no machine type's name, which is of letters, digits, '.', '_' and '-', and of 128 characters at most";

/// Why a header that describes a machine and names one is refused.
const NAMED_TOO: &str = "names a machine type and describes a machine, as if a proxy had joined two headers";

/// Why a claimed text stands for no view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidClaim {
    /// There is no machine type of that name.
    Unknown,
    /// The text can be no machine type's name. The message says why, behind the place that says it.
    Malformed(Cow<'static, str>),
}

impl Config {
    /// The view that a text claims: a login name's end, a header, a path's component or a host's label. In headers and
    /// host names letter case does not count. `unfiltered` is a view that only the configuration can grant.
    ///
    /// # Errors
    /// [`InvalidClaim`].
    pub fn claimed(&self, text: &str, source: Source) -> Result<View, InvalidClaim> {
        let name = if source.ignores_case() && text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
        match self.machine_types.get(&name) {
            Some(machine_type) => Ok(View::Machine(Arc::clone(machine_type))),
            None if self.may_be_described(text, source) => self.described(text, source),
            None if is_name(&name) => Err(InvalidClaim::Unknown),
            None => Err(InvalidClaim::Malformed(Cow::Borrowed(MALFORMED))),
        }
    }
}

impl Config {
    /// Whether a text that a place says is read as the description of a machine.
    #[must_use]
    pub fn may_be_described(&self, text: &str, source: Source) -> bool {
        self.descriptions.is_some() && notation(source).is_some_and(|notation| notation.is_description(text))
    }

    fn described(&self, text: &str, source: Source) -> Result<View, InvalidClaim> {
        let (Some(descriptions), Some(notation)) = (&self.descriptions, notation(source)) else {
            return Err(InvalidClaim::Unknown);
        };
        let is_named = |part: &str| self.machine_types.contains_key(&part.trim().to_ascii_lowercase());
        if source == Source::Header && text.split(',').any(is_named) {
            return Err(InvalidClaim::Malformed(Cow::Borrowed(NAMED_TOO)));
        }
        let machine = descriptions.read(&self.machine_types, text, notation);
        machine.map(View::Machine).map_err(|error| InvalidClaim::Malformed(Cow::Owned(error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_claims_a_configured_machine_type_or_nothing() {
        let document = r#"{
            "machine_types": { "gpu1": { "architecture": "amd64" }, "big-gpu1.5_x": { "architecture": "amd64" } },
            "registries": { "r": { "host": "h", "authentication": "none" } }
        }"#;
        let config = Config::parse(document.as_bytes(), &|_| None).unwrap();
        let long = "a".repeat(129);
        let malformed = || InvalidClaim::Malformed(Cow::Borrowed(MALFORMED));
        let rows = [
            ("gpu1", Ok("gpu1")),
            ("GPU1", Ok("gpu1")),
            ("Big-gpu1.5_X", Ok("big-gpu1.5_x")),
            ("gpu2", Err(InvalidClaim::Unknown)),
            ("unfiltered", Err(InvalidClaim::Unknown)),
            ("", Err(malformed())),
            ("-gpu1", Err(malformed())),
            (" gpu1", Err(malformed())),
            ("gpu1,gpu1", Err(malformed())),
            ("gpu1\n", Err(malformed())),
            (&long, Err(malformed())),
        ];
        for (text, expected) in rows {
            let claimed = config.claimed(text, Source::Header);
            assert_eq!(claimed.as_ref().map(View::name).map_err(Clone::clone), expected, "{text:?}");
        }
        for source in [Source::Path, Source::Login] {
            assert_eq!(config.claimed("GPU1", source).map_err(|error| error == malformed()).err(), Some(true));
            assert!(config.claimed("gpu1", source).is_ok());
        }
    }
}
