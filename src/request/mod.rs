//! A request's method and path → what the client wants (OCI distribution spec, §Endpoints).
//!
//! Names, tags and digests are validated here, once, and carried as types afterwards. `manifests`, `blobs` and
//! `tags` are legal repository components, so paths are read from the right.

pub mod query;

use std::fmt;

use self::query::ExplainQuery;
use crate::auth::realm;
use crate::oci::digest::Digest;

/// Longest repository name that is accepted, in bytes (OCI distribution spec, §Pulling manifests).
const MAX_REPOSITORY_LENGTH: usize = 255;
/// Longest tag that is accepted, in bytes (the same place).
const MAX_TAG_LENGTH: usize = 128;

/// The two methods that a read-only registry knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The document.
    Get,
    /// Its headers alone.
    Head,
}

/// A repository name such as `library/nginx`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Repository(String);

/// A tag such as `latest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag(String);

/// How a manifest is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// By a name that can move.
    Tag(Tag),
    /// By its content.
    Digest(Digest),
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `GET /v2/`: does this registry exist, and who may use it?
    Ping,
    /// `/v2/<repository>/manifests/<reference>`
    Manifest(Repository, Reference),
    /// `/v2/<repository>/blobs/<digest>`
    Blob(Repository),
    /// `/v2/<repository>/tags/list`
    Tags(Repository),
    /// `/v2/<repository>/referrers/<digest>`
    Referrers(Repository),
    /// `/metahub/v1/health`
    Health,
    /// `/metahub/v1/token`
    Token,
    /// `/metahub/v1/machine-types`, from behind this name on
    MachineTypes(Option<String>),
    /// `/metahub/v1/explain`
    Explain(Box<ExplainQuery>),
}

impl Request {
    /// The repository that the request is about, if any.
    #[must_use]
    pub const fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Ping | Self::Health | Self::Token | Self::MachineTypes(_) => None,
            Self::Explain(query) => Some(&query.repository),
            Self::Manifest(repository, _)
            | Self::Blob(repository)
            | Self::Tags(repository)
            | Self::Referrers(repository) => Some(repository),
        }
    }
}

impl Request {
    /// The same request for `<namespace>/<repository>`, if the repository has one component only (Docker Hub's
    /// `library`), and the namespace if that made a difference.
    #[must_use]
    pub fn in_namespace(mut self, namespace: Option<&Repository>) -> (Self, Option<&Repository>) {
        let repository = match &mut self {
            Self::Ping | Self::Health | Self::Token | Self::MachineTypes(_) => return (self, None),
            Self::Explain(query) => &mut query.repository,
            Self::Manifest(repository, _)
            | Self::Blob(repository)
            | Self::Tags(repository)
            | Self::Referrers(repository) => repository,
        };
        let namespace = namespace.filter(|_| !repository.0.contains('/'));
        if let Some(namespace) = namespace {
            repository.0 = format!("{namespace}/{repository}");
        }
        (self, namespace)
    }
}

/// Why a request is refused before anything else is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidRequest {
    /// The method writes, or the path is none that MetaHub serves.
    Unsupported,
    /// The repository name breaks the grammar.
    Repository,
    /// The tag breaks the grammar.
    Tag,
    /// The digest is none.
    Digest,
    /// `explain` was asked for no image, or for one whose name breaks the grammar.
    Image,
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => {
                "MetaHub is read-only: it serves GET and HEAD of manifests, blobs, tags and referrers; \
                 push to the registry behind it"
            }
            Self::Repository => "not a repository name: lower-case letters, digits, '.', '_', '-' and '/' only",
            Self::Tag => "not a tag: letters, digits, '_', '.' and '-' only, 128 at most",
            Self::Image => "explain needs one image: /metahub/v1/explain?image=<repository>[:<tag>|@<digest>]",
            Self::Digest => "not a digest: expected sha256:<64 hex digits> or sha512:<128 hex digits>",
        })
    }
}

impl std::error::Error for InvalidRequest {}

impl Method {
    /// Reads the `:method` header.
    ///
    /// # Errors
    /// [`InvalidRequest::Unsupported`] for anything but `GET` and `HEAD`.
    pub fn parse(method: &[u8]) -> Result<Self, InvalidRequest> {
        match method {
            b"GET" => Ok(Self::Get),
            b"HEAD" => Ok(Self::Head),
            _ => Err(InvalidRequest::Unsupported),
        }
    }
}

impl Request {
    /// Reads the `:path` header. The query string counts for MetaHub's own endpoints only.
    ///
    /// # Errors
    /// [`InvalidRequest`] for a path that is not served and for names that break their grammar. Percent-encoding is
    /// no part of any grammar here, so `%2f` and its like never pass.
    pub fn parse(path: &[u8]) -> Result<Self, InvalidRequest> {
        let path = std::str::from_utf8(path).map_err(|_| InvalidRequest::Unsupported)?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match path {
            "/v2" | "/v2/" => return Ok(Self::Ping),
            "/metahub/v1/health" => return Ok(Self::Health),
            realm::PATH => return Ok(Self::Token),
            "/metahub/v1/machine-types" => return Ok(Self::MachineTypes(query::after(query))),
            "/metahub/v1/explain" => return query::explain(query).map(|query| Self::Explain(Box::new(query))),
            _ => {}
        }
        let rest = path.strip_prefix("/v2/").ok_or(InvalidRequest::Unsupported)?;
        let (rest, last) = rest.rsplit_once('/').ok_or(InvalidRequest::Unsupported)?;
        let (repository, kind) = rest.rsplit_once('/').ok_or(InvalidRequest::Unsupported)?;
        match (kind, last) {
            ("manifests", reference) => {
                Ok(Self::Manifest(Repository::parse(repository)?, Reference::parse(reference)?))
            }
            ("blobs", "uploads") => Err(InvalidRequest::Unsupported),
            ("blobs", digest) => {
                let repository = Repository::parse(repository)?;
                Digest::parse(digest).map_err(|_| InvalidRequest::Digest)?;
                Ok(Self::Blob(repository))
            }
            ("tags", "list") => Ok(Self::Tags(Repository::parse(repository)?)),
            ("referrers", digest) => {
                let repository = Repository::parse(repository)?;
                Digest::parse(digest).map_err(|_| InvalidRequest::Digest)?;
                Ok(Self::Referrers(repository))
            }
            _ => Err(InvalidRequest::Unsupported),
        }
    }
}

impl Repository {
    /// Reads a repository name: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/…)*`.
    ///
    /// # Errors
    /// [`InvalidRequest::Repository`].
    pub fn parse(name: &str) -> Result<Self, InvalidRequest> {
        if name.len() <= MAX_REPOSITORY_LENGTH && name.split('/').all(is_component) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidRequest::Repository)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
    /// [`InvalidRequest::Tag`].
    pub fn parse(tag: &str) -> Result<Self, InvalidRequest> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let first = tag.bytes().next().is_some_and(word);
        if first && tag.len() <= MAX_TAG_LENGTH && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-') {
            Ok(Self(tag.to_owned()))
        } else {
            Err(InvalidRequest::Tag)
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
    /// [`InvalidRequest::Tag`] or [`InvalidRequest::Digest`].
    pub fn parse(reference: &str) -> Result<Self, InvalidRequest> {
        if reference.contains(':') {
            Digest::parse(reference).map(Self::Digest).map_err(|_| InvalidRequest::Digest)
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

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn repository(name: &str) -> Repository {
        Repository::parse(name).unwrap()
    }

    #[test]
    fn classifies_what_is_served() {
        let digest = Digest::parse(DIGEST).unwrap();
        let tag = |tag: &str| Reference::Tag(Tag::parse(tag).unwrap());
        let rows = [
            ("/v2/".to_owned(), Request::Ping),
            ("/v2".to_owned(), Request::Ping),
            ("/v2/?ns=docker.io".to_owned(), Request::Ping),
            ("/metahub/v1/health".to_owned(), Request::Health),
            ("/metahub/v1/token?service=metahub&scope=%zz&scope=repository:a:pull".to_owned(), Request::Token),
            ("/v2/a/manifests/latest".to_owned(), Request::Manifest(repository("a"), tag("latest"))),
            (
                "/v2/a/b-c/d__e.f/manifests/V1.0_x-y?ns=x".to_owned(),
                Request::Manifest(repository("a/b-c/d__e.f"), tag("V1.0_x-y")),
            ),
            (format!("/v2/a/manifests/{DIGEST}"), Request::Manifest(repository("a"), Reference::Digest(digest))),
            (
                "/v2/manifests/blobs/manifests/tags".to_owned(),
                Request::Manifest(repository("manifests/blobs"), tag("tags")),
            ),
            (format!("/v2/a/manifests/x/blobs/{DIGEST}"), Request::Blob(repository("a/manifests/x"))),
            ("/v2/a/tags/list?n=10&last=b".to_owned(), Request::Tags(repository("a"))),
            (format!("/v2/a/referrers/{DIGEST}?artifactType=x"), Request::Referrers(repository("a"))),
        ];
        for (path, request) in rows {
            assert_eq!(Request::parse(path.as_bytes()), Ok(request), "{path}");
        }
    }

    #[test]
    fn refuses_what_is_not() {
        use InvalidRequest as E;
        let long_tag = format!("/v2/a/manifests/{}", "t".repeat(129));
        let long_name = format!("/v2/{}/manifests/latest", "a".repeat(256));
        let rows = [
            ("/", E::Unsupported),
            ("", E::Unsupported),
            ("/v1/a", E::Unsupported),
            ("/v2/_catalog", E::Unsupported),
            ("/v2/a/blobs/uploads/", E::Unsupported),
            ("/v2/a/blobs/uploads", E::Unsupported),
            ("/v2/manifests/latest", E::Unsupported),
            ("/v2/a/tags/other", E::Unsupported),
            ("/v2/a/unknown/latest", E::Unsupported),
            ("/metahub/v1/health/", E::Unsupported),
            ("/v2//manifests/latest", E::Repository),
            ("/v2/A/manifests/latest", E::Repository),
            ("/v2/a//b/manifests/latest", E::Repository),
            ("/v2/a/../b/manifests/latest", E::Repository),
            ("/v2/a%2fb/manifests/latest", E::Repository),
            ("/v2/-a/manifests/latest", E::Repository),
            ("/v2/a-/manifests/latest", E::Repository),
            ("/v2/a..b/manifests/latest", E::Repository),
            ("/v2/a___b/manifests/latest", E::Repository),
            ("/v2/a._b/manifests/latest", E::Repository),
            ("/v2/a b/manifests/latest", E::Repository),
            ("/v2/a\n/manifests/latest", E::Repository),
            ("/v2/ä/manifests/latest", E::Repository),
            (&long_name, E::Repository),
            ("/v2/a/manifests/", E::Tag),
            ("/v2/a/manifests/.hidden", E::Tag),
            ("/v2/a/manifests/-x", E::Tag),
            ("/v2/a/manifests/la%74est", E::Tag),
            ("/v2/a/manifests/lat\u{0}est", E::Tag),
            (&long_tag, E::Tag),
            ("/v2/a/manifests/sha256:abc", E::Digest),
            ("/v2/a/manifests/x:latest", E::Digest),
            ("/v2/a/blobs/latest", E::Digest),
            ("/v2/a/referrers/latest", E::Digest),
        ];
        for (path, error) in rows {
            assert_eq!(Request::parse(path.as_bytes()), Err(error), "{path}");
        }
        assert_eq!(Request::parse(b"/v2/\xff/manifests/latest"), Err(E::Unsupported));
    }

    #[test]
    fn knows_reading_methods_only() {
        assert_eq!(Method::parse(b"GET"), Ok(Method::Get));
        assert_eq!(Method::parse(b"HEAD"), Ok(Method::Head));
        for method in [&b"POST"[..], b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"get", b"", b"\xff"] {
            assert_eq!(Method::parse(method), Err(InvalidRequest::Unsupported));
        }
    }
}
