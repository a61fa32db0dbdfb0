//! Good, broken and huge configurations faster than Envoy can take them: nothing fails, memory does not grow, and the
//! last good one is in force.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::observe::assert_unharmed;
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Envoy, Updates};
use metahub_testkit::http::connection::Connection;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::stage::{Stage, stage};
use metahub_testkit::wait_for;

const STORM: Duration = Duration::from_secs(16);
/// How long it may take on a busy machine until enough was read and pulled in it.
const LONGEST: Duration = Duration::from_secs(60);
/// The interval between new files.
const PACE: Duration = Duration::from_millis(200);
/// Machine types of the huge configuration.
const HUGE: usize = 3000;
/// The growth of memory that is allowed in the storm's second half, in KiB. The first huge configurations take 20 MiB,
/// the later ones use them again; the second half brings half a dozen.
const GROWTH: u64 = 16 * 1024;
/// How long a configuration may wait for those before it.
const SOON: Duration = Duration::from_secs(20);

const BROADWELL: &[&str] = &["cpu:broadwell"];
const SKYLAKE: &[&str] = &["cpu:skylake"];

/// A configuration in which the machine type `changing` has this microarchitecture, with so many others.
fn configuration(changing: &str, others: usize) -> Value {
    let mut machine_types = json!({
        "fixed": { "features": ["cpu:broadwell"] },
        "changing": { "features": [changing] },
    });
    for number in 0..others {
        let features = json!(["cpu:zen4", "nvcap:8.6", format!("site:{number}")]);
        machine_types[format!("other{number}")] = json!({ "features": features });
    }
    json!({ "machine_types": machine_types, "registries": { "registry": { "authentication": "none" } } })
}

/// Texts of the same one, broken in ways that Envoy sees and in ways that only the filter sees.
fn broken(envoy: &Envoy, good: &Value) -> Vec<String> {
    let with = |change: &dyn Fn(&mut Value)| envoy.text_with(&good.changed(change));
    let text = with(&|_| {});
    vec![
        with(&|config| config.rename("machine_types", "machine_typos")),
        with(&|config| config.set("registries.registry.authentication", "nobody")),
        with(&|config| config.set("machine_types.fixed.features.0", 7)),
        text.replacen("\"resources\":[", "\"resources\":[[", 1),
        text.split_at(text.len() / 2).0.to_owned(),
        String::new(),
        "\0\u{fffd}".to_owned(),
    ]
}

/// Pulls until told to stop.
struct Load<'a> {
    stage: &'a Stage,
    stop: AtomicBool,
    pulls: AtomicU64,
    longest: AtomicU64,
}

impl Load<'_> {
    fn run(&self, machine: &str, images: &[&[&str]], mut send: impl FnMut(&Request) -> Response) {
        let right: Vec<String> = images.iter().map(|features| self.stage.bench.digest(features)).collect();
        let request = manifest(machine);
        while !self.stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let answer = send(&request);
            self.longest.fetch_max(u64::try_from(began.elapsed().as_millis()).unwrap(), Ordering::Relaxed);
            assert_eq!(answer.status, 200, "{machine}: {}", answer.text());
            let digest = metahub::oci::digest::Digest::of(&answer.body).to_string();
            assert!(right.contains(&digest), "{machine} got {digest}, not one of {right:?}");
            self.pulls.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn manifest(machine: &str) -> Request {
    Request::get(&format!("/v2/{REPOSITORY}/manifests/latest")).login(&format!("me-{machine}"), "pw")
}

/// A file every 200 ms until all is enough or something has ended; returns the memory after each.
fn storm(stage: &Stage, files: &[String], enough: impl Fn() -> bool, ended: impl Fn() -> bool) -> Vec<u64> {
    let began = Instant::now();
    let mut samples = Vec::new();
    for text in files.iter().cycle() {
        if ended() || began.elapsed() >= LONGEST || (began.elapsed() >= STORM && enough()) {
            break;
        }
        stage.envoy.replace_text(text).unwrap();
        std::thread::sleep(PACE); // the storm's pace, nothing is waited for
        samples.push(stage.envoy.resident().unwrap() / 1024);
    }
    samples
}

/// The configurations that Envoy has read since then.
fn read_since(envoy: &Envoy, before: Updates) -> Updates {
    let now = envoy.updates().unwrap();
    Updates { accepted: now.accepted - before.accepted, refused: now.refused - before.refused }
}

fn is_enough(envoy: &Envoy, before: Updates) -> bool {
    let Updates { accepted, refused } = read_since(envoy, before);
    accepted >= 6 && refused >= 6
}

#[test]
fn a_storm_of_configurations_changes_nothing_but_machine_types() {
    let stage = stage().configuration(configuration("cpu:broadwell", 0)).start().unwrap();
    let host = stage.envoy.config().at("registries.registry.host").clone();
    let configuration = |changing, others| {
        configuration(changing, others).changed(|config| config.add("registries.registry.host", host.clone()))
    };
    let [broadwell, skylake] = ["cpu:broadwell", "cpu:skylake"].map(|cpu| configuration(cpu, 0));
    let huge = configuration("cpu:broadwell", HUGE);
    let good = [&broadwell, &skylake, &huge].map(|config| stage.envoy.text_with(config));
    let mut files = Vec::new();
    for text in broken(&stage.envoy, &broadwell) {
        let [broadwell, skylake, huge] = good.clone();
        files.extend([broadwell, text.clone(), skylake, huge, text]);
    }

    let load =
        Load { stage: &stage, stop: AtomicBool::new(false), pulls: AtomicU64::new(0), longest: AtomicU64::new(0) };
    let before = stage.envoy.updates().unwrap();
    let client = stage.envoy.port();
    let samples = std::thread::scope(|scope| {
        let load = &load;
        let fresh = move |request: &Request| request.send(client).unwrap();
        let kept = move || {
            let mut connection = Connection::open(client).unwrap();
            move |request: &Request| connection.send(request).unwrap()
        };
        let threads = [
            scope.spawn(move || load.run("fixed", &[BROADWELL], fresh)),
            scope.spawn(move || load.run("changing", &[BROADWELL, SKYLAKE], fresh)),
            scope.spawn(move || load.run("fixed", &[BROADWELL], kept())),
        ];
        let enough = || load.pulls.load(Ordering::Relaxed) > 200 && is_enough(&stage.envoy, before);
        let samples = storm(&stage, &files, enough, || threads.iter().any(|thread| thread.is_finished()));
        load.stop.store(true, Ordering::Relaxed);
        samples
    });
    let Updates { accepted, refused } = read_since(&stage.envoy, before);
    let (pulls, longest) = (load.pulls.into_inner(), load.longest.into_inner());
    eprintln!(
        "{pulls} pulls, the longest {longest} ms; {accepted} accepted, {refused} refused; memory {samples:?} KiB"
    );
    let enough = pulls > 200 && is_enough(&stage.envoy, before);
    assert!(enough, "too little: {pulls} pulls, {accepted} and {refused}");

    // The last good one is in force, although bad ones followed.
    for (good, image) in [(&skylake, SKYLAKE), (&broadwell, BROADWELL), (&skylake, SKYLAKE)] {
        stage.envoy.replace_config(good).unwrap();
        let right = stage.bench.digest(image);
        let pulled =
            || stage.envoy.send(&manifest("changing")).ok()?.header("docker-content-digest").map(str::to_owned);
        wait_for("the last good configuration", SOON, || pulled().filter(|digest| *digest == right)).unwrap();
        for text in broken(&stage.envoy, good) {
            assert!(!stage.envoy.reload_text(&text).unwrap(), "accepted: {text:.80}");
            assert_eq!(pulled().as_deref(), Some(right.as_str()));
        }
    }
    let (first, second) = samples.split_at(samples.len() / 2);
    let highest = |samples: &[u64]| samples.iter().copied().max().unwrap_or_default();
    let grown = highest(second).saturating_sub(highest(first));
    assert!(grown <= GROWTH, "memory grew by {grown} KiB in the second half: {samples:?}");
    assert_eq!(stage.envoy.stat("listener_manager.total_listeners_draining", "").unwrap(), 0);
    assert_unharmed(&stage.envoy);
}
