//! Features as images ask for them.

use std::cmp::Ordering;
use std::fmt;

use super::reading::Reading;
use super::rule::Rule;
use super::{MAX_ALTERNATIVES, MAX_LENGTH};

/// A feature as an image asks for it: `cpu:broadwell`, `nvcap:8.0|9.0+ptx`, or a key such as `infiniband`.
///
/// Ordered by key, then by text, so that features of one key stand together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Feature {
    text: Box<str>,
    /// This is kept because ranking asks for the key again and again.
    key_length: u16,
    /// How many alternatives it has; 1 for a bare key.
    count: u8,
    /// The alternatives, as the key's built-in rule reads them; empty where that compares text.
    readings: Box<[Reading]>,
}

impl Feature {
    /// Reads a feature; surrounding blanks do not count, and the first `:` separates key and value.
    ///
    /// # Errors
    /// In words, when there is no key, the text is longer than [`MAX_LENGTH`], or there are more alternatives than
    /// [`MAX_ALTERNATIVES`].
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.starts_with(':') {
            return Err("a feature without a key".to_owned());
        }
        let (key, value) = text.split_once(':').map_or((text, None), |(key, value)| (key, Some(value)));
        let rest_of_length = MAX_LENGTH.saturating_sub(key.len() + usize::from(value.is_some()));
        let longest = value.map(|value| value.split('|').map(str::len).max().unwrap_or_default());
        if key.len() > MAX_LENGTH || longest.is_some_and(|longest| longest > rest_of_length) {
            return Err(format!("a feature longer than {MAX_LENGTH} bytes"));
        }
        let alternatives = || value.into_iter().flat_map(|value| value.split('|'));
        let count = alternatives().take(MAX_ALTERNATIVES + 1).count().max(1);
        if count > MAX_ALTERNATIVES {
            return Err(format!("a feature of more than {MAX_ALTERNATIVES} alternatives"));
        }
        let rule = Rule::built_in(key);
        let readings =
            if rule.reads() { alternatives().map(|text| Reading::of(rule, text)).collect() } else { [].into() };
        let key_length = u16::try_from(key.len()).map_err(|_| "a key that is too long")?;
        let count = u8::try_from(count).map_err(|_| "too many alternatives")?;
        Ok(Self { text: text.into(), key_length, count, readings })
    }

    /// The part before the first `:`, or the whole of a bare key.
    #[must_use]
    pub fn key(&self) -> &str {
        let key = self.text.get(..usize::from(self.key_length));
        debug_assert!(key.is_some(), "{self:?}");
        key.unwrap_or_default()
    }

    /// The part after the first `:`; `None` for a bare key.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.text.get(usize::from(self.key_length) + 1..)
    }

    /// The values of which one must be met; none for a bare key.
    pub fn alternatives(&self) -> impl Iterator<Item = &str> {
        self.value().into_iter().flat_map(|value| value.split('|'))
    }

    /// How many alternatives there are; 1 for a bare key.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Calls `each` with every alternative as `rule` reads it, in their order. The built-in rule has read them already.
    pub(super) fn read(&self, rule: Rule, each: &mut dyn FnMut(Reading)) {
        if rule == Rule::built_in(self.key()) {
            self.readings.iter().copied().for_each(each);
        } else {
            self.alternatives().map(|text| Reading::of(rule, text)).for_each(each);
        }
    }

    /// Whether an alternative is PTX, which only a driver of the toolkit's version or a later one compiles.
    pub(crate) fn has_ptx(&self, rule: Rule) -> bool {
        let mut found = false;
        self.read(rule, &mut |reading| found |= matches!(reading, Reading::Cuda(code) if code.has_ptx()));
        found
    }

    /// The first alternative that `rule` cannot read, so that no machine meets it.
    pub(crate) fn unreadable(&self, rule: Rule) -> Option<&str> {
        let mut alternatives = self.alternatives().filter(|_| rule.reads());
        alternatives.find(|text| Reading::of(rule, text) == Reading::Unreadable)
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
