//! A request's method and path → what the client wants (OCI distribution spec, §Endpoints).
//!
//! Names, tags and digests are validated here, once, and carried as types afterwards. `manifests`, `blobs` and
//! `tags` are legal repository components, so paths are read from the right.

pub mod form;
pub mod query;
pub mod said;

use self::query::ExplainQuery;
use crate::auth::realm;
use crate::oci::digest::Digest;
use crate::oci::reference::{InvalidReference, Reference, Repository};

/// The beginning of every path of a registry.
pub const BASE: &str = "/v2/";

/// The two methods that a read-only registry knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The document.
    Get,
    /// Its headers alone.
    Head,
}

/// The request of a client.
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
    /// `/metahub/v1/machine-types`, from the first name after this one on
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
    /// The repository that the request is about, to be changed.
    pub(crate) const fn repository_mut(&mut self) -> Option<&mut Repository> {
        match self {
            Self::Ping | Self::Health | Self::Token | Self::MachineTypes(_) => None,
            Self::Explain(query) => Some(&mut query.repository),
            Self::Manifest(repository, _)
            | Self::Blob(repository)
            | Self::Tags(repository)
            | Self::Referrers(repository) => Some(repository),
        }
    }

    /// The same request for `<namespace>/<repository>`, if the repository has one component only (Docker Hub's
    /// `library`), and the namespace if that made a difference.
    #[must_use]
    pub fn in_namespace(mut self, namespace: Option<&Repository>) -> (Self, Option<&Repository>) {
        let Some(repository) = self.repository_mut() else { return (self, None) };
        let within = namespace.and_then(|namespace| Some((namespace, repository.within(namespace)?)));
        let namespace = within.map(|(namespace, within)| {
            *repository = within;
            namespace
        });
        (self, namespace)
    }
}

/// Why a request is refused before anything else is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// The method writes, or the path is one of pushes.
    #[error(
        "MetaHub is read-only: it serves GET and HEAD of manifests, blobs, tags and referrers; \
         push to the registry behind it"
    )]
    Unsupported,
    /// MetaHub does not serve the path.
    #[error(
        "MetaHub serves nothing here: images are at /v2/<repository>/ (manifests, blobs, tags/list and referrers), \
         its own pages at /metahub/v1/ (explain, machine-types, token and health)"
    )]
    NotServed,
    /// A name in the path breaks the grammar of names.
    #[error(transparent)]
    Name(#[from] InvalidReference),
    /// `explain` was asked for no image, or for one whose name breaks the grammar.
    #[error("explain needs one image: /metahub/v1/explain?image=<repository>[:<tag>|@<digest>]")]
    Image,
}

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
    /// no part of any grammar here, so `%2f` and its like never pass; only a digest's colon may be written so.
    pub fn parse(path: &[u8]) -> Result<Self, InvalidRequest> {
        let path = std::str::from_utf8(path).map_err(|_| InvalidRequest::NotServed)?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match path {
            "/v2" | "/v2/" => return Ok(Self::Ping),
            "/metahub/v1/health" => return Ok(Self::Health),
            realm::PATH => return Ok(Self::Token),
            "/metahub/v1/machine-types" => return Ok(Self::MachineTypes(query::after(query))),
            "/metahub/v1/explain" => {
                let query = query::explain(query).ok_or(InvalidRequest::Image)?;
                return Ok(Self::Explain(Box::new(query)));
            }
            _ => {}
        }
        let rest = path.strip_prefix(BASE).ok_or(InvalidRequest::NotServed)?;
        let (rest, last) = rest.rsplit_once('/').ok_or(InvalidRequest::NotServed)?;
        let (repository, kind) = rest.rsplit_once('/').ok_or(InvalidRequest::NotServed)?;
        let canonical = canonical_digest(last);
        match (kind, canonical.as_deref().unwrap_or(last)) {
            ("manifests", reference) => {
                Ok(Self::Manifest(Repository::parse(repository)?, Reference::parse(reference)?))
            }
            ("blobs", "uploads") => Err(InvalidRequest::Unsupported),
            ("blobs", digest) => {
                let repository = Repository::parse(repository)?;
                Digest::parse(digest).map_err(|_| InvalidReference::Digest)?;
                Ok(Self::Blob(repository))
            }
            ("tags", "list") => Ok(Self::Tags(Repository::parse(repository)?)),
            ("referrers", digest) => {
                let repository = Repository::parse(repository)?;
                Digest::parse(digest).map_err(|_| InvalidReference::Digest)?;
                Ok(Self::Referrers(repository))
            }
            ("uploads", _) if repository.ends_with("/blobs") => Err(InvalidRequest::Unsupported),
            _ => Err(InvalidRequest::NotServed),
        }
    }
}

/// A reference that begins as a digest with an encoded colon (`sha256%3A…`), as some clients write it, in its one form;
/// `None` for every other text.
#[must_use]
pub fn canonical_digest(reference: &str) -> Option<String> {
    let (algorithm, rest) = reference.split_once("%3")?;
    let hex = rest.strip_prefix(['A', 'a']).filter(|_| matches!(algorithm, "sha256" | "sha512"))?;
    Some([algorithm, ":", hex].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::reference::Tag;

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
            for colon in ["%3A", "%3a"] {
                let path = path.replace("sha256:", &format!("sha256{colon}"));
                assert_eq!(Request::parse(path.as_bytes()).as_ref(), Ok(&request), "{path}");
            }
            assert_eq!(Request::parse(path.as_bytes()), Ok(request), "{path}");
        }
    }

    #[test]
    fn refuses_what_is_not() {
        use InvalidReference as R;
        use InvalidRequest as E;
        let long_tag = format!("/v2/a/manifests/{}", "t".repeat(129));
        let long_name = format!("/v2/{}/manifests/latest", "a".repeat(256));
        let rows = [
            ("/", E::NotServed),
            ("", E::NotServed),
            ("/v1/a", E::NotServed),
            ("/v2/_catalog", E::NotServed),
            ("/v2/a/blobs/uploads/", E::Unsupported),
            ("/v2/a/blobs/uploads", E::Unsupported),
            ("/v2/a/blobs/uploads/5e3c?_state=x", E::Unsupported),
            ("/v2/a/uploads/5e3c", E::NotServed),
            ("/v2/manifests/latest", E::NotServed),
            ("/v2/a/tags/other", E::NotServed),
            ("/v2/a/unknown/latest", E::NotServed),
            ("/metahub/v1/health/", E::NotServed),
            ("/v2//manifests/latest", E::Name(R::Repository)),
            ("/v2/A/manifests/latest", E::Name(R::Repository)),
            ("/v2/a//b/manifests/latest", E::Name(R::Repository)),
            ("/v2/a/../b/manifests/latest", E::Name(R::Repository)),
            ("/v2/a%2fb/manifests/latest", E::Name(R::Repository)),
            ("/v2/-a/manifests/latest", E::Name(R::Repository)),
            ("/v2/a-/manifests/latest", E::Name(R::Repository)),
            ("/v2/a..b/manifests/latest", E::Name(R::Repository)),
            ("/v2/a___b/manifests/latest", E::Name(R::Repository)),
            ("/v2/a._b/manifests/latest", E::Name(R::Repository)),
            ("/v2/a b/manifests/latest", E::Name(R::Repository)),
            ("/v2/a\n/manifests/latest", E::Name(R::Repository)),
            ("/v2/ä/manifests/latest", E::Name(R::Repository)),
            (&long_name, E::Name(R::Repository)),
            ("/v2/a/manifests/", E::Name(R::Tag)),
            ("/v2/a/manifests/.hidden", E::Name(R::Tag)),
            ("/v2/a/manifests/-x", E::Name(R::Tag)),
            ("/v2/a/manifests/la%74est", E::Name(R::Tag)),
            ("/v2/a/manifests/lat\u{0}est", E::Name(R::Tag)),
            (&long_tag, E::Name(R::Tag)),
            ("/v2/a/manifests/sha256:abc", E::Name(R::Digest)),
            ("/v2/a/manifests/x:latest", E::Name(R::Digest)),
            ("/v2/a/manifests/sha256%3Aabc", E::Name(R::Digest)),
            (&DIGEST.replace("sha256:", "/v2/a/manifests/sha256%253A"), E::Name(R::Tag)),
            (&DIGEST.replace("sha256:", "/v2/a/manifests/sha%32%35%36:"), E::Name(R::Digest)),
            (&DIGEST.replace("sha256:", "/v2/a/blobs/sha256%3A").replace("e3", "%653"), E::Name(R::Digest)),
            (&DIGEST.replace("sha256:", "/v2/a%2fb/manifests/sha256%3A"), E::Name(R::Repository)),
            ("/v2/a/manifests/a%3Ab", E::Name(R::Tag)),
            ("/v2/a/blobs/latest", E::Name(R::Digest)),
            ("/v2/a/referrers/latest", E::Name(R::Digest)),
        ];
        for (path, error) in rows {
            assert_eq!(Request::parse(path.as_bytes()), Err(error), "{path}");
        }
        assert_eq!(Request::parse(b"/v2/\xff/manifests/latest"), Err(E::NotServed));
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
