//! The reasons why requests fail, as clients and operators are told.

use super::report::Counter;
use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::select::{DeadEnd, OnNoMatch};
use crate::text::headers::Headers;

/// Headers in which upstream says when to try again and what its limit is. A client gets them with MetaHub's own error.
/// The `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers) are named as Docker Hub sends them.
const TOLD_ON: [&str; 5] =
    ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "docker-ratelimit-source"];

/// Envoy says that it did not ask upstream, because of a limit of its own.
pub(super) const OVERLOADED: &str = "x-envoy-overloaded";

/// The reason why a request fails. The client and the log get the same words.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) counter: Counter,
    pub(super) message: String,
    told: Vec<(&'static str, String)>,
    /// Whether MetaHub's own Envoy has refused or limited the request: then the fault says nothing of the registry.
    pub(super) own: bool,
}

impl Fault {
    #[cold]
    pub(super) fn new(code: Code, counter: Counter, message: String) -> Self {
        Self { code, counter, message, told: Vec::new(), own: false }
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

    /// There is no answer. Envoy does not tell which of these causes it has.
    #[cold]
    pub(super) fn broke_off(host: &str, reference: &str) -> Self {
        let message = format!(
            "the registry {host} cannot be reached, or broke off while sending {reference}, or sent more than 32 MiB; \
             try again later"
        );
        Self::upstream(message)
    }

    /// An answer that says that the registry does not work, or that Envoy could not ask it.
    pub(super) fn unavailable(host: &str, headers: Headers<'_>) -> Self {
        if headers.has(OVERLOADED) {
            let message = format!(
                "MetaHub's Envoy has too many requests to {host} under way, or knows no address of it; try again later"
            );
            return Self { told: vec![("retry-after", "1".to_owned())], own: true, ..Self::upstream(message) };
        }
        let status = headers.status();
        Self::upstream(format!("the registry {host} is not available ({status}); try again later")).retrying(headers)
    }

    /// Where an index cannot be used, the fault is upstream's. Where nothing fits the client's machine, there is no
    /// such image for it.
    pub(super) fn dead_end(dead_end: &DeadEnd) -> Self {
        match dead_end {
            DeadEnd::NothingFits(_) => Self::new(Code::ManifestUnknown, Counter::NoMatch, dead_end.to_string()),
            _ => Self::invalid(dead_end.to_string()),
        }
    }

    /// The same fault, denied instead of not found if nothing fits and the configuration says so. All else that is
    /// missing stays 404: clients and tools ask with it whether there is an image.
    pub(super) fn under(self, on_no_match: OnNoMatch) -> Self {
        let is_denied = on_no_match == OnNoMatch::Deny && self.counter == Counter::NoMatch;
        if is_denied { Self { code: Code::Denied, ..self } } else { self }
    }

    /// The same fault, with upstream's headers about when to try again and about its limit.
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
