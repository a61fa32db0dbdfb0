//! Thousands of clients that wait for one answer in one worker, and large indexes for many at once: all are answered,
//! from one fetch, while others are served.
//!
//! Issue 11: 305 clients that waited for one answer overflowed the stack of the worker, and all its requests were cut.

mod large;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::observe::assert_unharmed;
use metahub_testkit::bench::Bench;
use metahub_testkit::http::connection::Connection;
use metahub_testkit::http::herd::{Herd, Outcome, allow_files};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::server::{Act, Answer, Gate, Received};
use metahub_testkit::stage::{self, stage};
use metahub_testkit::wait_for;

/// A fleet on one worker.
const CLIENTS: usize = 5000;
/// All have their answers within this, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest that others wait meanwhile. An idle machine keeps 250 ms; a busy one keeps this.
const OTHERS_WAIT: Duration = Duration::from_secs(5);
const REPOSITORY: &str = "herd/image";
const LOGIN: &str = "alice-type1";
const FEATURES: &[&str] = &["cpu:broadwell"];

/// A digest that does not exist, which takes the registry a while to say.
const SLOW: &str = "sha256:5555555555555555555555555555555555555555555555555555555555555555";
const SLOWLY: Duration = Duration::from_secs(10);

/// Herds one after the other: each takes all that the machine has.
static TURN: Mutex<()> = Mutex::new(());

/// One worker before a registry that keeps its answers until the gate is opened.
struct Stage {
    base: stage::Stage,
    gate: Gate,
}

stands_on_base!(Stage);

impl Stage {
    fn set(document: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Self {
        allow_files(4 * CLIENTS).unwrap();
        let gate = Gate::default();
        let (theirs, served) = (gate.clone(), Bench::build());
        let serve = move |request: &Received| {
            let answer = respond(request, &served, &document).bytes_to(request);
            if request.path.ends_with(SLOW) {
                return vec![Act::Pause(SLOWLY), Act::Send(answer)];
            }
            vec![Act::Wait(theirs.clone()), Act::Send(answer)]
        };
        let tokens = |cluster| json!({ "cluster": cluster, "realm": "http://tokens.test/token", "service": "s" });
        let configuration = json!({
            "machine_types": {
                "type1": { "features": ["cpu:broadwell"] },
                "type2": { "features": ["cpu:skylake"] },
            },
            "registries": {
                "registry": { "authentication": "none" },
                "checked": { "authentication": "upstream" },
                "tokened": { "authentication": "none", "token_service": tokens("tokens") },
                "lacking": { "authentication": "none", "token_service": tokens("nowhere") },
            },
        });
        let stage = stage().server(serve).concurrency(1).configuration(configuration).cluster("tokens");
        Self { base: stage.start().unwrap(), gate }
    }

    /// The image that a machine of `type1` pulls.
    fn image(&self) -> &[u8] {
        &self.bench.image(FEATURES).manifest.bytes
    }

    /// How many requests Envoy has taken from clients so far.
    fn taken(&self) -> u64 {
        self.envoy.stat("http.clients.downstream_rq_total", "").unwrap_or_default()
    }

    /// All ask at once; the gate opens when all wait. Meanwhile another client makes a simple request.
    fn herd(&self, what: &str, requests: &[Request], waits: bool) -> Vec<Outcome> {
        let mut herd = Herd::connect(self.envoy.port(), requests).unwrap();
        let taken = self.taken();
        let (stop, began) = (AtomicBool::new(false), Instant::now());
        let (outcomes, others) = std::thread::scope(|scope| {
            let others = scope.spawn(|| probe(self.envoy.port(), &stop));
            let came = if waits {
                herd.ask();
                let all = taken + requests.len() as u64;
                let came = wait_for("all requests", PATIENCE, || (self.taken() >= all).then_some(()));
                self.gate.open();
                came
            } else {
                self.at_once(&mut herd);
                Ok(())
            };
            let outcomes = came.and_then(|()| herd.answers(PATIENCE));
            stop.store(true, Ordering::Relaxed);
            (outcomes.unwrap(), others.join().unwrap())
        });
        eprintln!("{what}: {} clients, {:?} in all", requests.len(), began.elapsed());
        let last = outcomes.iter().map(|outcome| outcome.after).max().unwrap_or_default();
        eprintln!("{what}: the last answer after {last:?}; others waited {others:?} at most");
        assert_unharmed(&self.envoy);
        let longest = others.unwrap_or_else(|problem| panic!("{what}: others got {problem}"));
        assert!(longest <= OTHERS_WAIT, "{what}: others waited {longest:?}");
        outcomes
    }

    /// Where nothing holds the first comers' answer: Envoy stands still until all have asked.
    fn at_once(&self, herd: &mut Herd) {
        let process = Pid::from_raw(i32::try_from(self.envoy.id()).unwrap());
        kill(process, Signal::SIGSTOP).unwrap();
        herd.ask();
        kill(process, Signal::SIGCONT).unwrap();
    }

    /// The requests that upstream got, and how often.
    fn fetches(&self, part: &str) -> Vec<(String, usize)> {
        let mut counted: Vec<(String, usize)> = Vec::new();
        for Received { method, path, .. } in self.server().received(part) {
            let asked = format!("{method} {path}");
            match counted.iter_mut().find(|(other, _)| *other == asked) {
                Some((_, count)) => *count += 1,
                None => counted.push((asked, 1)),
            }
        }
        counted
    }

    /// Each document was fetched once, however many clients asked for it.
    fn assert_fetched_once(&self, part: &str, documents: usize) {
        let fetches = self.fetches(part);
        assert!(fetches.iter().all(|(_, count)| *count == 1), "fetched more than once: {fetches:?}");
        assert_eq!(fetches.len(), documents, "{fetches:?}");
    }

    /// The next pull, of the herd's image and of another one.
    fn assert_pulls(&self) {
        for repository in [REPOSITORY, "next/image"] {
            let request = Request::get(&format!("/v2/{repository}/manifests/latest")).login(LOGIN, "pw");
            let answer = self.envoy.send(&request).unwrap();
            assert_eq!(answer.status, 200, "{repository}: {}", answer.text());
            assert_eq!(answer.body, self.image(), "{repository}");
        }
        assert_unharmed(&self.envoy);
    }
}

fn respond(request: &Received, bench: &Bench, document: &dyn Fn(&str) -> Option<Answer>) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    let reference = request.reference();
    if path == "/v2/" {
        Answer::document("application/json", "{}")
    } else if path == "/token" {
        Answer::document("application/json", r#"{"token":"t0ken","expires_in":300}"#)
    } else if path.contains("/blobs/") {
        Answer::document("application/octet-stream", vec![b'b'; 3000])
    } else if reference == "latest" {
        document(path).unwrap_or_else(|| Answer::stored(&bench.list))
    } else if reference == bench.list.digest() {
        Answer::stored(&bench.list)
    } else if let Some(image) = bench.images.iter().find(|image| image.manifest.digest() == reference) {
        Answer::stored(&image.manifest)
    } else {
        let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
        Answer::new(404).header("content-type", "application/json").body(body)
    }
}

/// Asks on a connection of its own every 50 ms whether the filter is there; returns the longest time that an answer
/// took.
fn probe(port: u16, stop: &AtomicBool) -> Result<Duration, String> {
    let mut longest = Duration::ZERO;
    let mut connection = Connection::open(port).map_err(|error| error.to_string())?;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let answer = connection.send(&Request::get("/metahub/v1/health")).map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("{}: {}", answer.status, answer.text()));
        }
        longest = longest.max(began.elapsed());
        std::thread::sleep(Duration::from_millis(50)); // the probe's pace, nothing is waited for
    }
    Ok(longest)
}

/// Asserts that each client has got what `right` accepts; says how many did not, and shows one of them.
fn assert_all(what: &str, outcomes: &[Outcome], right: impl Fn(&Response) -> bool) {
    let wrong: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.answer.as_ref().is_ok_and(&right)).collect();
    let shown = wrong.first().map(|outcome| match &outcome.answer {
        Ok(answer) => format!("{}: {:.300}", answer.status, answer.text()),
        Err(problem) => problem.clone(),
    });
    assert!(wrong.is_empty(), "{what}: {} of {} clients got {shown:?}", wrong.len(), outcomes.len());
}

fn code(answer: &Response) -> String {
    answer.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

/// A kind of herd: the same request from every client.
fn requests(count: usize, method: &str, host: &str, path: &str, login: &str) -> Vec<Request> {
    (0..count).map(|_| Request::new(method, path).header("host", host).login(login, "pw")).collect()
}

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every client makes the same request; `right` tells the answer that every client must get.
fn assert_herd(
    what: &str,
    (method, host, path, login): (&str, &str, &str, &str),
    right: impl Fn(&Stage, &Response) -> bool,
) -> Stage {
    let stage = Stage::set(|_| None);
    let outcomes = stage.herd(what, &requests(CLIENTS, method, host, path, login), host != "lacking.test");
    assert_all(what, &outcomes, |answer| right(&stage, answer));
    stage
}

const TAG: &str = "/v2/herd/image/manifests/latest";

#[test]
fn a_tag() {
    let _turn = turn();
    let row = ("GET", "registry.test", TAG, LOGIN);
    let stage = assert_herd("a tag", row, |stage, answer| (answer.status, &*answer.body) == (200, stage.image()));
    stage.assert_fetched_once(REPOSITORY, 2);
    stage.assert_pulls();
}

#[test]
fn head_of_a_tag() {
    let _turn = turn();
    let row = ("HEAD", "registry.test", TAG, LOGIN);
    let stage = assert_herd("HEAD of a tag", row, |stage, answer| {
        let digest = stage.bench.digest(FEATURES);
        answer.status == 200 && answer.header("docker-content-digest") == Some(digest.as_str())
    });
    stage.assert_fetched_once(REPOSITORY, 2);
    stage.assert_pulls();
}

#[test]
fn a_digest() {
    let _turn = turn();
    let path = format!("/v2/{REPOSITORY}/manifests/{}", Bench::build().digest(FEATURES));
    let row = ("GET", "registry.test", path.as_str(), LOGIN);
    let stage = assert_herd("a digest", row, |stage, answer| (answer.status, &*answer.body) == (200, stage.image()));
    stage.assert_fetched_once(REPOSITORY, 1);
    stage.assert_pulls();
}

#[test]
fn a_digest_that_is_not_there() {
    let _turn = turn();
    let path = format!("/v2/{REPOSITORY}/manifests/sha256:{}", "0".repeat(64));
    let row = ("GET", "registry.test", path.as_str(), LOGIN);
    let right = |_: &Stage, answer: &Response| (answer.status, code(answer).as_str()) == (404, "MANIFEST_UNKNOWN");
    let stage = assert_herd("a digest that is not there", row, right);
    stage.assert_fetched_once(REPOSITORY, 1);
    stage.assert_pulls();
}

#[test]
fn a_token_and_then_a_tag() {
    let _turn = turn();
    let row = ("GET", "tokened.test", TAG, LOGIN);
    let right = |stage: &Stage, answer: &Response| (answer.status, &*answer.body) == (200, stage.image());
    let stage = assert_herd("a token and then a tag", row, right);
    stage.assert_fetched_once("/token", 1);
    stage.assert_fetched_once(&format!("/v2/{REPOSITORY}"), 2);
    stage.assert_pulls();
}

/// Blobs pass: all that is shared is the token.
#[test]
fn a_token_and_then_a_blob() {
    let _turn = turn();
    let path = format!("/v2/{REPOSITORY}/blobs/sha256:{}", "1".repeat(64));
    let row = ("GET", "tokened.test", path.as_str(), LOGIN);
    let right = |_: &Stage, answer: &Response| (answer.status, answer.body.len()) == (200, 3000);
    let stage = assert_herd("a token and then a blob", row, right);
    stage.assert_fetched_once("/token", 1);
    assert_eq!(stage.fetches("/blobs/").iter().map(|(_, count)| count).sum::<usize>(), CLIENTS);
    stage.assert_pulls();
}

/// A login without a machine type is refused, once the registry has said that the password is right.
#[test]
fn a_refusal_that_waits_for_the_registry() {
    let _turn = turn();
    let row = ("GET", "checked.test", TAG, "alice");
    let right = |_: &Stage, answer: &Response| (answer.status, code(answer).as_str()) == (403, "DENIED");
    let stage = assert_herd("a refusal that waits for the registry", row, right);
    assert_eq!(stage.fetches(""), [("GET /v2/".to_owned(), 1)]);
    stage.assert_pulls();
}

/// Explanations under way are bounded: the others are told to come back.
#[test]
fn explain() {
    let _turn = turn();
    let path = format!("/metahub/v1/explain?image={REPOSITORY}:latest");
    let row = ("GET", "registry.test", path.as_str(), LOGIN);
    let explained = Mutex::new((0, 0));
    let stage = assert_herd("explain", row, |stage, answer| match answer.status {
        200 => {
            explained.lock().unwrap().0 += 1;
            answer.json()["digest"] == stage.bench.list.digest()
        }
        429 => {
            explained.lock().unwrap().1 += 1;
            code(answer) == "TOOMANYREQUESTS"
        }
        _ => false,
    });
    let (explained, limited) = explained.into_inner().unwrap();
    eprintln!("explain: {explained} explained, {limited} told to come back");
    assert!(explained > 0 && limited > 0, "{explained} explained, {limited} refused: there is no bound");
    stage.assert_fetched_once(REPOSITORY, 1);
    stage.assert_pulls();
}

/// A worker that is late with its answers still writes them: Envoy closes a connection that the client wants closed
/// some time after the answer, whether that is written or not.
#[test]
fn a_worker_that_stands_still_loses_no_answer() {
    let _turn = turn();
    let stage = Stage::set(|_| None);
    let requests: Vec<Request> = (0..CLIENTS).map(|_| Request::get("/v2/")).collect();
    let mut herd = Herd::connect(stage.envoy.port(), &requests).unwrap();
    let process = Pid::from_raw(i32::try_from(stage.envoy.id()).unwrap());
    let taken = stage.taken();
    stage.at_once(&mut herd);
    // In the middle of all these requests.
    wait_for("the first requests", PATIENCE, || (stage.taken() > taken).then_some(())).unwrap();
    kill(process, Signal::SIGSTOP).unwrap();
    // Envoy's own time, of which it gives a client one second unless told.
    std::thread::sleep(Duration::from_millis(1500));
    kill(process, Signal::SIGCONT).unwrap();
    let outcomes = herd.answers(PATIENCE).unwrap();
    assert_all("a worker that stands still", &outcomes, |answer| answer.status == 401);
    stage.gate.open();
    stage.assert_pulls();
}

#[test]
fn a_cluster_that_envoy_lacks() {
    let _turn = turn();
    let row = ("GET", "lacking.test", TAG, LOGIN);
    let right = |_: &Stage, answer: &Response| (answer.status, code(answer).as_str()) == (503, "UNAVAILABLE");
    let stage = assert_herd("a cluster that Envoy lacks", row, right);
    assert_eq!(stage.fetches(""), []);
    stage.gate.open();
    stage.assert_pulls();
}
