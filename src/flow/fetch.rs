//! Requests of MetaHub's own for manifests, and what their answers are worth.

use super::standing::Upstream;
use super::{Answer, Callout, Counter};
use crate::config::Registry;
use crate::digest::Digest;
use crate::errors::{Code, Reply};
use crate::headers::Headers;
use crate::index::{Descriptor, MAX_BYTES};
use crate::media_type;
use crate::request::Repository;
use crate::select::DeadEnd;

/// Largest manifest that is read, in bytes: the limit of an index holds for every manifest.
pub const MAX_MANIFEST: usize = MAX_BYTES;

/// Upstream's word on when to try again and on its limit, which a client gets with MetaHub's own error. The `RateLimit`
/// fields (draft-ietf-httpapi-ratelimit-headers) as Docker Hub sends them.
const TOLD_ON: [&str; 5] =
    ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "docker-ratelimit-source"];

/// Why a request comes to nothing: what the client is told is what the log says.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) counter: Counter,
    pub(super) message: String,
    told: Vec<(&'static str, String)>,
}

impl Fault {
    #[cold]
    pub(super) fn new(code: Code, counter: Counter, message: String) -> Self {
        Self { code, counter, message, told: Vec::new() }
    }

    pub(super) fn invalid(message: String) -> Self {
        Self::new(Code::ManifestInvalid, Counter::InvalidManifest, message)
    }

    pub(super) fn upstream(message: String) -> Self {
        Self::new(Code::Unavailable, Counter::UpstreamFailed, message)
    }

    pub(super) fn too_large() -> Self {
        Self::dead_end(&DeadEnd::TooLarge)
    }

    pub(super) fn unavailable(host: &str, status: u64) -> Self {
        Self::upstream(format!("the registry {host} is not available ({status}); try again later"))
    }

    /// The client asked for nothing wrong where an index cannot be used; it did where nothing fits its machine.
    pub(super) fn dead_end(dead_end: &DeadEnd) -> Self {
        match dead_end {
            DeadEnd::NothingFits(_) => Self::new(Code::ManifestUnknown, Counter::NoMatch, dead_end.to_string()),
            _ => Self::invalid(dead_end.to_string()),
        }
    }

    /// With the upstream's word on when to try again, and on its limit.
    pub(super) fn retrying(mut self, headers: Headers<'_>) -> Self {
        self.told = TOLD_ON.iter().filter_map(|name| Some((*name, headers.text(name)?.to_owned()))).collect();
        self
    }

    /// The registry error, with a message that puts the fault into its context.
    pub(super) fn reply(&self, message: &str) -> Reply {
        let reply = Reply::error(self.code, message);
        self.told.iter().fold(reply, |reply, (name, value)| reply.with(name, value.as_str()))
    }
}

/// The status of a response; 0 if it has none.
pub(super) fn status(headers: Headers<'_>) -> u64 {
    headers.number(":status").unwrap_or(0)
}

/// Whether a body is not as it is, although MetaHub asks for that.
pub(super) fn is_encoded(headers: Headers<'_>) -> bool {
    headers.text("content-encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"))
}

/// A callout for a manifest of these types, or of any. `reference` is a tag or a digest.
pub(super) fn callout(upstream: &Upstream, repository: &Repository, reference: &str, accept: Option<&str>) -> Callout {
    let registry = &upstream.registry;
    let mut headers = vec![
        (":method", "GET".to_owned()),
        (":path", format!("/v2/{repository}/manifests/{reference}")),
        (":authority", registry.host.clone()),
        ("accept", accept.map_or_else(|| media_type::ALL.join(", "), str::to_owned)),
        ("accept-encoding", "identity".to_owned()),
    ];
    headers.extend(upstream.authorization.iter().map(|value| ("authorization", value.expose().to_owned())));
    Callout { cluster: registry.cluster.clone(), headers }
}

/// Why there is no manifest in an answer.
#[derive(Debug)]
pub(super) enum Unusable<'a> {
    /// Something is wrong.
    Fault(Fault),
    /// Upstream's word to the client: 404, 429 and the like.
    Word(Answer<'a>),
}

/// The answer to a request for what a tag points to, if it is a manifest that can be read.
pub(super) fn top<'a>(registry: &Registry, answer: Option<Answer<'a>>) -> Result<Answer<'a>, Unusable<'a>> {
    let host = &registry.host;
    let Some(answer) = answer else {
        let message = format!("the registry {host} broke off; try again later");
        return Err(Unusable::Fault(Fault::upstream(message)));
    };
    let Answer { headers, body } = answer;
    let invalid = |message: String| Err(Unusable::Fault(Fault::invalid(message)));
    match status(headers) {
        200 if is_encoded(headers) => {
            invalid("the manifest came compressed although MetaHub asked for it as it is".to_owned())
        }
        200 if body.len() > MAX_MANIFEST => Err(Unusable::Fault(Fault::too_large())),
        200 if body.is_empty() => invalid(format!("the registry {host} answered without a body")),
        200 => Ok(answer),
        status @ (500.. | 0) => Err(Unusable::Fault(Fault::unavailable(host, status).retrying(headers))),
        status @ (201..=299) => invalid(format!("the registry {host} answered {status} to a manifest request")),
        // A client that followed would get the whole index from there, and choose from it by its platform alone.
        status @ (300..=399) => invalid(format!(
            "the registry {host} redirects manifests ({status}); put MetaHub in front of the one that it leads to"
        )),
        _ => Err(Unusable::Word(answer)),
    }
}

/// The body of an answer with status 200, uncompressed; `what` is the reference that was asked for.
pub(super) fn manifest<'a>(registry: &Registry, what: &str, answer: Option<Answer<'a>>) -> Result<Answer<'a>, Fault> {
    let host = &registry.host;
    let Some(answer) = answer else {
        return Err(Fault::upstream(format!("the registry {host} broke off while sending {what}; try again later")));
    };
    match status(answer.headers) {
        200 if is_encoded(answer.headers) => {
            Err(Fault::invalid(format!("the manifest {what} came compressed although MetaHub asked for it as it is")))
        }
        200 => Ok(answer),
        404 => {
            let message = format!("the registry {host} does not have the manifest {what}; push the image again");
            Err(Fault::new(Code::ManifestUnknown, Counter::InvalidManifest, message))
        }
        // Not a fault of the moment: nothing that was known before may stand in for it.
        403 => {
            let message = format!("the registry {host} does not allow {what} (403); ask there for it");
            Err(Fault::new(Code::Denied, Counter::UpstreamFailed, message))
        }
        429 => {
            let message = format!("the registry {host} limits requests (429) for {what}; try again later");
            Err(Fault::new(Code::TooManyRequests, Counter::UpstreamFailed, message).retrying(answer.headers))
        }
        status => {
            let message = format!("the registry {host} answered {status} for {what}; try again later");
            Err(Fault::upstream(message).retrying(answer.headers))
        }
    }
}

/// The bytes behind a descriptor, if they are what it promises (OCI image spec, descriptor.md §Verification).
pub(super) fn verified<'a>(
    registry: &Registry,
    descriptor: &Descriptor,
    answer: Option<Answer<'a>>,
) -> Result<&'a [u8], Fault> {
    let digest = &descriptor.digest;
    let Answer { headers, body } = manifest(registry, digest.as_str(), answer)?;
    if body.len() as u64 != descriptor.size {
        let message =
            format!("the manifest {digest} has {} bytes, not {} as the index says", body.len(), descriptor.size);
        return Err(Fault::invalid(message));
    }
    if !digest.verifies(body) {
        return Err(Fault::invalid(format!("the manifest behind {digest} hashes to {}", Digest::of(body))));
    }
    let content_type = headers.text("content-type").unwrap_or(&descriptor.media_type);
    if !media_type::same(content_type, &descriptor.media_type) {
        let expected = &descriptor.media_type;
        return Err(Fault::invalid(format!(
            "the manifest {digest} is of another media type than {expected:?}, as the index says"
        )));
    }
    Ok(body)
}
