//! A configuration and a request: what the client gets of it.

use base64::Engine as _;
use metahub::config::Config;
use metahub::flow::{Arrival, Effects, WorkerState, begin};
use metahub::host::log_lines::collect;
use metahub::text::headers::Headers;
use serde_json::{Value, json};

use super::envoy::Envoy;
use super::outcome::Outcome;
use super::scripted_registry::{HeaderList, ScriptedRegistry, header_list};
use metahub::store::in_memory::Map;

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

/// Pulls an image through the flow, as the filter would, and returns what the client gets.
pub(crate) fn exchange(config: &Config, method: &str, image: &str, user: &str, upstream: &ScriptedRegistry) -> Outcome {
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
    upstream: &ScriptedRegistry,
) -> Outcome {
    send_headers(config, &header_list_of(method, path, user, password), upstream)
}

/// The headers of a request.
pub(crate) fn header_list_of(method: &str, path: &str, user: &str, password: &str) -> HeaderList {
    header_list(&[(":method", method), (":path", path), ("authorization", &basic(user, password))])
}

/// Sends a request with exactly these headers through the flow.
pub(crate) fn send_headers(config: &Config, headers: &HeaderList, upstream: &ScriptedRegistry) -> Outcome {
    let envoy = Envoy::new(config, headers, upstream);
    let ((), lines) = collect(|| envoy.run());
    let mut outcome = envoy.outcome.into_inner();
    outcome.lines = lines.into_iter().map(|line| line.text).collect();
    outcome
}
