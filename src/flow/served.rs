//! Answers that carry a manifest, and upstream's answers that are passed on.

use std::borrow::Cow;
use std::fmt;

use super::local_reply::LocalReply;
use super::session::Session;
use crate::flow::body::Body;
use crate::flow::reply::Reply;
use crate::machine_type::Source;
use crate::oci::errors::Code;
use crate::oci::media_type;
use crate::oci::reference::{Repository, Tag};
use crate::store::cache::Resolution;
use crate::text::headers::Headers;

/// Headers of upstream's answer that reach a client: what the document is, where it is, how long it
/// holds, and when to ask again. Its challenge never does.
const RELAYED: [&str; 20] = [
    "accept-ranges",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-type",
    "docker-content-digest",
    "docker-ratelimit-source",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "oci-filters-applied",
    "oci-subject",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "vary",
    "warning",
];

/// `repository:tag`, as people write it.
pub(super) struct Image<'a> {
    pub(super) repository: &'a Repository,
    pub(super) tag: &'a Tag,
}

impl fmt::Display for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// The manifest that a machine type gets of a tag.
pub(super) struct ServedManifest<'a> {
    pub(super) machine_type: &'a str,
    pub(super) source: Source,
    pub(super) vary: &'static str,
    pub(super) resolution: &'a Resolution,
    /// The tag in which it is, if the image's variants are tags.
    pub(super) variant: Option<&'a Tag>,
}

impl ServedManifest<'_> {
    /// The headers about the manifest. `Vary` and `Cache-Control` are there because one path has many answers.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let Resolution { top, served, reason, .. } = self.resolution;
        let mut headers = document(&served.media_type, served.digest.as_str());
        headers.push(("vary", self.vary.to_owned()));
        headers.push(("cache-control", "private".to_owned()));
        headers.push(("x-metahub-machine-type", self.machine_type.to_owned()));
        headers.push(("x-metahub-machine-type-source", self.source.as_str().to_owned()));
        let tag = self.variant.map_or_else(String::new, |tag| ["tag ", tag.as_str(), "; "].concat());
        let selected = if self.resolution.passed_through() {
            [&*tag, reason].concat()
        } else {
            [served.digest.as_str(), ": ", &tag, reason].concat()
        };
        headers.push(("x-metahub-selected", selected));
        // Signatures of the index are of this digest, which the tag does not show any more.
        headers.push(("x-metahub-index", top.as_str().to_owned()));
        headers
    }

    pub(super) fn reply(&self, body: Body) -> Reply {
        Reply::document(self.headers(), body)
    }

    /// For a client that has it.
    pub(super) fn not_modified(&self) -> Reply {
        Reply::not_modified(self.headers())
    }
}

/// The headers about every manifest.
pub(super) fn document(content_type: &str, digest: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("docker-content-digest", digest.to_owned()),
        ("etag", ["\"", digest, "\""].concat()),
        ("docker-distribution-api-version", "registry/2.0".to_owned()),
    ];
    // The parameters are dropped: text that an index adds there has no business in a header.
    let content_type = media_type::essence(content_type);
    if !content_type.is_empty() {
        headers.push(("content-type", content_type.to_owned()));
    }
    headers
}

/// Upstream's answer passed on: its status, the headers that belong to it with the client's paths, and this body.
pub(super) fn relay(session: &Session, headers: Headers<'_>, body: &Body) -> LocalReply {
    let status = u16::try_from(headers.status()).unwrap_or(502);
    let mut reply = Reply { status, headers: Vec::new(), body: body.clone() }
        .with("docker-distribution-api-version", "registry/2.0");
    reply.headers.extend(relayed(headers));
    session.paths().turn_back(&mut reply);
    reply.into()
}

/// The answer where upstream limits requests (429): its own answer to a HEAD has no body that could say so.
pub(super) fn limited(session: &Session, headers: Headers<'_>) -> LocalReply {
    let message = format!("the registry {} limits requests (429); try again later", session.registry.host);
    let mut reply = Reply::error(Code::TooManyRequests, &message);
    reply.headers.extend(relayed(headers).filter(|(name, _)| name != "content-type"));
    session.paths().turn_back(&mut reply);
    reply.into()
}

/// The headers of upstream's answer that a client gets. A value that is not UTF-8 is left out.
fn relayed(headers: Headers<'_>) -> impl Iterator<Item = (Cow<'static, str>, String)> {
    let relayed = headers.0.iter().filter(|(name, _)| RELAYED.contains(&name.as_str()));
    relayed.filter_map(|(name, value)| Some((Cow::Owned(name.clone()), std::str::from_utf8(value).ok()?.to_owned())))
}
