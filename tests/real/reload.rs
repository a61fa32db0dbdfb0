//! Changing machine types while the proxy works: no request is lost or answered wrongly, and a broken file is refused.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use metahub::oci::media_type::DOCKER_LIST;

use super::observe::{assert_no_vm_died, fault_lines};
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::config::Edit as _;
use metahub_testkit::http::connection::Connection;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::server::{Act, Answer, Gate, Received};
use metahub_testkit::stage::{Stage, stage};
use metahub_testkit::wait_for;

/// The shipped registry in MetaHub's configuration.
const REGISTRY: &str = "registries.registry";
/// The duration of the load, and the limit for enough of it on a busy machine.
const LOAD: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(60);

fn digest(stage: &Stage, login: &str) -> Option<String> {
    stage.send(&manifest().login(login, login)).header("docker-content-digest").map(str::to_owned)
}

fn manifest() -> Request {
    Request::get(&format!("/v2/{REPOSITORY}/manifests/latest"))
}

/// Adds a machine type and its login, whose password is its name.
fn add_machine(config: &mut Value, name: &str, features: &[&str], login: &str) {
    config.add(&format!("machine_types.{name}"), json!({ "features": features }));
    let hash = bcrypt::hash(login, 4).unwrap();
    config.add(&format!("accounts.{login}"), json!({ "password": hash, "machine_type": name }));
}

#[test]
fn a_new_machine_type_is_usable_within_a_second() {
    let stage = stage().start().unwrap();
    let config = stage.envoy.config().changed(|config| {
        add_machine(config, "newcomer", &["cpu:broadwell", "nvcap:5.2"], "new");
    });
    assert_eq!(digest(&stage, "new"), None, "not yet");
    stage.envoy.replace_config(&config).unwrap();
    let renamed = Instant::now();
    let digest = wait_for("the new machine type", Duration::from_secs(1), || digest(&stage, "new")).unwrap();
    assert_eq!(digest, stage.bench.digest(&["cpu:broadwell", "nvcap:5.2"]), "after {:?}", renamed.elapsed());
    assert_no_vm_died(&stage.envoy);
}

/// The requests of a thread of load, and the answers it got.
struct Load<'a> {
    stage: &'a Stage,
    stop: AtomicBool,
    requests: AtomicU64,
}

impl Load<'_> {
    /// Asks until told to stop; fails at the first answer that is not the right image.
    fn run(&self, login: &str, features: &[&[&str]], mut send: impl FnMut(&Request) -> Response) {
        let right: Vec<String> = features.iter().map(|features| self.stage.bench.digest(features)).collect();
        let request = manifest().login(login, login);
        while !self.stop.load(Ordering::Relaxed) {
            let answer = send(&request);
            assert_eq!(answer.status, 200, "{login}: {}", answer.text());
            let digest = metahub::oci::digest::Digest::of(&answer.body).to_string();
            assert!(right.contains(&digest), "{login} got {digest}, not one of {right:?}");
            assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()));
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Four threads ask all the time, two of them on connections that stay open, while machine types come, go and change.
#[test]
fn reloads_under_load_lose_nothing() {
    let stage = stage().start().unwrap();
    let config = stage.envoy.config();
    // `changing` is a broadwell machine in one configuration, and a skylake in the next.
    let before = config.changed(|config| add_machine(config, "changing", &["cpu:broadwell"], "change"));
    let after = before.changed(|config| {
        config.set("machine_types.changing.features.0", "cpu:skylake");
        add_machine(config, "extra", &["cpu:zen4"], "extra");
    });
    assert!(stage.envoy.reload(&before).unwrap());

    let load = Load { stage: &stage, stop: AtomicBool::new(false), requests: AtomicU64::new(0) };
    let (port, reloads) = (stage.envoy.port(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let load = &load;
        let fresh = move |request: &Request| request.send(port).unwrap();
        let kept = move || {
            let mut connection = Connection::open(port).unwrap();
            move |request: &Request| connection.send(request).unwrap()
        };
        let threads = [
            scope.spawn(move || load.run("qnib-type1", &[&["cpu:broadwell"]], fresh)),
            scope.spawn(move || load.run("change", &[&["cpu:broadwell"], &["cpu:skylake"]], fresh)),
            scope.spawn(move || load.run("qnib-type2", &[&["cpu:skylake"]], kept())),
            scope.spawn(move || load.run("qnib-type3", &[&["cpu:broadwell", "nvcap:5.2"]], kept())),
        ];
        let began = Instant::now();
        let enough = || load.requests.load(Ordering::Relaxed) > 500 && reloads.load(Ordering::Relaxed) >= 5;
        for config in [&after, &before].into_iter().cycle() {
            let long_enough = began.elapsed() >= LOAD && enough() || began.elapsed() >= LONGEST;
            if long_enough || threads.iter().any(|thread| thread.is_finished()) {
                break;
            }
            assert!(stage.envoy.reload(config).unwrap());
            reloads.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(250)); // the load's pace, nothing is waited for
        }
        load.stop.store(true, Ordering::Relaxed);
    });
    let (requests, reloads) = (load.requests.into_inner(), reloads.into_inner());
    eprintln!("{requests} requests during {reloads} reloads");
    assert!(requests > 500 && reloads >= 5, "too little load: {requests} requests, {reloads} reloads");
    assert_eq!(fault_lines(&stage.envoy), Vec::<String>::new());
    assert_eq!(stage.envoy.stat("listener_manager.total_listeners_draining", "").unwrap(), 0);
    assert_no_vm_died(&stage.envoy);
}

/// Downloads and selections that are under way when the configuration changes are finished as they began.
#[test]
fn requests_in_flight_survive() {
    let bench = Bench::build();
    let (blob_gate, index_gate) = (Gate::default(), Gate::default());
    let gates = (blob_gate.clone(), index_gate.clone());
    let blob: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let (sent, list, images) = (blob.clone(), bench.list.bytes.clone(), bench.images.clone());
    let serve = move |request: &Received| {
        if request.path.contains("/blobs/") {
            let blob = Answer::document("application/octet-stream", sent.clone());
            return blob.interrupted(1_000_000, Act::Wait(gates.0.clone()));
        }
        if request.path.ends_with("/latest") {
            let answer = Answer::document(DOCKER_LIST, list.clone());
            return answer.interrupted(100, Act::Wait(gates.1.clone()));
        }
        let image = images.iter().find(|image| request.path.ends_with(&image.manifest.digest()));
        let image = image.map(|image| Answer::document(&image.manifest.media_type, image.manifest.bytes.clone()));
        image.unwrap_or_else(|| Answer::new(404)).acts()
    };
    let Stage { envoy, .. } = &stage().server(serve).start().unwrap();
    let digest = metahub::oci::digest::Digest::of(&blob);
    std::thread::scope(|scope| {
        let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
        let ask = |request: Request| envoy.send(&request.login("qnib-type1", "qnib-type1")).unwrap();
        let download = scope.spawn(move || ask(Request::get(&path)));
        let selection = scope.spawn(move || ask(Request::head(&format!("/v2/{REPOSITORY}/manifests/latest"))));
        blob_gate.reached();
        index_gate.reached();
        // The login and its machine type are gone for new requests.
        let without = envoy.config().changed(|config| {
            config.rename("accounts.qnib-type1", "renamed");
            for machine_type in ["type1", "type3"] {
                config.set(&format!("machine_types.{machine_type}.features.0"), "cpu:zen4");
            }
        });
        assert!(envoy.reload(&without).unwrap());
        assert_eq!(ask(Request::get("/v2/")).status, 401);
        blob_gate.open();
        index_gate.open();
        let (download, selection) = (download.join().unwrap(), selection.join().unwrap());
        assert_eq!((download.status, download.body.len()), (200, blob.len()));
        assert!(download.body == blob, "the bytes are others");
        assert_eq!(selection.header("docker-content-digest"), Some(bench.digest(&["cpu:broadwell"]).as_str()));
    });
    assert_no_vm_died(envoy);
}

/// A broken file changes nothing: Envoy counts it, one line names the field, and the next good file is taken.
#[test]
fn broken_files_are_refused() {
    let stage = stage().start().unwrap();
    let good = stage.envoy.config();
    let text = |change: &dyn Fn(&mut Value)| stage.envoy.text_with(&good.changed(change));
    let bad_yaml = text(&|_| {}).replacen("\"machine_types\":{", "\"machine_types\":[", 1);
    let other = stage.envoy.file().changed(|file| file.set("resources.0.name", "other")).to_string();
    let hash = good.at("accounts.qnib-type1.password").as_str().unwrap();
    let no_hash = hash.strip_prefix("$2y$05$").unwrap();
    let rows = [
        ("bad YAML", bad_yaml, ""),
        ("another resource", other, ""),
        ("an unknown key", text(&|config| config.rename("machine_types", "machine_typos")), "machine_typos"),
        ("an unknown nested key", text(&|config| config.rename(&format!("{REGISTRY}.host"), "hots")), REGISTRY),
        (
            "no feature",
            text(&|config| config.set("machine_types.type2.features.0", "cpu:")),
            "machine_types.type2.features[0]",
        ),
        (
            "a type that is none",
            text(&|config| config.set("accounts.qnib-type2.machine_type", "type9")),
            "accounts.qnib-type2",
        ),
        (
            "no hash",
            text(&|config| config.set("accounts.qnib-type1.password", no_hash)),
            "accounts.qnib-type1.password",
        ),
        ("a number", text(&|config| config.set(&format!("{REGISTRY}.authentication"), 7)), REGISTRY),
        ("nothing", text(&|config| config.add("x", json!({}))), "x"),
    ];
    for (name, text, field) in rows {
        assert_ne!(text, stage.envoy.text_with(&good), "{name}: nothing was broken");
        let before = fault_lines(&stage.envoy).len();
        assert!(!stage.envoy.reload_text(&text).unwrap(), "{name} was accepted");
        let refused = || {
            let log = fault_lines(&stage.envoy).split_off(before);
            log.into_iter().filter(|line| line.contains("configuration refused")).collect::<Vec<_>>()
        };
        if !field.is_empty() {
            wait_for(name, Duration::from_secs(5), || (!refused().is_empty()).then_some(())).unwrap();
            let lines = refused();
            assert_eq!(lines.len(), 1, "{name}: {lines:#?}");
            assert!(lines[0].contains(&format!(": {field}")), "{name}: {field} is not in {}", lines[0]);
        }
        assert!(!stage.envoy.log().contains("okLZ6CV1P2"), "{name}: a password's hash is in the log");
        assert_eq!(digest(&stage, "qnib-type2"), Some(stage.bench.digest(&["cpu:skylake"])), "{name}");
    }
    let changed = good.changed(|config| config.set("machine_types.type2.features.0", "cpu:broadwell"));
    assert!(stage.envoy.reload(&changed).unwrap());
    assert_eq!(digest(&stage, "qnib-type2"), Some(stage.bench.digest(&["cpu:broadwell"])));
    assert_no_vm_died(&stage.envoy);
}

/// Without any good configuration nothing is served, least of all a whole index.
#[test]
fn a_broken_first_file_fails_closed() {
    let broken = |config: &mut Value| config.rename("machine_types", "machine_typos");
    let stage = stage().config(broken).start().unwrap();
    let Stage { bench, envoy, .. } = &stage;
    let digest = bench.digest(&["cpu:broadwell"]);
    let paths =
        ["/v2/", "/v2/qnib/bench/manifests/latest", &format!("/v2/qnib/bench/manifests/{digest}")].map(str::to_owned);
    for path in paths {
        for request in [Request::get(&path), Request::get(&path).login("qnib-type1", "qnib-type1")] {
            let answer = envoy.send(&request).unwrap();
            assert!(answer.status >= 500, "{path}: {} {}", answer.status, answer.text());
            assert_eq!(answer.header("docker-content-digest"), None, "{path}");
        }
    }
    let log = stage.registry().log();
    assert!(log.contains("\"PUT /v2/qnib/") && !log.contains("\"GET /v2/qnib/"), "upstream was asked:\n{log}");
    let repaired = envoy.config().changed(|config| config.rename("machine_typos", "machine_types"));
    assert!(envoy.reload(&repaired).unwrap());
    let answer = envoy.send(&manifest().login("qnib-type1", "qnib-type1")).unwrap();
    assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()));
}
