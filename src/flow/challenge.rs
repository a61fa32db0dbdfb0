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

#[cfg(test)]
mod tests {
    use super::*;

    /// enroot reads a challenge as its third word (`WWW-Authenticate:`, the scheme, the parameters), so a blank after a
    /// comma would hide what follows it.
    #[test]
    fn no_challenge_has_a_blank_after_a_comma() {
        let config = |anonymous: &str| {
            let text = format!(
                r#"{{ "machine_types": {{ "a": {{ "architecture": "amd64" }} }}, "registries": {{
                    "r": {{ "host": "r", "authentication": "none", "anonymous": "{anonymous}" }} }} }}"#
            );
            Config::parse(text.as_bytes(), &|_| None).unwrap()
        };
        let host = |host: &str| vec![(":authority".to_owned(), host.as_bytes().to_vec())];
        let bearer = "Bearer realm=\"https://hub.example/metahub/v1/token\",service=\"metahub\"";
        let rows = [
            ("refuse", "hub.example", None, "Basic realm=\"MetaHub\"".to_owned()),
            ("refuse", "hub.example", Some(TokenError::Invalid), "Basic realm=\"MetaHub\"".to_owned()),
            ("a", "hub, example", None, "Basic realm=\"MetaHub\"".to_owned()),
            ("a", "hub.example", None, bearer.to_owned()),
            ("a", "hub.example", Some(TokenError::Invalid), format!("{bearer},error=\"invalid_token\"")),
            (
                "unfiltered",
                "hub.example",
                Some(TokenError::Insufficient),
                format!("{bearer},error=\"insufficient_scope\""),
            ),
        ];
        for (anonymous, authority, error, expected) in rows {
            let (config, headers) = (config(anonymous), host(authority));
            let registry = config.registry("r").unwrap();
            let reply = Challenge::of(&config, registry, Headers(&headers), error).reply("x");
            let (_, challenge) = reply.headers.iter().find(|(name, _)| name == "www-authenticate").unwrap();
            assert_eq!(*challenge, expected, "{anonymous} {authority}");
            let line = format!("WWW-Authenticate: {challenge}");
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            assert!(matches!(words[..], [_, _, third] if expected.ends_with(third)), "{words:?}");
        }
    }
}
