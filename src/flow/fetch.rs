//! MetaHub's own requests for manifests, and the checks of their answers.

use super::fault::{Fault, OVERLOADED};
use super::report::Counter;
use super::session::Session;
use super::step::{Answer, Callout};
use crate::config::Registry;
use crate::flow::body::Body;
use crate::oci::errors::Code;
use crate::oci::index::{Descriptor, MAX_BYTES};
use crate::oci::media_type::{self, DOCKER_LIST, DOCKER_MANIFEST, Kind, essence};
use crate::oci::reference::Repository;
use crate::text::headers::Headers;

/// The largest manifest that is read, in bytes: the limit of an index holds for every manifest.
pub const MAX_MANIFEST: usize = MAX_BYTES;

/// The largest manifest that is an answer of MetaHub's own, in bytes. Envoy holds such an answer until its client has
/// read it, so larger ones pass from upstream, which Envoy slows down instead (`transfer.rs`).
pub(super) const LARGE: usize = 64 * 1024;

/// A callout for a manifest of these types, or of any. `reference` is a tag or a digest.
pub(super) fn callout(session: &Session, repository: &Repository, reference: &str, accept: Option<&str>) -> Callout {
    request("GET", session, repository, reference, accept)
}

/// A callout for what is said about the manifest that a tag points to.
pub(super) fn head(session: &Session, repository: &Repository, tag: &str) -> Callout {
    request("HEAD", session, repository, tag, None)
}

fn request(method: &str, session: &Session, repository: &Repository, reference: &str, accept: Option<&str>) -> Callout {
    let registry = &session.registry;
    let headers = vec![
        (":method", method.to_owned()),
        (":path", format!("/v2/{}/manifests/{reference}", registry.upstream(repository))),
        (":authority", registry.host.clone()),
        ("accept", accept.map_or_else(|| media_type::ALL.join(", "), str::to_owned)),
        ("accept-encoding", "identity".to_owned()),
    ];
    Callout { cluster: registry.cluster.clone(), headers }
}

/// Whether a content type is true of a document. The content decides what a document is, and a wrong type is never
/// kept: runtimes refuse a manifest whose own `mediaType` differs from its `Content-Type`. If a document does not say
/// what it is, only a type of manifests is true. No type at all is not wrong.
pub(super) fn is_true(media_type: &str, body: &Body) -> bool {
    let said = Kind::of(media_type);
    let nature = if said == Kind::Index { body.nature_of_index() } else { body.nature() };
    let fits = || match &nature.media_type {
        Some(own) => media_type::same(media_type, own),
        None => said != Kind::Unknown,
    };
    (said == Kind::Index) == nature.is_index && (media_type.is_empty() || fits())
}

/// Whether a document confirms its content type. This is required where a client's `Accept` went upstream: a registry
/// may give a document any type that this client wants, and the others would get that type from the cache. A document
/// that does not say what it is must be of a kind that need not; Docker's documents say it.
pub(super) fn is_confirmed(media_type: &str, body: &Body) -> bool {
    let must_say =
        || Kind::of(media_type) == Kind::Unknown || [DOCKER_LIST, DOCKER_MANIFEST].contains(&essence(media_type));
    let says = |own: &String| media_type::same(own, media_type);
    is_true(media_type, body) && body.nature().media_type.as_ref().map_or_else(|| !must_say(), says)
}

/// Why there is no manifest in an answer.
#[derive(Debug)]
pub(super) enum Unusable<'a> {
    /// Something is wrong.
    Fault(Fault),
    /// An answer that the client gets as it is: 404, 429 and the like.
    Relayed(Answer<'a>),
}

/// The answer to a request for what a tag points to, if it is a manifest that can be read; `reference` is what was
/// asked for.
pub(super) fn top<'a>(
    registry: &Registry,
    reference: &str,
    answer: Option<Answer<'a>>,
) -> Result<Answer<'a>, Unusable<'a>> {
    let host = &registry.host;
    let Some(answer) = answer else { return Err(Unusable::Fault(Fault::broke_off(host, reference))) };
    let Answer { headers, body } = answer;
    let invalid = |message: String| Err(Unusable::Fault(Fault::invalid(message)));
    match headers.status() {
        200 if headers.is_encoded() => {
            invalid(format!("the registry {host} sent the manifest compressed; MetaHub had asked for it uncompressed"))
        }
        200 if body.len() > MAX_MANIFEST => Err(Unusable::Fault(Fault::too_large())),
        200 if body.is_empty() => invalid(format!("the registry {host} answered without a body")),
        200 => Ok(answer),
        500.. | 0 => Err(Unusable::Fault(Fault::unavailable(host, headers))),
        status @ (201..=299) => invalid(format!("the registry {host} answered {status} to a manifest request")),
        status @ (300..=399) => Err(Unusable::Fault(redirected(host, status))),
        _ => Err(Unusable::Relayed(answer)),
    }
}

/// A redirect. A client that followed it would get the whole index, and choose from it by its platform alone.
pub(super) fn redirected(host: &str, status: u64) -> Fault {
    Fault::invalid(format!(
        "the registry {host} redirects manifests ({status}); configure the registry that it redirects to"
    ))
}

/// The body of an answer with status 200, uncompressed; `what` is the reference that was asked for.
pub(super) fn manifest<'a>(session: &Session, what: &str, answer: Option<Answer<'a>>) -> Result<Answer<'a>, Fault> {
    let answer = answer.ok_or_else(|| Fault::broke_off(&session.registry.host, what))?;
    found(session, what, answer.headers)?;
    if answer.body.len() > MAX_MANIFEST {
        return Err(Fault::too_large());
    }
    Ok(answer)
}

/// Whether an answer is a manifest, by its status and encoding; `what` is the reference that was asked for.
pub(super) fn found(session: &Session, what: &str, headers: Headers<'_>) -> Result<(), Fault> {
    let host = &session.registry.host;
    match headers.status() {
        200 if headers.is_encoded() => {
            let problem = "compressed; MetaHub had asked for it uncompressed";
            Err(Fault::invalid(format!("the registry {host} sent {what} {problem}")))
        }
        200 => Ok(()),
        404 => {
            let message = format!("the registry {host} does not have the manifest {what}; push the image again");
            Err(Fault::new(Code::ManifestUnknown, Counter::InvalidManifest, message))
        }
        // This fault does not pass by itself, so no earlier answer may stand in for it.
        403 => {
            let message = format!("the registry {host} denies access to {what} (403); {}", session.advice());
            Err(Fault::new(Code::Denied, Counter::UpstreamFailed, message))
        }
        429 => {
            let message = format!("the registry {host} limits requests (429) for {what}; try again later");
            Err(Fault::new(Code::TooManyRequests, Counter::UpstreamFailed, message).retrying(headers))
        }
        _ if headers.has(OVERLOADED) => Err(Fault::unavailable(host, headers)),
        status => {
            let message = format!("the registry {host} answered {status} for {what}; try again later");
            Err(Fault::upstream(message).retrying(headers))
        }
    }
}

/// Whether an answer has the media type of a descriptor; an answer that names none has it.
pub(super) fn has_type(descriptor: &Descriptor, headers: Headers<'_>) -> Result<(), Fault> {
    let Descriptor { media_type: expected, digest, .. } = descriptor;
    let content_type = headers.first("content-type").map_or(expected.as_bytes(), |value| value);
    if std::str::from_utf8(content_type).is_ok_and(|content_type| media_type::same(content_type, expected)) {
        return Ok(());
    }
    Err(Fault::invalid(format!("the manifest {digest} does not have the media type {expected:?} that the index names")))
}

/// The bytes behind a descriptor, if they are what it promises (OCI image spec, descriptor.md §Verification).
pub(super) fn verified<'a>(
    session: &Session,
    descriptor: &Descriptor,
    answer: Option<Answer<'a>>,
) -> Result<&'a Body, Fault> {
    let Descriptor { digest, size, .. } = descriptor;
    let Answer { headers, body } = answer.ok_or_else(|| Fault::broke_off(&session.registry.host, digest.as_str()))?;
    found(session, digest.as_str(), headers)?;
    if body.len() as u64 != *size {
        let message = format!("the manifest {digest} has {} bytes, not {size} as the index says", body.len());
        return Err(Fault::invalid(message));
    }
    if !body.verifies(digest) {
        return Err(Fault::invalid(format!("the manifest behind {digest} hashes to {}", body.digest())));
    }
    has_type(descriptor, headers)?;
    if Kind::of(&descriptor.media_type) != Kind::Index && body.nature().is_index {
        return Err(Fault::invalid(format!("the manifest {digest} is an index, and not one image as the index says")));
    }
    Ok(body)
}
