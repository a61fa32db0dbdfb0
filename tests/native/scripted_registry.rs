//! A registry that answers as it is told.

use std::collections::HashMap;

use metahub::flow::Callout;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};
use metahub::store::in_memory::Map;
use serde_json::{Value, json};

pub(crate) type HeaderList = Vec<(String, Vec<u8>)>;

pub(crate) fn header_list(headers: &[(&str, &str)]) -> HeaderList {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// An answer of the upstream's.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let headers = vec![("content-type", content_type.to_owned()), ("content-length", body.len().to_string())];
        Self { status, headers, body }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(key, _)| *key != name);
        self
    }

    pub(crate) fn list(&self) -> HeaderList {
        let status = self.status.to_string();
        let mut headers = header_list(&[(":status", &status)]);
        headers.extend(self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
        headers
    }
}

/// A registry that answers by the digest (or `token`, or nothing for a ping) that ends a path; every other request to
/// the upstream cluster, a tag above all, is answered with `index`.
#[derive(Default)]
pub(crate) struct ScriptedRegistry {
    pub(crate) index: Option<Response>,
    /// `None`: the connection breaks.
    pub(crate) by_digest: HashMap<String, Option<Response>>,
    /// A request with this `Authorization` is answered with this status.
    pub(crate) refuses: Option<(String, u16)>,
    pub(crate) memory: Map,
    /// The answer to each HEAD, if it differs from GET's.
    pub(crate) head: Option<Response>,
    /// HEAD is answered with this status.
    pub(crate) refuses_head: Option<u16>,
    /// The same, of the client's own request alone.
    pub(crate) refuses_own_head: Option<u16>,
    /// The time that each callout takes, in seconds.
    pub(crate) seconds: u64,
}

impl ScriptedRegistry {
    /// A registry with one list of these children.
    pub(crate) fn with_list(children: &[(Value, Vec<u8>)]) -> Self {
        let entries: Vec<Value> = children.iter().map(|(entry, _)| entry.clone()).collect();
        let bytes = list(&entries);
        let digest = Digest::of(&bytes);
        let by_digest = children.iter().map(|(_, bytes)| {
            (Digest::of(bytes).to_string(), Some(Response::new(200, DOCKER_MANIFEST, bytes.clone())))
        });
        Self {
            index: Some(
                Response::new(200, DOCKER_LIST, bytes)
                    .with("docker-content-digest", digest.as_str())
                    .with("etag", "\"index\"")
                    .with("last-modified", "yesterday"),
            ),
            memory: Map::default(),
            head: None,
            refuses_head: None,
            refuses_own_head: None,
            seconds: 0,
            refuses: None,
            by_digest: by_digest.collect(),
        }
    }

    fn answer(&self, path: &str, authorization: Option<&String>, own: bool) -> Option<Response> {
        let last = path.split('?').next().unwrap().rsplit('/').next().unwrap();
        let not_found = || Response::new(404, "application/json", "{}");
        if let Some((refused, status)) = &self.refuses
            && authorization == Some(refused)
        {
            return Some(Response::new(*status, "application/json", "{}"));
        }
        let index = || Some(self.index.clone().filter(|_| own && !last.contains(':')).unwrap_or_else(not_found));
        self.by_digest.get(last).cloned().unwrap_or_else(index)
    }

    /// The answer to a callout; `None` if the connection breaks.
    pub(crate) fn answer_callout(&self, callout: &Callout) -> Option<Response> {
        self.memory.now.set(self.memory.now.get() + self.seconds);
        let header = |name| callout.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        let (is_registry, head) = (callout.cluster == "registry", header(":method").is_some_and(|name| name == "HEAD"));
        if let Some(status) = self.refuses_head.filter(|_| head && is_registry) {
            return Some(Response { body: Vec::new(), ..Response::new(status, "application/json", "{}") });
        }
        if let Some(response) = self.head.as_ref().filter(|_| head) {
            return Some(response.clone());
        }
        let response = self.answer(header(":path").unwrap(), header("authorization"), is_registry)?;
        Some(if head { Response { body: Vec::new(), ..response } } else { response })
    }

    /// The answer to the client's own request.
    pub(crate) fn answer_own(&self, method: &str, path: &str, authorization: Option<&String>) -> Response {
        if let Some(status) = self.refuses_own_head.or(self.refuses_head).filter(|_| method == "HEAD") {
            return Response::new(status, "application/json", "{}");
        }
        if let Some(response) = self.head.as_ref().filter(|_| method == "HEAD") {
            return response.clone();
        }
        self.answer(path, authorization, true).expect("an upstream that is up")
    }
}

/// A child manifest for these features: its entry in the list, and its bytes.
pub(crate) fn child(features: &[&str]) -> (Value, Vec<u8>) {
    let bytes =
        json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "made for": features }).to_string().into_bytes();
    let entry = json!({
        "mediaType": DOCKER_MANIFEST,
        "digest": Digest::of(&bytes).as_str(),
        "size": bytes.len(),
        "platform": { "os": "linux", "architecture": "amd64", "features": features },
    });
    (entry, bytes)
}

pub(crate) fn list(entries: &[Value]) -> Vec<u8> {
    json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries }).to_string().into_bytes()
}
