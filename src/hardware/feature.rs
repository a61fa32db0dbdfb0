//! Features (`key:value`, or a bare flag) and the rules by which a machine's value satisfies an image's.

use std::cmp::Ordering;
use std::fmt;

mod capability;
mod offered;
mod rule;
mod version;

pub use capability::Capability;
pub(crate) use offered::{Match, Nearness, OfferedValues};
pub use rule::{FeatureRules, Rule};
pub use version::Version;

/// The longest feature, in bytes, in a configuration or an index.
pub const MAX_LENGTH: usize = 256;

/// The key whose values are microarchitectures.
pub const CPU: &str = "cpu";

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
