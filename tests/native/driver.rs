//! A configuration, a request, what upstream answers, and what the client gets of it.

use std::collections::HashMap;

use base64::Engine as _;
use metahub::config::Config;
use metahub::flow::{Arrival, Callout, Effects, WorkerState, begin};
use metahub::host::log_lines::collect;
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};
use metahub::text::headers::{HeaderChange, Headers};
use serde_json::{Value, json};

use super::envoy::Envoy;
use metahub::store::in_memory::Map;

pub(crate) type HeaderList = Vec<(String, Vec<u8>)>;

pub(crate) fn header_list(headers: &[(&str, &str)]) -> HeaderList {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// Two machine types; accounts `qnib-type1` (bound), `team` (two types, one repository) and `all` (unfiltered), each
/// with its name as password; cluster `registry` asks for accounts, `open` for names only.
pub(crate) fn configuration() -> Value {
    let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
    json!({
        "machine_types": { "type1": { "features": ["cpu:broadwell"] }, "type2": { "features": ["cpu:skylake"] } },
        "registries": {
            "registry": { "host": "registry.example", "authentication": "accounts" },
            "open": { "host": "open.example:5000", "authentication": "none" },
        },
        "accounts": {
            "qnib-type1": { "password": hash("qnib-type1"), "machine_type": "type1" },
            "team": { "password": hash("team"), "machine_types": ["type1", "type2"], "repositories": ["team/**"] },
            "all": { "password": hash("all"), "machine_type": "unfiltered" },
        },
    })
}

pub(crate) fn parse(document: &Value) -> Config {
    Config::parse(document.to_string().as_bytes(), &|_| None).unwrap()
}

/// A request as Envoy's filter sees it.
pub(crate) fn request(config: &Config, cluster: Option<&str>, headers: &HeaderList) -> Effects {
    begin(config, &Map::default(), &WorkerState::default(), arrival(cluster, headers))
}

/// A request from a client without an address.
pub(crate) fn arrival<'a>(cluster: Option<&'a str>, headers: &'a HeaderList) -> Arrival<'a> {
    Arrival { cluster, headers: Headers(headers), address: &|| None }
}

/// What a client gets in the end.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) callouts: Vec<Callout>,
    /// What was logged.
    pub(crate) lines: Vec<String>,
    pub(crate) counters: Vec<&'static str>,
    /// The counters of the cache.
    pub(crate) cache: Vec<&'static str>,
    /// `Authorization` of the first request that went to the registry; `None` if none went.
    pub(crate) authorization: Option<Option<String>>,
    /// All header changes of that request.
    pub(crate) changes: Vec<HeaderChange>,
    /// Method of that request.
    pub(crate) asked: Option<String>,
}

impl Outcome {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The message of the registry error in the body.
    pub(crate) fn message(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["errors"][0]["message"].as_str().unwrap().to_owned()
    }

    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["errors"][0]["code"].as_str().unwrap().to_owned()
    }
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

/// A registry that answers by the digest (or `token`, or nothing for a ping) that ends a path; whatever else is asked
/// of the upstream cluster, a tag above all, is answered with `index`.
#[derive(Default)]
pub(crate) struct Upstream {
    pub(crate) index: Option<Response>,
    /// `None`: the connection breaks.
    pub(crate) by_digest: HashMap<String, Option<Response>>,
    /// A request with this `Authorization` is answered with this status.
    pub(crate) refuses: Option<(String, u16)>,
    pub(crate) memory: Map,
    /// HEAD is answered with this status.
    pub(crate) refuses_head: Option<u16>,
    /// The same, of the client's own request alone.
    pub(crate) refuses_own_head: Option<u16>,
}

impl Upstream {
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
        let header = |name| callout.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        let (is_registry, head) = (callout.cluster == "registry", header(":method").is_some_and(|name| name == "HEAD"));
        if let Some(status) = self.refuses_head.filter(|_| head && is_registry) {
            return Some(Response { body: Vec::new(), ..Response::new(status, "application/json", "{}") });
        }
        let response = self.answer(header(":path").unwrap(), header("authorization"), is_registry)?;
        Some(if head { Response { body: Vec::new(), ..response } } else { response })
    }

    /// The answer to the client's own request.
    pub(crate) fn answer_own(&self, method: &str, path: &str, authorization: Option<&String>) -> Response {
        if let Some(status) = self.refuses_own_head.or(self.refuses_head).filter(|_| method == "HEAD") {
            return Response::new(status, "application/json", "{}");
        }
        self.answer(path, authorization, true).expect("an upstream that is up")
    }
}

/// Pulls an image through the flow, as the filter would, and returns what the client gets.
pub(crate) fn exchange(config: &Config, method: &str, image: &str, user: &str, upstream: &Upstream) -> Outcome {
    let (name, tag) = image.split_once(':').unwrap();
    send(config, method, &format!("/v2/{name}/manifests/{tag}"), user, user, upstream)
}

/// Sends a request through the flow.
pub(crate) fn send(
    config: &Config,
    method: &str,
    path: &str,
    user: &str,
    password: &str,
    upstream: &Upstream,
) -> Outcome {
    let authorization = basic(user, password);
    let headers = header_list(&[(":method", method), (":path", path), ("authorization", &authorization)]);
    send_headers(config, &headers, upstream)
}

/// Sends a request with exactly these headers through the flow.
pub(crate) fn send_headers(config: &Config, headers: &HeaderList, upstream: &Upstream) -> Outcome {
    let envoy = Envoy::new(config, headers, upstream);
    let ((), lines) = collect(|| envoy.run());
    let mut outcome = envoy.outcome.into_inner();
    outcome.lines = lines.into_iter().map(|line| line.text).collect();
    outcome
}

/// A child manifest for these features: entry of the list, and the bytes behind it.
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

/// A registry with one list of these children.
pub(crate) fn upstream(children: &[(Value, Vec<u8>)]) -> Upstream {
    let entries: Vec<Value> = children.iter().map(|(entry, _)| entry.clone()).collect();
    let bytes = list(&entries);
    let digest = Digest::of(&bytes);
    let by_digest = children
        .iter()
        .map(|(_, bytes)| (Digest::of(bytes).to_string(), Some(Response::new(200, DOCKER_MANIFEST, bytes.clone()))));
    Upstream {
        index: Some(
            Response::new(200, DOCKER_LIST, bytes)
                .with("docker-content-digest", digest.as_str())
                .with("etag", "\"index\"")
                .with("last-modified", "yesterday"),
        ),
        memory: Map::default(),
        refuses_head: None,
        refuses_own_head: None,
        refuses: None,
        by_digest: by_digest.collect(),
    }
}
