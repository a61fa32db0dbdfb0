//! Herds: thousands of clients that wait for one answer on one worker, and large indexes for many at once. How soon all
//! are answered, and how long another client waits meanwhile.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};

use crate::floor::Floor;
use crate::machine::Cores;
use crate::report::{self, Section};
use crate::subject::{Authentication, Cache, LOGIN, Setup, Subject};
use metahub_testkit::bench::Bench;
use metahub_testkit::http::Request;
use metahub_testkit::http::connection::Connection;
use metahub_testkit::http::herd::{Herd, Outcome, allow_files};
use metahub_testkit::image::Document;
use metahub_testkit::server::{Act, Answer, Gate, Received, Server};
use metahub_testkit::{Result, wait_for};

/// A fleet on one worker.
const CLIENTS: usize = 5000;
/// The longest that a probe may wait meanwhile.
const LIMIT: Duration = Duration::from_millis(250);
/// Envoy takes all requests that have arrived before it looks for others, so thousands in one instant keep a probe
/// waiting with any filter. With MetaHub the probe may wait longer, by this factor, than with a filter that only
/// answers.
const FACTOR: f64 = 1.5;
const PATIENCE: Duration = Duration::from_secs(60);
const ENTRIES: usize = 9000;

/// A herd: who asks for what, and the index behind each tag.
struct Case {
    name: &'static str,
    requests: Vec<Request>,
    index: Vec<u8>,
    /// Statuses that count as answers.
    answers: &'static [u16],
    by: By,
}

/// The server or filter that answers a herd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// MetaHub.
    MetaHub,
    /// Envoy without the filter, with a file: the time that any Envoy takes for so many requests at once.
    Bare,
    /// A filter that answers by itself and computes nothing.
    Floor,
}

/// Measures each herd against an Envoy of its own.
pub(crate) fn measure() -> Result<Section> {
    allow_files(4 * CLIENTS)?;
    let columns = [
        "clients",
        "answers",
        "the last after, ms",
        "a probe waited while they asked, ms",
        "limit",
        "and while they were answered, ms",
        "limit",
        "fetches",
    ];
    let mut text = "One worker. All ask before the registry answers the first; meanwhile a probe asks for \
         `/metahub/v1/health` every 10 ms. The clients, the registry and Envoy share the machine's cores. 429 is for \
         explanations beyond the \
         bound of those under way, 503 for answers beyond what a worker holds; both say when to come back. Envoy takes \
         all requests that have arrived before it looks who else is there: the first two rows show what that makes a \
         probe wait without MetaHub, and the limit while they ask is 250 ms or 1.5 times that.\n\n"
        .to_owned();
    text += &report::head(&columns);
    let (mut holds, mut floor) = (true, LIMIT);
    for case in cases() {
        let by = case.by;
        let measured = case.measure()?;
        if by != By::MetaHub {
            floor = floor.max(measured.waited[1].max(measured.waited[0]).mul_f64(FACTOR));
        }
        let (cells, case_holds) = measured.judged(by, floor);
        eprintln!("{}", cells.join(" | "));
        text += &report::line(&cells);
        holds &= case_holds;
    }
    Ok(Section { name: "herd", text, holds, plot: None })
}

fn cases() -> Vec<Case> {
    let bench = Bench::build();
    let small = || bench.list.bytes.clone();
    let all =
        |method: &'static str, path: &str| -> Vec<Request> { (0..CLIENTS).map(|_| request(method, path)).collect() };
    let tag = "/v2/herd/image/manifests/latest";
    let digest = format!("/v2/herd/image/manifests/{}", bench.images[0].manifest.digest());
    let missing = format!("/v2/herd/image/manifests/sha256:{}", "0".repeat(64));
    let each = |number: usize| request("GET", &format!("/v2/herd/large{number}/manifests/latest"));
    vec![
        Case {
            name: "5,000 files from Envoy without a filter",
            requests: all("GET", "/file"),
            index: small(),
            answers: &[200],
            by: By::Bare,
        },
        Case {
            name: "5,000 pings to a filter that only answers",
            requests: all("GET", "/v2/"),
            index: small(),
            answers: &[200],
            by: By::Floor,
        },
        Case {
            name: "5,000 pulls of a tag",
            requests: all("GET", tag),
            index: small(),
            answers: &[200],
            by: By::MetaHub,
        },
        Case {
            name: "5,000 HEADs of a tag",
            requests: all("HEAD", tag),
            index: small(),
            answers: &[200],
            by: By::MetaHub,
        },
        Case {
            name: "5,000 pulls of a digest",
            requests: all("GET", &digest),
            index: small(),
            answers: &[200],
            by: By::MetaHub,
        },
        Case {
            name: "5,000 pulls of a missing digest",
            requests: all("GET", &missing),
            index: small(),
            answers: &[404],
            by: By::MetaHub,
        },
        Case {
            name: "5,000 explanations",
            requests: all("GET", "/metahub/v1/explain?image=herd/image:latest"),
            index: small(),
            answers: &[200, 429],
            by: By::MetaHub,
        },
        Case {
            name: "250 pulls of an index of 2.8 MB",
            requests: (0..250).map(|_| request("GET", tag)).collect(),
            index: large(2_800_000),
            answers: &[200],
            by: By::MetaHub,
        },
        Case {
            name: "50 pulls of 50 indexes of 4 MiB",
            requests: (0..50).map(each).collect(),
            index: large(4_090_000),
            answers: &[200, 503],
            by: By::MetaHub,
        },
    ]
}

fn request(method: &'static str, path: &str) -> Request {
    Request::new(method, path).header("host", "registry.test").login(LOGIN.0, LOGIN.1)
}

/// An index with the demo's entries, filled up with others to about this many bytes.
fn large(bytes: usize) -> Vec<u8> {
    let list = String::from_utf8(Bench::build().list.bytes).unwrap_or_default();
    let (start, end) = list.split_once("\"manifests\":[").expect("an index");
    let mut text = format!("{start}\"manifests\":[");
    let filler = "f".repeat((bytes / ENTRIES).saturating_sub(250));
    for number in 0..ENTRIES {
        let _ = write!(
            text,
            "{{\"annotations\":{{\"mark\":\"{filler}\"}},\"digest\":\"sha256:{number:064x}\",\
             \"mediaType\":\"{DOCKER_MANIFEST}\",\
             \"platform\":{{\"architecture\":\"s390x\",\"os\":\"linux\"}},\"size\":500}},"
        );
    }
    (text + end).into_bytes()
}

impl Case {
    fn measure(self) -> Result<Measured> {
        let Self { name, requests, index, answers, by } = self;
        let at_once = answers.contains(&429);
        let gate = Gate::default();
        let upstream = upstream(index, gate.clone())?;
        let setup = Setup { authentication: Authentication::None, ..Setup::new(Cache::Shipped) };
        let cores = Cores::choose()?;
        let (metahub, probed) = match by {
            By::MetaHub => (Subject::anywhere(upstream.port(), setup)?, "/metahub/v1/health"),
            By::Bare => (Subject::sending(&metahub_testkit::root().join("LICENSE-MIT"), &cores)?, "/file"),
            By::Floor => (Subject::floor(upstream.port(), &Floor::Ping, &cores)?, "/v2/"),
        };
        let taken = || metahub.envoy.stat("http.clients.downstream_rq_total", "").unwrap_or_default();
        let mut herd = Herd::connect(metahub.port(), &requests)?;
        let all = taken() + requests.len() as u64;
        let (stop, longest) = (AtomicBool::new(false), AtomicU64::new(0));
        let (outcomes, waited, took) = std::thread::scope(|scope| -> Result<_> {
            let probe = scope.spawn(|| probe(metahub.port(), probed, &stop, &longest));
            herd.ask();
            wait_for("all requests", PATIENCE, || (taken() >= all).then_some(()))?;
            let arriving = Duration::from_micros(longest.swap(0, Ordering::Relaxed));
            let opened = Instant::now();
            gate.open();
            let outcomes = herd.answers(PATIENCE);
            stop.store(true, Ordering::Relaxed);
            let took = opened.elapsed();
            probe.join().expect("the probe")?;
            let answered = Duration::from_micros(longest.load(Ordering::Relaxed));
            Ok((outcomes?, [arriving, answered], took))
        })?;
        let right =
            outcomes.iter().all(|outcome| outcome.answer.as_ref().is_ok_and(|answer| answers.contains(&answer.status)));
        let fetches = upstream.received("/v2/").len();
        Ok(Measured { name, counted: count(&outcomes), right, took, waited, at_once, fetches })
    }
}

/// The measurements of a herd.
struct Measured {
    name: &'static str,
    counted: String,
    right: bool,
    took: Duration,
    /// The longest that a probe waited while the herd asked, and while it was answered.
    waited: [Duration; 2],
    /// Most were answered when they asked.
    at_once: bool,
    fetches: usize,
}

impl Measured {
    /// The row, and whether its limits hold; `floor` is the limit for what happens while requests arrive.
    fn judged(self, by: By, floor: Duration) -> ([String; 8], bool) {
        let limits =
            if by == By::MetaHub { [Some(floor), Some(if self.at_once { floor } else { LIMIT })] } else { [None; 2] };
        let holds = |number: usize| limits[number].is_none_or(|limit| self.waited[number] <= limit);
        let waited = |number: usize| report::marked(&self.waited[number].as_millis().to_string(), holds(number));
        let limit =
            |number: usize| limits[number].map_or_else(|| "–".to_owned(), |limit| limit.as_millis().to_string());
        let cells = [
            self.name.to_owned(),
            report::marked(&self.counted, self.right),
            self.took.as_millis().to_string(),
            waited(0),
            limit(0),
            waited(1),
            limit(1),
            self.fetches.to_string(),
        ];
        (cells, self.right && holds(0) && holds(1))
    }
}

/// A registry that keeps its answers until the gate is opened.
fn upstream(index: Vec<u8>, gate: Gate) -> Result<Server> {
    let bench = Bench::build();
    let tag = Answer::stored(&Document::new(DOCKER_LIST, index));
    // Made once: to hash them for each client would take longer than all else.
    let images = bench.images.iter().map(|image| (image.manifest.digest(), Answer::stored(&image.manifest)));
    let images: Vec<(String, Answer)> = images.collect();
    Server::start(move |request: &Received| {
        let reference = request.reference();
        let image = images.iter().find(|(digest, _)| digest == reference).map(|(_, answer)| answer.clone());
        let answer =
            image.unwrap_or_else(|| if reference.contains(':') { Answer::new(404).body("{}") } else { tag.clone() });
        vec![Act::Wait(gate.clone()), Act::Send(answer.bytes())]
    })
}

/// Asks on a connection of its own whether the filter is there; notes what one answer took at most, in microseconds.
fn probe(port: u16, path: &str, stop: &AtomicBool, longest: &AtomicU64) -> Result<()> {
    let mut connection = Connection::open(port)?;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        connection.send(&Request::get(path))?;
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        longest.fetch_max(took, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(10)); // the probe's pace, nothing is waited for
    }
    Ok(())
}

/// The answers by status.
fn count(outcomes: &[Outcome]) -> String {
    let mut counted = std::collections::BTreeMap::<String, usize>::new();
    for outcome in outcomes {
        let status = outcome.answer.as_ref().map_or_else(|_| "none".to_owned(), |answer| answer.status.to_string());
        *counted.entry(status).or_default() += 1;
    }
    counted.into_iter().map(|(status, count)| format!("`{status}` × {count}")).collect::<Vec<_>>().join(", ")
}
