//! The cache in a real Envoy, before an upstream that counts its requests.

mod economy;
mod flights;
mod memory;
mod trust;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::config::Edit as _;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::image::Document;
use metahub_testkit::port;
use metahub_testkit::server::{Act, Answer, Gate, Received, Server};
use metahub_testkit::stage::{self, stage};

/// The upstream's answer to HEAD.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heads {
    /// The answer to GET without the body.
    Complete,
    /// The same without a digest.
    WithoutDigest,
    /// 405.
    Refused,
}

/// The documents of the upstream, and how it behaves.
struct State {
    /// By tag and by digest.
    documents: HashMap<String, Document>,
    heads: Heads,
    /// Whether GET names the digest.
    names_digests: bool,
    /// Every request is answered 401.
    denies: bool,
    /// Requests for this reference wait here.
    gate: Option<(String, Gate)>,
}

/// The upstream with the demo repository, and an Envoy before it.
struct Stage {
    base: stage::Stage,
    state: Arc<Mutex<State>>,
    port: u16,
    registry: Option<Server>,
    /// How many of the upstream's requests were checked.
    looked_at: Cell<usize>,
}

stands_on_base!(Stage);

impl Stage {
    /// `cache` is the configuration's value; null leaves it out, as in the shipped file.
    fn with(cache: Value) -> Self {
        Self::set(cache, |stage| stage)
    }

    fn set(cache: Value, edit: impl FnOnce(stage::Builder) -> stage::Builder) -> Self {
        let bench = Bench::build();
        let mut documents: HashMap<String, Document> =
            bench.images.iter().map(|image| (image.manifest.digest(), image.manifest.clone())).collect();
        documents.insert(bench.list.digest(), bench.list.clone());
        documents.insert("latest".to_owned(), bench.list.clone());
        let state = State { documents, heads: Heads::Complete, names_digests: true, denies: false, gate: None };
        let (state, port) = (Arc::new(Mutex::new(state)), port::free());
        let registry = Some(serve(port, &state));
        let base = edit(stage().port(port).config(|config| add_cache(config, cache))).start().unwrap();
        Self { base, state, port, registry, looked_at: Cell::new(0) }
    }

    /// Changes the documents of the upstream, or how it behaves.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// The upstream goes away: its port refuses connections.
    fn stop_upstream(&mut self) {
        self.registry = None;
        self.looked_at.set(0);
    }

    fn start_upstream(&mut self) {
        self.registry = Some(serve(self.port, &self.state));
    }

    fn ask(&self, method: &str, reference: &str, login: &str) -> Response {
        self.envoy.send(&request(method, reference, login, login)).unwrap()
    }

    /// Asks, and must get the image with this feature.
    fn assert_gets(&self, method: &str, reference: &str, login: &str, feature: &str) {
        let (answer, image) = (self.ask(method, reference, login), &self.bench.image(&[feature]).manifest);
        assert_eq!(answer.status, 200, "{method} {reference}: {}", answer.text());
        assert_eq!(answer.header("docker-content-digest"), Some(image.digest().as_str()), "{method} {reference}");
        assert_eq!(answer.header("content-type"), Some(image.media_type.as_str()), "{method} {reference}");
        assert_eq!(answer.header("content-length"), Some(image.bytes.len().to_string().as_str()));
        if method == "GET" {
            assert_eq!(answer.body, image.bytes, "{reference}");
        }
    }

    /// Method and reference of the upstream's requests since the last call.
    fn asked(&self) -> Vec<String> {
        let received = self.registry.as_ref().unwrap().received("/manifests/");
        let new = received.iter().skip(self.looked_at.replace(received.len()));
        new.map(|request| format!("{} {}", request.method, request.reference())).collect()
    }

    /// One of our metrics.
    fn metric(&self, name: &str) -> u64 {
        self.envoy.stat(&format!("wasmcustom.metahub_{name}"), name).unwrap()
    }
}

fn request(method: &str, reference: &str, login: &str, password: &str) -> Request {
    Request::new(method, &format!("/v2/{REPOSITORY}/manifests/{reference}")).login(login, password)
}

fn add_cache(config: &mut Value, cache: Value) {
    if !cache.is_null() {
        config.add("cache", cache);
    }
}

/// Adds an account `fleet`, and this many machine types `node0`, … for it.
fn add_fleet(config: &mut Value, size: usize) {
    let features = [vec!["cpu:broadwell"], vec!["cpu:skylake"], vec!["cpu:broadwell", "nvcap:5.2"]];
    for number in 0..size {
        let mut node = json!({ "features": features[number % features.len()] });
        node.push("features", format!("rack:{number}"));
        config.add(&format!("machine_types.node{number}"), node);
    }
    config.add("accounts.fleet", json!({ "password": bcrypt::hash("fleet", 4).unwrap() }));
}

fn serve(port: u16, state: &Arc<Mutex<State>>) -> Server {
    let state = Arc::clone(state);
    Server::start_on(port, move |request| answer(&state.lock().unwrap(), request)).unwrap()
}

fn answer(state: &State, request: &Received) -> Vec<Act> {
    if state.denies {
        return Answer::new(401).header("www-authenticate", "Basic realm=\"the registry\"").acts();
    }
    let (reference, is_head) = (request.reference(), request.method == "HEAD");
    if is_head && state.heads == Heads::Refused {
        return Answer::new(405).acts();
    }
    let Some(document) = state.documents.get(reference) else { return Answer::new(404).acts() };
    let mut answer = Answer::document(&document.media_type, document.bytes.clone());
    if state.names_digests && !(is_head && state.heads == Heads::WithoutDigest) {
        // The digest that a damaged document should have.
        let digest = if reference.starts_with("sha256:") { reference.to_owned() } else { document.digest() };
        answer = answer.header("docker-content-digest", &digest);
    }
    let gate = state.gate.iter().filter(|(gated, _)| gated == reference).map(|(_, gate)| Act::Wait(gate.clone()));
    gate.chain(answer.to(request)).collect()
}
