//! The time that the core takes for a request, natively: `cargo bench -p metahub-bench --bench requests`.
//!
//! Prints the fastest of many runs for each kind of request, without Envoy. For a profile, give a kind and a count:
//! `valgrind --tool=callgrind target/release/deps/requests-… tag 1000`; the difference of two counts is the requests'
//! own share.

use std::cell::Cell;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use metahub::config::Config;
use metahub::flow::body::Body;
use metahub::flow::{Answer, Arrival, Event, Step, WorkerState, begin};
use metahub::oci::digest::Digest;
use metahub::oci::media_type::{ALL, DOCKER_LIST, DOCKER_MANIFEST};
use metahub::store::in_memory::Map;
use metahub::text::headers::Headers;
use serde_json::{Value, json};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let by_login = Stage::new(&json!({}), "Basic eC10eXBlMTp4", None);
    // The place that names the machine type, the login being the account's name alone.
    let from = |key: &'static str, value: Value, header: Option<&'static str>| {
        let described = header.is_some_and(|text| text.contains('='));
        let more = json!({ "machine_type_from": { key: value }, "described_machine_types": described });
        Stage::new(&more, "Basic eTp4", header)
    };
    let by_header = from("header", json!(true), Some("type1"));
    let by_description = from("header", json!(true), Some("cpu=broadwell,nvcap=8.6,ib"));
    let by_host = from("hosts", json!({ "hub.example": "type1" }), None);
    let by_address = from("addresses", json!({ "192.0.2.0/24": "type1" }), None);
    let ping = "/v2/".to_owned();
    let blob = format!("/v2/bench/app/blobs/{}", by_login.child_digest);
    let tag = "/v2/bench/app/manifests/latest".to_owned();
    let kinds = [
        ("ping", &by_login, ping.clone()),
        ("blob", &by_login, blob.clone()),
        ("digest", &by_login, format!("/v2/bench/app/manifests/{}", by_login.child_digest)),
        ("tag", &by_login, tag.clone()),
        ("cold", &by_login, "/v2/bench/new/manifests/latest".to_owned()),
        ("ping-header", &by_header, ping),
        ("blob-header", &by_header, blob),
        ("tag-header", &by_header, tag.clone()),
        ("tag-described", &by_description, tag.clone()),
        ("tag-host", &by_host, tag.clone()),
        ("tag-address", &by_address, tag),
    ];
    for (kind, stage, path) in &kinds {
        if arguments.first().is_some_and(|wanted| wanted != kind) {
            continue;
        }
        // The first request asks for a document that is not known yet.
        let again = stage.request(path);
        stage.answer(&again);
        let number = Cell::new(0_u32);
        let request = || {
            number.set(number.get() + 1);
            if *kind == "cold" { stage.request(&path.replace("new", &number.get().to_string())) } else { again.clone() }
        };
        if let Some(count) = arguments.get(1).and_then(|count| count.parse::<u64>().ok()) {
            (0..count).for_each(|_| stage.answer(black_box(&request())));
            continue;
        }
        println!("{kind:<13} {:>10.2?}", fastest(|| stage.answer(black_box(&request()))));
    }
}

/// The client's address.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

type HeaderList = Vec<(String, Vec<u8>)>;

fn header_list(headers: &[(&str, &str)]) -> HeaderList {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// One worker with one image behind it.
struct Stage {
    authorization: &'static str,
    /// The node's header, if it sends one.
    header: Option<&'static str>,
    config: Config,
    memory: Map,
    worker: WorkerState,
    child: Vec<u8>,
    child_digest: String,
    index: Vec<u8>,
    child_headers: HeaderList,
    index_headers: HeaderList,
}

impl Stage {
    /// `more` is added to the configuration.
    fn new(more: &Value, authorization: &'static str, header: Option<&'static str>) -> Self {
        let password = bcrypt::hash("x", 4).unwrap();
        let mut config = json!({
            "machine_types": { "type1": { "features": ["cpu:broadwell"] } },
            "registries": { "registry": { "host": "registry.example", "authentication": "accounts" } },
            "accounts": {
                "x-type1": { "password": password, "machine_type": "type1" },
                "y": { "password": password },
            },
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        let layers = vec![
            json!({
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "digest": Digest::of(b"").as_str(),
                "size": 123_456,
            });
            6
        ];
        let child =
            json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "layers": layers }).to_string().into_bytes();
        let (child_digest, size) = (Digest::of(&child).as_str().to_owned(), child.len());
        let entry = |feature: &str| {
            let platform = json!({ "os": "linux", "architecture": "amd64", "features": [feature] });
            json!({ "mediaType": DOCKER_MANIFEST, "digest": child_digest, "size": size, "platform": platform })
        };
        let entries: Vec<Value> = ["cpu:haswell", "cpu:broadwell", "cpu:skylake", "cpu:icelake"].map(entry).to_vec();
        let index = json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries });
        let index = index.to_string().into_bytes();
        let response = |content_type: &str, body: &[u8]| {
            let length = body.len().to_string();
            header_list(&[
                (":status", "200"),
                ("content-type", content_type),
                ("content-length", &length),
                ("docker-content-digest", Digest::of(body).as_str()),
            ])
        };
        Self {
            authorization,
            header,
            config: Config::parse(config.to_string().as_bytes(), &|_| None).unwrap(),
            memory: Map::default(),
            worker: WorkerState::default(),
            child_headers: response(DOCKER_MANIFEST, &child),
            index_headers: response(DOCKER_LIST, &index),
            child,
            child_digest,
            index,
        }
    }

    /// A container runtime's request, as Envoy hands it over.
    fn request(&self, path: &str) -> HeaderList {
        let mut headers = header_list(&[
            (":authority", "hub.example:8080"),
            (":path", path),
            (":method", "GET"),
            (":scheme", "http"),
            ("user-agent", "docker/24.0.5 go/go1.20.3 kernel/6.1.0 os/linux arch/amd64"),
            ("authorization", self.authorization),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "3c8d7b6e-0d5b-4a0b-9d2a-111111111111"),
            ("accept", &ALL.join(", ")),
        ]);
        if let Some(text) = self.header {
            headers.push(("x-metahub-machine-type".to_owned(), text.into()));
        }
        headers
    }

    /// Answers a request, with an upstream that has the document.
    fn answer(&self, request: &HeaderList) {
        let arrival = Arrival { cluster: Some("registry"), headers: Headers(request), address: &|| Some(ADDRESS) };
        let mut effects = begin(&self.config, &self.memory, &self.worker, arrival);
        loop {
            let (headers, body) = self.upstream(request, &effects.step);
            let event = match &effects.step {
                Step::CallOut(_) => {
                    Event::CalloutAnswered(Some(Answer { headers: Headers(headers), body: &Body::from(body.to_vec()) }))
                }
                Step::Continue(_) if !effects.exchange.is_done() => {
                    Event::ResponseHeaders { headers: Headers(headers), end: true }
                }
                _ => break,
            };
            effects = effects.exchange.advance(&self.memory, &event);
        }
        if let Step::Reply(reply) = &effects.step {
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }

    fn upstream(&self, request: &HeaderList, step: &Step) -> (&HeaderList, &[u8]) {
        let path = match step {
            Step::CallOut(callout) => callout.headers.iter().find(|(name, _)| *name == ":path").unwrap().1.as_str(),
            _ => Headers(request).text(":path").unwrap(),
        };
        let by_digest = path.ends_with(&self.child_digest);
        if by_digest { (&self.child_headers, &self.child) } else { (&self.index_headers, &self.index) }
    }
}

/// The fastest of many runs, each of a hundred requests.
fn fastest(mut run: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        let start = Instant::now();
        (0..100).for_each(|_| run());
        best = best.min(start.elapsed() / 100);
    }
    best
}
