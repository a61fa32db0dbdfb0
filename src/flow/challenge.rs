//! 401 and its challenge: always MetaHub's, never upstream's.

use std::borrow::Cow;

use crate::auth::realm::realm;
use crate::config::{Config, Registry};
use crate::flow::reply::Reply;
use crate::oci::errors::Code;
use crate::text::headers::Headers;

/// How a client is asked for credentials: the value of `WWW-Authenticate`.
#[derive(Clone, Debug)]
pub(super) struct Challenge(Cow<'static, str>);

/// The error of a bearer token (RFC 6750 §3.1). Clients that see one do not ask for the same token for ever.
#[derive(Clone, Copy, Debug)]
pub(super) enum TokenError {
    /// Expired, revoked, or not a ticket of MetaHub's: another one may do.
    Invalid,
    /// Good, but of a client that did not log in.
    Insufficient,
}

impl TokenError {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_token",
            Self::Insufficient => "insufficient_scope",
        }
    }
}

impl Challenge {
    /// The challenge for a user name and a password. It also answers wrong ones: with any other challenge, containerd
    /// would fall back to an anonymous token and silently pull the wrong image.
    pub(super) fn basic() -> Self {
        Self(Cow::Borrowed("Basic realm=\"MetaHub\""))
    }

    /// The challenge for a ticket where clients may be anonymous, and for a user name and a password elsewhere.
    pub(super) fn of(config: &Config, registry: &Registry, headers: Headers<'_>, error: Option<TokenError>) -> Self {
        let realm = registry.anonymous.as_ref().and_then(|_| realm(config.public_url.as_deref(), headers));
        let Some(realm) = realm else { return Self::basic() };
        let error = error.map(|error| format!(",error=\"{}\"", error.as_str())).unwrap_or_default();
        Self(Cow::Owned(format!("Bearer realm=\"{realm}\",service=\"metahub\"{error}")))
    }

    /// 401 with this challenge.
    pub(super) fn reply(&self, message: &str) -> Reply {
        Reply::error(Code::Unauthorized, message).with("www-authenticate", self.0.clone())
    }
}
