//! Answers that MetaHub gives itself: registry errors (OCI distribution spec, §Error codes) and small documents.

use std::borrow::Cow;

use super::body::Body;
use crate::oci::errors::Code;
use crate::text::json::{Json, json};

/// A complete answer to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers besides `Content-Length`.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Body. Envoy leaves it out in answers to HEAD, and tells its length.
    pub body: Body,
}

impl Reply {
    /// A JSON document with the headers that every registry answer carries.
    #[must_use]
    pub fn json(status: u16, document: &Json) -> Self {
        Self { status, headers: Vec::new(), body: document.to_string().into_bytes().into() }
            .with("content-type", "application/json")
            .with("docker-distribution-api-version", "registry/2.0")
    }

    /// A document that is served, with what is said about it.
    #[must_use]
    pub fn document(headers: Vec<(&'static str, String)>, body: Body) -> Self {
        let headers = headers.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
        Self { status: 200, headers, body }
    }

    /// That the client has the document (RFC 9110 §15.4.5), with what is said about the document but its type.
    #[must_use]
    pub fn not_modified(headers: Vec<(&'static str, String)>) -> Self {
        let mut reply = Self::document(headers, Body::default());
        reply.headers.retain(|(name, _)| name != "content-type");
        Self { status: 304, ..reply }
    }

    /// A registry error: one code and a message that says what to do.
    #[must_use]
    #[cold]
    pub fn error(code: Code, message: &str) -> Self {
        Self::json(code.status(), &json!({ "errors": vec![json!({ "code": code.as_str(), "message": message })] }))
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_registry_form() {
        let reply = Reply::error(Code::Denied, "say \"please\"").with("retry-after", "1");
        assert_eq!(reply.status, 403);
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body, serde_json::json!({"errors": [{"code": "DENIED", "message": "say \"please\""}]}));
        for header in [
            ("content-type", "application/json"),
            ("docker-distribution-api-version", "registry/2.0"),
            ("retry-after", "1"),
        ] {
            assert!(reply.headers.contains(&(Cow::Borrowed(header.0), header.1.to_owned())), "{header:?}");
        }
    }
}
