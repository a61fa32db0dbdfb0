//! Header maps as bytes: one value that is not UTF-8 must not take anything down.

use std::borrow::Cow;

/// The headers of one message, names in lower case, in wire order.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(pub &'a [(String, Vec<u8>)]);

impl<'a> Headers<'a> {
    /// All values of a header.
    pub fn all(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// The first value of a header.
    #[must_use]
    pub fn first(self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The first value of a header as text; one that is not UTF-8 is treated as absent.
    #[must_use]
    pub fn text(self, name: &str) -> Option<&'a str> {
        self.first(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The first value of a header as a number.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// The status of a response; 0 if it has none.
    #[must_use]
    pub fn status(self) -> u64 {
        self.number(":status").unwrap_or(0)
    }

    /// Whether a body has a content coding (RFC 9110 §8.4), so that its bytes are not the document's own.
    #[must_use]
    pub fn is_encoded(self) -> bool {
        self.all("content-encoding").any(|encoding| !encoding.eq_ignore_ascii_case(b"identity"))
    }

    /// Whether the header is there.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.first(name).is_some()
    }
}

/// One change to the headers of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderChange {
    /// This value instead of all that are there.
    Set(&'static str, String),
    /// Nothing instead of all that are there.
    Remove(Cow<'static, str>),
}

impl HeaderChange {
    /// The header that changes.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Set(name, _) => name,
            Self::Remove(name) => name,
        }
    }
}
