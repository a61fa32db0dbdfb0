//! Requests as docker sends them, and clients that send one kind of them.

use std::cell::Cell;

use base64::Engine as _;

use crate::client::{Answer, Request, Session};
use crate::subject::LOGIN;
use metahub_testkit::{Failure, Result};

/// The media types that docker accepts when it asks for a manifest, a line for each.
const ACCEPTED: [&str; 6] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/json",
];

/// `Authorization` of a login whose password is that of [`LOGIN`].
pub(crate) fn basic(user: &str) -> String {
    let token = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", LOGIN.1));
    format!("Basic {token}")
}

/// The bytes of a request.
pub(crate) fn wire(method: &str, path: &str, authorization: &str) -> Request {
    wire_with(method, path, authorization, "")
}

/// The same with more headers, each with the end of its line.
fn wire_with(method: &str, path: &str, authorization: &str, more: &str) -> Request {
    let accepted = if path.contains("/manifests/") { &ACCEPTED[..] } else { &[] };
    let accepted: String = accepted.iter().map(|media_type| format!("Accept: {media_type}\r\n")).collect();
    let bytes = format!(
        "{method} {path} HTTP/1.1\r\nHost: registry.example\r\nUser-Agent: docker/26.1.5\r\n{accepted}\
         Authorization: {authorization}\r\n{more}Accept-Encoding: gzip\r\n\r\n"
    );
    Request { bytes: bytes.into_bytes(), is_head: method == "HEAD" }
}

/// The request of a measurement and the answer that it must get.
pub(crate) struct Kind {
    method: &'static str,
    authorization: String,
    /// Further headers, each with the end of its line.
    more: String,
    paths: Paths,
    /// The digest that each answer must name, where it is always the same.
    digest: Option<String>,
    /// The length of each answer's body.
    length: Option<u64>,
}

enum Paths {
    Same(String),
    /// Another one each time, by a number that only grows.
    Numbered(Box<dyn Fn(u64) -> String>),
}

impl Kind {
    /// The same request every time.
    pub(crate) fn same(method: &'static str, path: &str) -> Self {
        Self::new(method, Paths::Same(path.to_owned()))
    }

    /// Another path for each number, from 0.
    pub(crate) fn numbered(method: &'static str, path: impl Fn(u64) -> String + 'static) -> Self {
        Self::new(method, Paths::Numbered(Box::new(path)))
    }

    fn new(method: &'static str, paths: Paths) -> Self {
        Self { method, authorization: basic(LOGIN.0), more: String::new(), paths, digest: None, length: None }
    }

    /// Each answer must name this digest (given by its hexadecimal part).
    pub(crate) fn expecting_digest(mut self, hex: &str) -> Self {
        self.digest = Some(format!("sha256:{hex}"));
        self
    }

    /// Each answer must have a body of this length.
    pub(crate) fn expecting_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// Sends another `Authorization` than that of [`LOGIN`].
    pub(crate) fn authorized(mut self, authorization: &str) -> Self {
        authorization.clone_into(&mut self.authorization);
        self
    }

    /// Sends one header more: its name, a colon and its value.
    pub(crate) fn with(mut self, header: &str) -> Self {
        self.more = format!("{header}\r\n");
        self
    }
}

/// How many requests were begun, by all clients of a measurement together, and how many there will be.
pub(crate) struct Progress {
    begun: Cell<u64>,
    goal: Cell<u64>,
}

impl Progress {
    pub(crate) const fn new() -> Self {
        Self { begun: Cell::new(0), goal: Cell::new(0) }
    }

    /// Allows this many requests more.
    pub(crate) fn add(&self, count: u64) {
        self.goal.set(self.begun.get() + count);
    }
}

/// One of several clients that share the requests of one kind.
pub(crate) struct Repeating<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) progress: &'a Progress,
}

impl Session for Repeating<'_> {
    fn next(&mut self) -> Option<Request> {
        let number = self.progress.begun.get();
        if number >= self.progress.goal.get() {
            return None;
        }
        self.progress.begun.set(number + 1);
        let kind = self.kind;
        Some(match &kind.paths {
            Paths::Same(path) => wire_with(kind.method, path, &kind.authorization, &kind.more),
            Paths::Numbered(path) => wire_with(kind.method, &path(number), &kind.authorization, &kind.more),
        })
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        let digest = self.kind.digest.as_deref();
        let as_expected = answer.status == 200
            && digest.is_none_or(|digest| answer.header("docker-content-digest") == Some(digest))
            && self.kind.length.is_none_or(|length| answer.length == length);
        if as_expected {
            return Ok(());
        }
        let (expected, head) = (digest.unwrap_or("any digest"), String::from_utf8_lossy(answer.head));
        Err(Failure::new(format!("expected 200 with {expected}, got {} bytes with\n{head}", answer.length)))
    }
}
