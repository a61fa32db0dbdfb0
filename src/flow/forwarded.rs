//! The headers of a client's request that reach a registry. Only those named here do: any other header may mean
//! something to the registry or to what stands before it (a cookie, `X-Remote-User`, `X-HTTP-Method-Override`,
//! `X-Original-URL`, `X-Forwarded-Host`), and MetaHub has decided about the request without it.

use std::borrow::Cow;

use crate::text::headers::{HeaderChange, Headers};

/// The headers that any request may bring. `Authorization` is replaced (`session.rs`), `x-envoy-internal` and the like
/// are Envoy's, `Content-Length` is 0. This is a pattern and not a list: the compiler looks at the length first, and
/// every request passes here.
fn may_always_go(name: &str) -> bool {
    matches!(
        name,
        ":authority"
            | ":method"
            | ":path"
            | ":protocol"
            | ":scheme"
            | "accept"
            | "accept-encoding"
            | "authorization"
            | "b3"
            | "content-length"
            | "host"
            | "traceparent"
            | "tracestate"
            | "user-agent"
            | "x-b3-flags"
            | "x-b3-parentspanid"
            | "x-b3-sampled"
            | "x-b3-spanid"
            | "x-b3-traceid"
            | "x-envoy-expected-rq-timeout-ms"
            | "x-envoy-external-address"
            | "x-envoy-internal"
            | "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-request-id"
    )
}

/// The headers that a request whose answer passes as it is may bring besides: they ask for parts of a document, or
/// whether it has changed.
fn may_pass(name: &str) -> bool {
    matches!(
        name,
        "accept-language"
            | "cache-control"
            | "if-match"
            | "if-modified-since"
            | "if-none-match"
            | "if-range"
            | "if-unmodified-since"
            | "range"
    )
}

/// The longest value that goes upstream with a request for a manifest, in bytes: a registry's front end refuses headers
/// that are too long, and a refused request must not be the client's choice. `Accept` has a limit of its own
/// (`accept_header.rs`).
const MAX_VALUE: usize = 256;

/// The purpose of a request on its way upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The answer to it goes to the client as it is.
    Pass,
    /// MetaHub asks for a manifest: the answer must not depend on the client.
    Manifest,
}

/// Removes what the registry is not to see of a client's request.
pub(super) fn strip(headers: Headers<'_>, purpose: Purpose) -> Vec<HeaderChange> {
    let mut removed: Vec<HeaderChange> = Vec::new();
    for (name, value) in headers.0 {
        let goes_on = match purpose {
            Purpose::Pass => may_always_go(name) || may_pass(name),
            Purpose::Manifest => may_always_go(name) && (value.len() <= MAX_VALUE || is_bounded_elsewhere(name)),
        };
        if goes_on {
            continue;
        }
        let change = HeaderChange::Remove(Cow::Owned(name.clone()));
        if !removed.contains(&change) {
            removed.push(change);
        }
    }
    removed
}

/// Headers without which there is no request, or that are replaced where they are too long.
fn is_bounded_elsewhere(name: &str) -> bool {
    name.starts_with(':') || matches!(name, "host" | "accept" | "authorization")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(headers: &[(&str, &str)], purpose: Purpose) -> Vec<String> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let removed = strip(Headers(&headers), purpose).into_iter().map(|change| match change {
            HeaderChange::Remove(name) => name.into_owned(),
            change @ HeaderChange::Set(..) => panic!("{change:?}"),
        });
        removed.collect()
    }

    #[test]
    fn what_is_not_allowed_is_removed_once() {
        let hostile = [
            "cookie",
            "proxy-authorization",
            "x-remote-user",
            "private-token",
            "x-http-method-override",
            "x-original-url",
            "x-rewrite-url",
            "x-forwarded-host",
            "forwarded",
            "x-envoy-retry-on",
            "x-envoy-upstream-rq-timeout-ms",
            "te",
            "content-type",
        ];
        let headers: Vec<_> = hostile.iter().flat_map(|name| [(*name, "1"), (*name, "2")]).collect();
        for purpose in [Purpose::Pass, Purpose::Manifest] {
            assert_eq!(stripped(&headers, purpose), hostile, "{purpose:?}");
        }
    }

    #[test]
    fn what_a_runtime_sends_costs_nothing() {
        let usual = [
            (":method", "GET"),
            (":path", "/v2/x/manifests/1"),
            (":authority", "hub.example"),
            (":scheme", "https"),
            ("user-agent", "docker/28"),
            ("accept", &"a".repeat(3000)),
            ("accept-encoding", "gzip"),
            ("authorization", "Basic x"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-envoy-internal", "true"),
            ("x-request-id", "1"),
            ("traceparent", "00-1-2-01"),
        ];
        for purpose in [Purpose::Pass, Purpose::Manifest] {
            assert!(stripped(&usual, purpose).is_empty(), "{purpose:?}");
        }
    }

    #[test]
    fn a_manifest_is_asked_for_without_conditions_and_long_values() {
        let long = "x".repeat(MAX_VALUE + 1);
        let headers =
            [("range", "bytes=0-1"), ("if-none-match", "\"x\""), ("user-agent", &long), ("x-request-id", "1")];
        assert!(stripped(&headers, Purpose::Pass).is_empty());
        assert_eq!(stripped(&headers, Purpose::Manifest), ["range", "if-none-match", "user-agent"]);
    }
}
