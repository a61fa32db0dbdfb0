//! Clients that read slowly or not at all hold little memory, and do not keep other clients from being served.
//!
//! Nothing that they do is an error: a node with a slow disk is such a client. Times here are those of a busy machine.
//!
//! Issue 11: with 97 downloads that nobody read, everybody else got 503.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use metahub::oci::digest::Digest;
use metahub::oci::media_type::DOCKER_MANIFEST;

use super::observe::{assert_no_vm_died, fault_lines};
use metahub_testkit::bench::Bench;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::cluster;
use metahub_testkit::http::unread::{WIDE_OPEN, read_late, send_unread_http2};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::process::allow_open_files;
use metahub_testkit::server::{Act, Answer, Received};
use metahub_testkit::stage::{self, stage};
use metahub_testkit::wait_for;

const MIB: u64 = 1024 * 1024;
/// The memory that Envoy may take, whatever clients do.
const MEMORY: u64 = 500_000_000;
/// For a thousand connections, and for what they cause, to come to rest.
const PATIENCE: Duration = Duration::from_secs(120);
/// If nothing has come for this long, nothing is on its way.
const STILL: Duration = Duration::from_millis(500);
/// Far more than fits into all buffers on the way.
const BLOB_MIB: usize = 64;

/// The tag of a manifest of 4 MiB.
const LARGE: &str = "large";

/// Envoy before a registry with the demo image in every repository, large blobs, and a large manifest.
struct Stage {
    base: stage::Stage,
}

stands_on_base!(Stage);

impl Stage {
    fn set(change: impl FnOnce(&mut Value) + 'static) -> Self {
        allow_open_files(10_000).unwrap();
        let bench = Bench::build();
        let piece: Arc<[u8]> = vec![b'x'; 1024 * 1024].into();
        let large: Arc<[u8]> = large_manifest().into();
        let digest = Digest::of(&large).to_string();
        let serve = move |request: &Received| {
            if [LARGE, &digest].iter().any(|reference| request.path.ends_with(reference)) {
                return serve_large(request, &large, &digest);
            }
            serve(request, &bench, &piece)
        };
        let stage = Self { base: stage().server(serve).bootstrap(change).start().unwrap() };
        stage.assert_serves("known");
        stage
    }

    /// HEAD and GET of a tag bring the right image.
    fn assert_serves(&self, repository: &str) {
        let digest = self.bench.digest(&["cpu:broadwell"]);
        for method in ["HEAD", "GET"] {
            let answer = self.envoy.send(&request(method, &format!("{repository}/manifests/latest"))).unwrap();
            assert_eq!(answer.status, 200, "{method} {repository}: {}", answer.text());
            assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{method} {repository}");
        }
    }

    /// All other clients get known and new documents, and Envoy is well.
    fn assert_unharmed(&self, what: &str) {
        self.assert_serves("known");
        self.assert_serves(&format!("new/{}", what.replace(' ', "-")));
        let memory = self.envoy.resident().unwrap();
        println!("{what}: {} MiB", memory / MIB);
        assert!(memory < MEMORY, "{what}: {} MiB", memory / MIB);
        assert_no_vm_died(&self.envoy);
        assert_eq!(fault_lines(&self.envoy), Vec::<String>::new(), "{what}");
        assert!(!self.envoy.log().contains("[critical]"), "{what}");
    }

    fn stat(&self, name: &str) -> u64 {
        self.envoy.stat(name, "").unwrap()
    }

    /// Waits until this many requests are under way, and nothing comes from upstream any more.
    fn wait_until_stalled(&self, requests: u64) {
        let all = || self.stat("http.clients.downstream_rq_active") == requests;
        self.wait_until_still(&format!("{requests} stalled requests"), all);
    }

    /// Waits until this holds, and nothing comes from upstream and goes to clients any more.
    fn wait_until_still(&self, what: &str, holds: impl Fn() -> bool) {
        let names = ["cluster.registry.upstream_cx_rx_bytes_total", "http.clients.downstream_cx_tx_bytes_total"];
        let bytes = || names.map(|name| self.stat(name));
        let (mut last, mut since) = (bytes(), Instant::now());
        let outcome = wait_for(what, PATIENCE, || {
            let now = bytes();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            (since.elapsed() >= STILL && holds()).then_some(())
        });
        outcome.unwrap();
    }

    /// Waits until no client is left.
    fn wait_until_idle(&self) {
        let idle = || (self.stat("http.clients.downstream_rq_active") == 0).then_some(());
        wait_for("the clients to be gone", PATIENCE, idle).unwrap();
    }
}

fn serve(request: &Received, bench: &Bench, piece: &Arc<[u8]>) -> Vec<Act> {
    if request.path.contains("/blobs/") {
        let length = (BLOB_MIB * piece.len()).to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n");
        return [Act::Send(head.into_bytes())]
            .into_iter()
            .chain(vec![Act::SendShared(piece.clone()); BLOB_MIB])
            .collect();
    }
    let mut documents = bench.images.iter().map(|image| &image.manifest);
    let document = documents.find(|document| document.digest() == request.reference()).unwrap_or(&bench.list);
    Answer::document(&document.media_type, document.bytes.clone()).to(request)
}

fn serve_large(request: &Received, bytes: &Arc<[u8]>, digest: &str) -> Vec<Act> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {DOCKER_MANIFEST}\r\ndocker-content-digest: {digest}\r\n\
         content-length: {}\r\n\r\n",
        bytes.len()
    );
    let body = (request.method != "HEAD").then(|| Act::SendShared(bytes.clone()));
    [Act::Send(head.into_bytes())].into_iter().chain(body).collect()
}

/// A request for `path` below `/v2/`, with a login.
fn request(method: &str, path: &str) -> Request {
    Request::new(method, &format!("/v2/{path}")).login("qnib-type1", "qnib-type1")
}

fn blob() -> Request {
    request("GET", &format!("known/blobs/sha256:{}", "0".repeat(64)))
}

/// This many clients that ask for a blob and do not read it.
fn stalled_downloads(stage: &Stage, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| blob().send_unread(stage.envoy.port()).unwrap()).collect()
}

#[test]
fn a_thousand_stalled_downloads() {
    let stage = Stage::set(|_| {});
    let clients = stalled_downloads(&stage, 1_000);
    stage.wait_until_stalled(1_000);
    stage.assert_unharmed("stalled downloads");
    drop(clients);
    stage.wait_until_idle();
    stage.assert_unharmed("after stalled downloads");
}

/// When all connections for blobs are taken, manifests have their own, and so has the filter. The limits are those of
/// the shipped file but for their number.
#[test]
fn stalled_downloads_leave_connections_for_manifests() {
    let stage = Stage::set(|bootstrap| {
        for priority in [0, 1] {
            let limit = format!("circuit_breakers.thresholds.{priority}.max_connections");
            cluster(bootstrap, "registry").set(&limit, 20);
        }
    });
    let clients = stalled_downloads(&stage, 40);
    stage.wait_until_stalled(40);
    assert_eq!(stage.stat("cluster.registry.circuit_breakers.high.cx_open"), 1, "connections are left");
    stage.assert_unharmed("all connections taken");
    drop(clients);
    stage.wait_until_idle();
}

/// Each takes about 1 MB a second, as over a slow line.
#[test]
fn a_hundred_and_twenty_slow_downloads() {
    const CLIENTS: usize = 120;
    let stage = Stage::set(|_| {});
    let (read, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let stream = blob().send_unread(stage.envoy.port()).unwrap();
            let (read, stop) = (&read, &stop);
            scope.spawn(move || read_slowly(stream, read, stop));
        }
        // Some of it must have gone through all buffers to the last client.
        let enough = (CLIENTS as u64) * 4 * MIB;
        let outcome = wait_for("slow downloads", PATIENCE, || (read.load(Ordering::Relaxed) > enough).then_some(()));
        let active = stage.stat("http.clients.downstream_rq_active");
        let unharmed =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.assert_unharmed("slow downloads")));
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap();
        assert_eq!(active, CLIENTS as u64);
        unharmed.unwrap();
    });
}

fn read_slowly(mut stream: TcpStream, read: &AtomicU64, stop: &AtomicBool) {
    let mut buffer = vec![0; 50_000];
    while !stop.load(Ordering::Relaxed) {
        if std::io::Read::read_exact(&mut stream, &mut buffer).is_err() {
            return;
        }
        read.fetch_add(50_000, Ordering::Relaxed);
        sleep(Duration::from_millis(50)); // the client's pace, nothing is waited for
    }
}

/// All streams that one HTTP/2 connection may have: with windows that let everything come to a client that does not
/// read it, and with windows that let nothing come.
#[test]
fn one_hostile_http2_connection() {
    let stage = Stage::set(|_| {});
    let requests: Vec<Request> = (0..128).map(|_| blob()).collect();
    for (what, window) in [("open windows", WIDE_OPEN), ("closed windows", 0)] {
        let connection = send_unread_http2(&requests, window, stage.envoy.port()).unwrap();
        stage.wait_until_stalled(128);
        stage.assert_unharmed(what);
        drop(connection);
        stage.wait_until_idle();
    }
}

/// Manifests as large as clients take them, by tag and by digest, known and new: they pass through or are bounded, but
/// they do not pile up.
#[test]
fn a_thousand_stalled_manifests() {
    const CLIENTS: u64 = 1_000;
    let stage = Stage::set(|_| {});
    let digest = Digest::of(&large_manifest()).to_string();
    let rows = [
        ("known tag", LARGE, true),
        ("known digest", &digest, true),
        ("new tag", LARGE, false),
        ("new digest", &digest, false),
    ];
    for (what, reference, known) in rows {
        let manifest = request("GET", &format!("{}/manifests/{reference}", what.replace(' ', "-")));
        if known {
            assert_is_large(&stage.envoy.send(&manifest).unwrap(), what);
        }
        let before = stage.stat("http.clients.downstream_rq_total");
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| manifest.send_unread(stage.envoy.port()).unwrap()).collect();
        stage.wait_until_still(what, || stage.stat("http.clients.downstream_rq_total") >= before + CLIENTS);
        stage.assert_unharmed(&format!("stalled manifests by {what}"));
        // A client that reads on after all gets the whole manifest.
        assert_is_large(&read_late(clients.pop().unwrap()).unwrap(), what);
        drop(clients);
        stage.wait_until_idle();
    }
}

/// An image's manifest of exactly 4 MiB.
fn large_manifest() -> Vec<u8> {
    let mut bytes = Bench::build().image(&["cpu:broadwell"]).manifest.bytes.clone();
    bytes.resize(4 * 1024 * 1024, b' ');
    bytes
}

fn assert_is_large(answer: &Response, what: &str) {
    assert_eq!(answer.status, 200, "{what}");
    assert!(answer.body == large_manifest(), "{what}: {} bytes", answer.body.len());
}
