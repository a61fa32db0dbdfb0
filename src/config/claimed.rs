//! A text that claims a machine type → the view of it.

use std::borrow::Cow;
use std::sync::Arc;

use super::configuration::Config;
use crate::auth::account::View;
use crate::machine_type::is_name;

/// Why a claimed text stands for no view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidClaim {
    /// There is no machine type of that name.
    Unknown,
    /// The text can be no machine type's name.
    Malformed,
}

impl Config {
    /// The view that a text claims: a login name's end, a header, a path's component or a host's label. Letter case
    /// does not count. `unfiltered` is a view that only the configuration can grant.
    ///
    /// # Errors
    /// [`InvalidClaim`].
    pub fn claimed(&self, text: &str) -> Result<View, InvalidClaim> {
        let name = if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
        match self.machine_types.get(&name) {
            Some(machine_type) => Ok(View::Machine(Arc::clone(machine_type))),
            None if is_name(&name) => Err(InvalidClaim::Unknown),
            None => Err(InvalidClaim::Malformed),
        }
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
        let rows = [
            ("gpu1", Ok("gpu1")),
            ("GPU1", Ok("gpu1")),
            ("Big-gpu1.5_X", Ok("big-gpu1.5_x")),
            ("gpu2", Err(InvalidClaim::Unknown)),
            ("unfiltered", Err(InvalidClaim::Unknown)),
            ("", Err(InvalidClaim::Malformed)),
            ("-gpu1", Err(InvalidClaim::Malformed)),
            (" gpu1", Err(InvalidClaim::Malformed)),
            ("gpu1,gpu1", Err(InvalidClaim::Malformed)),
            ("gpu1\n", Err(InvalidClaim::Malformed)),
            (&long, Err(InvalidClaim::Malformed)),
        ];
        for (text, expected) in rows {
            let claimed = config.claimed(text);
            assert_eq!(claimed.as_ref().map(View::name).map_err(Clone::clone), expected, "{text:?}");
        }
    }
}
