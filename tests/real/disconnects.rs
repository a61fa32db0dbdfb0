//! Clients that go away while MetaHub works for them, in each phase: no memory of theirs stays, and others are served.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::observe::assert_unharmed;
use metahub_testkit::bench::Bench;
use metahub_testkit::http::Request;
use metahub_testkit::http::herd::{Herd, allow_files};
use metahub_testkit::server::{Act, Answer, Gate, Received};
use metahub_testkit::stage::{self, stage};
use metahub_testkit::{Failure, Result, wait_for};

/// This many go away at once, in each phase and each round.
const CLIENTS: usize = 200;
/// The first rounds reserve memory that later ones use again.
const ROUNDS: usize = 6;
/// How soon their memory and requests must be gone.
const SOON: Duration = Duration::from_secs(20);
/// The growth of memory that is allowed between the second round and the last, in KiB: far less than 4 × 1800 requests
/// would leave if each left a body.
const GROWTH: u64 = 24 * 1024;

/// The point where upstream stands still when the clients go away, and the clients' request.
struct Phase {
    name: &'static str,
    host: &'static str,
    path: &'static str,
    login: &'static str,
    /// The request that upstream holds back: a part of its path, and the part of the answer that is sent first.
    held: (&'static str, &'static str, Sent),
}

/// The part of the answer that upstream sends before it stands still.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    HalfTheBody,
}

const fn phase(
    name: &'static str,
    path: &'static str,
    host: &'static str,
    held: (&'static str, &'static str, Sent),
) -> Phase {
    Phase { name, host, path, login: "a-type1", held }
}

const PHASES: [Phase; 9] = [
    phase("tag", "/v2/REPOSITORY/manifests/latest", "registry.test", ("GET", "/latest", Sent::Nothing)),
    phase("half-a-tag", "/v2/REPOSITORY/manifests/latest", "registry.test", ("GET", "/latest", Sent::HalfTheBody)),
    phase("head", "/v2/REPOSITORY/manifests/latest", "registry.test", ("HEAD", "/latest", Sent::Nothing)),
    phase("child", "/v2/REPOSITORY/manifests/latest", "registry.test", ("GET", "/sha256:", Sent::Nothing)),
    phase("digest", "/v2/REPOSITORY/manifests/CHILD", "registry.test", ("GET", "/sha256:", Sent::Nothing)),
    phase("token", "/v2/REPOSITORY/manifests/latest", "tokened.test", ("GET", "/token", Sent::Nothing)),
    Phase {
        login: "alice",
        ..phase("verify", "/v2/REPOSITORY/manifests/latest", "checked.test", ("GET", "/v2/", Sent::Nothing))
    },
    phase("blob", "/v2/REPOSITORY/blobs/CHILD", "registry.test", ("GET", "/blobs/", Sent::HalfTheBody)),
    phase("explain", "/metahub/v1/explain?image=REPOSITORY:latest", "registry.test", ("GET", "/latest", Sent::Nothing)),
];

/// The request that upstream holds back now, and the gate that it waits for.
type Hold = Arc<Mutex<Option<((&'static str, &'static str, Sent), Gate)>>>;

struct Stage {
    base: stage::Stage,
    hold: Hold,
}

stands_on_base!(Stage);

impl Stage {
    fn set() -> Self {
        allow_files(4 * CLIENTS + 2000).unwrap();
        let (hold, bench) = (Hold::default(), Bench::build());
        let theirs = Arc::clone(&hold);
        let tokens = json!({ "cluster": "tokens", "realm": "http://tokens.test/token", "service": "s" });
        let configuration = json!({
            "machine_types": { "type1": { "features": ["cpu:broadwell"] } },
            "registries": {
                "registry": { "authentication": "none" },
                "checked": { "authentication": "upstream" },
                "tokened": { "authentication": "none", "token_service": tokens },
            },
        });
        let stage = stage().server(move |request| acts(request, &bench, &theirs)).cluster("tokens");
        Self { base: stage.configuration(configuration).start().unwrap(), hold }
    }

    fn pull(&self, host: &str, repository: &str) -> Result<()> {
        let request = Request::get(&format!("/v2/{repository}/manifests/latest"));
        let answer = self.envoy.send(&request.header("host", host).login("a-type1", "pw"))?;
        let image = &self.bench.image(&["cpu:broadwell"]).manifest.bytes;
        let right = answer.status == 200 && answer.body == *image;
        if right { Ok(()) } else { Err(Failure::new(format!("{repository}: {} {}", answer.status, answer.text()))) }
    }

    /// Requests under way: of clients, and to all clusters.
    fn active(&self) -> (u64, u64) {
        let stat = |prefix, suffix| self.envoy.stat(prefix, suffix).unwrap_or(u64::MAX);
        (stat("http.clients.", ".downstream_rq_active"), stat("cluster.", ".upstream_rq_active"))
    }

    /// All ask, upstream stands still, and all go away; then it goes on.
    fn leave(&self, phase: &Phase, round: usize) {
        let repository = format!("{}/r{round}", phase.name);
        if phase.name == "head" {
            self.pull(phase.host, &repository).unwrap();
        }
        let gate = Gate::default();
        *self.hold.lock().unwrap() = Some((phase.held, gate.clone()));
        let child = self.bench.digest(&["cpu:broadwell"]);
        let path = phase.path.replace("REPOSITORY", &repository).replace("CHILD", &child);
        let request = || Request::get(&path).header("host", phase.host).login(phase.login, "pw");
        let requests: Vec<Request> = (0..CLIENTS).map(|_| request()).collect();
        let before = self.envoy.stat("http.clients.downstream_rq_total", "").unwrap();
        let mut herd = Herd::connect(self.envoy.port(), &requests).unwrap();
        herd.ask();
        wait_for(phase.name, SOON, || {
            let came = self.envoy.stat("http.clients.downstream_rq_total", "").ok()? - before;
            (came >= CLIENTS as u64).then_some(())
        })
        .unwrap();
        gate.reached();
        drop(herd);
        let gone =
            wait_for(&format!("the clients of {repository} to be gone"), SOON, || (self.active().0 == 0).then_some(()));
        gate.open();
        *self.hold.lock().unwrap() = None;
        gone.unwrap();
        wait_for(&format!("the requests of {repository} to end"), SOON, || (self.active() == (0, 0)).then_some(()))
            .unwrap_or_else(|failure| panic!("{failure}: {:?} are active", self.active()));
        // The same, and something new.
        self.pull(phase.host, &repository).unwrap_or_else(|failure| panic!("after {}: {failure}", phase.name));
        self.pull(phase.host, &format!("new/{}{round}", phase.name)).unwrap();
    }
}

fn acts(request: &Received, bench: &Bench, hold: &Hold) -> Vec<Act> {
    let held = hold.lock().unwrap().clone();
    let bytes = answer(request, bench);
    let Some(((method, part, sent), gate)) = held else { return vec![Act::Send(bytes)] };
    if request.method != method || !request.path.contains(part) || (part == "/v2/" && request.path != part) {
        return vec![Act::Send(bytes)];
    }
    match sent {
        Sent::Nothing => vec![Act::Wait(gate), Act::Send(bytes)],
        Sent::HalfTheBody => {
            let half = bytes.len() - 500;
            vec![Act::Send(bytes[..half].to_vec()), Act::Wait(gate), Act::Send(bytes[half..].to_vec())]
        }
    }
}

fn answer(request: &Received, bench: &Bench) -> Vec<u8> {
    let path = request.path.split('?').next().unwrap_or_default();
    let image = bench.images.iter().find(|image| image.manifest.digest() == request.reference());
    let answer = match (path, image) {
        ("/v2/", _) => Answer::document("application/json", "{}"),
        ("/token", _) => Answer::document("application/json", r#"{"token":"t0ken","expires_in":1}"#),
        _ if path.contains("/blobs/") => Answer::document("application/octet-stream", vec![b'b'; 200_000]),
        (_, Some(image)) => Answer::stored(&image.manifest),
        _ => Answer::stored(&bench.list),
    };
    answer.bytes_to(request)
}

#[test]
fn clients_that_go_away_leave_nothing() {
    let stage = Stage::set();
    let mut memory = Vec::new();
    for round in 0..ROUNDS {
        for phase in &PHASES {
            stage.leave(phase, round);
        }
        memory.push(stage.envoy.resident().unwrap() / 1024);
    }
    eprintln!("memory after each round of {}: {memory:?} KiB", CLIENTS * PHASES.len());
    assert_unharmed(&stage.envoy);
    assert!(!stage.server().received("/blobs/").is_empty(), "blobs were not asked for");
    let grown = memory[ROUNDS - 1].saturating_sub(memory[1]);
    assert!(grown <= GROWTH, "memory grew by {grown} KiB: {memory:?}");
}
