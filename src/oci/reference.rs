//! The names of manifests: repository, tag or digest (OCI distribution spec, §Pulling manifests).

use std::borrow::Cow;
use std::fmt;

use crate::oci::digest::Digest;

/// Longest repository name that is accepted, in bytes (OCI distribution spec, §Pulling manifests).
const MAX_REPOSITORY_LENGTH: usize = 255;
/// Longest tag that is accepted, in bytes (the same place).
const MAX_TAG_LENGTH: usize = 128;

/// A repository name such as `library/nginx`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Repository(String);

/// A tag such as `latest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag(String);

/// The name of a manifest in its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// By a name that can move.
    Tag(Tag),
    /// By its content.
    Digest(Digest),
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// A repository name that breaks the grammar.
    #[error("not a repository name: lower-case letters, digits, '.', '_', '-' and '/' only")]
    Repository,
    /// A tag that breaks the grammar.
    #[error("not a tag: letters, digits, '_', '.' and '-' only, 128 at most")]
    Tag,
    /// No digest.
    #[error("not a digest: expected sha256:<64 hex digits> or sha512:<128 hex digits>")]
    Digest,
}

impl Repository {
    /// Reads a repository name: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/…)*`.
    ///
    /// # Errors
    /// [`InvalidReference::Repository`].
    pub fn parse(name: &str) -> Result<Self, InvalidReference> {
        if name.len() <= MAX_REPOSITORY_LENGTH && name.split('/').all(is_component) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidReference::Repository)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The repository `<path>/<name>`; this one where there is no path.
    #[must_use]
    pub fn below(&self, path: Option<&Self>) -> Cow<'_, Self> {
        path.map_or(Cow::Borrowed(self), |path| Cow::Owned(Self([path.as_str(), "/", &self.0].concat())))
    }

    /// The repository `<namespace>/<name>`, if this one's name has one component only.
    #[must_use]
    pub fn within(&self, namespace: &Self) -> Option<Self> {
        (!self.0.contains('/')).then(|| Self(format!("{namespace}/{self}")))
    }
}

/// Whether `component` is alphanumeric runs joined by `.`, `_`, `__` or any number of `-`.
fn is_component(component: &str) -> bool {
    let mut separator = String::new();
    let mut seen = false;
    for character in component.chars() {
        match character {
            'a'..='z' | '0'..='9' => {
                let joined = if seen { is_separator(&separator) } else { separator.is_empty() };
                if !joined {
                    return false;
                }
                seen = true;
                separator.clear();
            }
            '.' | '_' | '-' => separator.push(character),
            _ => return false,
        }
    }
    seen && separator.is_empty()
}

fn is_separator(text: &str) -> bool {
    matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-')
}

impl Tag {
    /// Reads a tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    ///
    /// # Errors
    /// [`InvalidReference::Tag`].
    pub fn parse(tag: &str) -> Result<Self, InvalidReference> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let first = tag.bytes().next().is_some_and(word);
        if first && tag.len() <= MAX_TAG_LENGTH && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-') {
            Ok(Self(tag.to_owned()))
        } else {
            Err(InvalidReference::Tag)
        }
    }

    /// The tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reference {
    /// The tag or digest.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        }
    }

    /// Reads a tag or a digest; only digests contain a colon.
    ///
    /// # Errors
    /// [`InvalidReference::Tag`] or [`InvalidReference::Digest`].
    pub fn parse(reference: &str) -> Result<Self, InvalidReference> {
        if reference.contains(':') {
            Digest::parse(reference).map(Self::Digest).map_err(|_| InvalidReference::Digest)
        } else {
            Tag::parse(reference).map(Self::Tag)
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
