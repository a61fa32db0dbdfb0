//! Clients that make up machines, as many as they can send: nobody else's tag becomes slow or wrong, what is known is
//! never refused, and memory is flat.
//!
//! One worker, so that all of them meet. Each client has an address of its own in 127.0.0.0/8.

use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::observe::{assert_unharmed, fault_lines};
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::Envoy;
use metahub_testkit::http::Request;
use metahub_testkit::http::connection::Connection;
use metahub_testkit::plateau::{Growth, growth};
use metahub_testkit::server::{Act, Answer, Received, Server};
use metahub_testkit::stage::{self, stage};

/// The addresses of the clients that flood, and the connections of each, with a request under way on each.
const FLOODERS: u8 = 8;
const CONNECTIONS: u8 = 4;
/// How many requests they send a second, all together, if the machine can.
const PACE: u64 = 10_000;
/// The time of one flood; the one of made-up machines takes longer than a window of the budget.
const ORDINARY: Duration = Duration::from_secs(2);
const MADE_UP: Duration = Duration::from_secs(11);
/// The interval between the others' requests, and that between samples of memory.
const INTERVAL: Duration = Duration::from_millis(10);
const SAMPLE: Duration = Duration::from_millis(400);
/// The new descriptions of one address that are let in within a window.
const BUDGET: u64 = 128;
/// The windows that a flood of this length touches.
const WINDOWS: u64 = 3;
/// How much slower others may be than while the same number of ordinary requests comes. Less than 1 was measured,
/// because a refusal is cheap.
const SLOWER: u32 = 5;
/// The growth of memory that is allowed in the last third, in bytes. Millions would be more if each made-up machine
/// left 300 bytes.
const GROWTH: u64 = 4 * 1024 * 1024;

/// A machine that every client may know, and one that the configuration names.
const KNOWN: &str = "cpu=skylake,site=known";
const NAMED: &str = "type1";

/// Envoy before a registry that has every repository.
struct Stage {
    base: stage::Stage,
    _server: Server,
}

stands_on_base!(Stage);

fn start() -> Stage {
    let bench = Bench::build();
    let serve = move |request: &Received| -> Vec<Act> {
        let mut documents = bench.images.iter().map(|image| &image.manifest);
        let document = documents.find(|document| document.digest() == request.reference()).unwrap_or(&bench.list);
        Answer::stored(document).to(request)
    };
    let describe = |config: &mut Value| {
        config.add("described_machine_types", true);
        config.add("machine_type_from", json!({ "header": true }));
        config.set("registries.registry.authentication", "none");
    };
    let server = Server::forgetful(serve).unwrap();
    let base = stage().port(server.port()).concurrency(1).config(describe).start().unwrap();
    Stage { base, _server: server }
}

fn client(envoy: &Envoy, address: [u8; 4]) -> Connection {
    Connection::open_from(Ipv4Addr::from(address), envoy.port()).unwrap()
}

/// HEAD of the tag as this machine.
fn tag(machine: &str) -> Request {
    let request = Request::head(&format!("/v2/{REPOSITORY}/manifests/latest")).login("pod", "secret");
    request.header("x-metahub-machine-type", machine)
}

/// The machine's image, or the answer's status.
fn image(connection: &mut Connection, machine: &str) -> Result<String, u16> {
    let answer = connection.send(&tag(machine)).unwrap();
    let digest = answer.header("docker-content-digest").map(str::to_owned);
    digest.filter(|_| answer.status == 200).ok_or(answer.status)
}

/// What became of a flood.
#[derive(Default)]
struct Flood {
    let_in: AtomicU64,
    limited: AtomicU64,
    stop: AtomicBool,
}

impl Flood {
    /// Sends the machines that `machine` makes of numbers, from all addresses, at most [`PACE`] a second.
    fn run(&self, envoy: &Envoy, right: &str, machine: impl Fn(u64) -> String) {
        let open = |number| client(envoy, [127, 0, 1, number % FLOODERS]);
        let mut clients: Vec<_> = (0..FLOODERS * CONNECTIONS).map(open).collect();
        let (began, mut sent) = (Instant::now(), 0);
        while !self.stop.load(Ordering::Relaxed) {
            let begin = |(number, client): (u64, &mut Connection)| {
                let request = tag(&machine(number));
                client.begin(&request).unwrap();
                request
            };
            let requests: Vec<Request> = (sent..).zip(&mut clients).map(begin).collect();
            for (client, request) in clients.iter_mut().zip(requests) {
                self.finish(client, &request, right);
                sent += 1;
            }
            let due = began + Duration::from_micros(sent * 1_000_000 / PACE);
            sleep(due.saturating_duration_since(Instant::now())); // the flood's pace
        }
    }

    fn finish(&self, client: &mut Connection, request: &Request, right: &str) {
        let answer = client.finish(request).unwrap();
        match answer.status {
            200 => {
                assert_eq!(answer.header("docker-content-digest"), Some(right));
                self.let_in.fetch_add(1, Ordering::Relaxed);
            }
            429 => {
                assert!(answer.header("retry-after").is_some());
                self.limited.fetch_add(1, Ordering::Relaxed);
            }
            status => panic!("{status}"),
        }
    }
}

/// Others' requests while a flood lasts: how long each took, in order, and Envoy's memory from time to time.
struct Others {
    times: Vec<Duration>,
    memory: Vec<u64>,
}

impl Others {
    /// Another client, and one at an address that floods, ask as a known machine and as a named one.
    fn ask(stage: &Stage, lasting: Duration) -> Self {
        let mut clients = [client(&stage.envoy, [127, 0, 2, 1]), client(&stage.envoy, [127, 0, 1, 0])];
        let [skylake, broadwell] = ["cpu:skylake", "cpu:broadwell"].map(|cpu| stage.bench.digest(&[cpu]));
        let mut others = Self { times: Vec::new(), memory: Vec::new() };
        let (began, mut due) = (Instant::now(), Duration::ZERO);
        while began.elapsed() < lasting {
            for client in &mut clients {
                for (machine, right) in [(KNOWN, &skylake), (NAMED, &broadwell)] {
                    let asked = Instant::now();
                    assert_eq!(image(client, machine).as_ref(), Ok(right), "{machine}");
                    others.times.push(asked.elapsed());
                }
            }
            if began.elapsed() >= due {
                others.memory.push(stage.envoy.resident().unwrap());
                due += SAMPLE;
            }
            sleep(INTERVAL); // the others' pace
        }
        others.times.sort_unstable();
        others
    }

    fn median(&self) -> Duration {
        self.times[self.times.len() / 2]
    }
}

/// Others' requests while a flood of these machines comes.
fn beside(stage: &Stage, flood: &Flood, lasting: Duration, machine: impl Fn(u64) -> String + Send + Sync) -> Others {
    let right = stage.bench.digest(&["cpu:skylake"]);
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood.run(&stage.envoy, &right, machine));
        let others = catch_unwind(AssertUnwindSafe(|| Others::ask(stage, lasting)));
        flood.stop.store(true, Ordering::Relaxed);
        flooding.join().unwrap();
        others.unwrap_or_else(|problem| resume_unwind(problem))
    })
}

fn limited(stage: &Stage) -> u64 {
    stage.envoy.stat("wasmcustom.metahub_descriptions_limited", "").unwrap()
}

/// The same number of requests is the measure, because everybody is slower beside any.
#[test]
fn made_up_machines_harm_nobody_else() {
    let stage = start();
    let skylake = stage.bench.digest(&["cpu:skylake"]);
    let alone = Others::ask(&stage, Duration::from_secs(1)).median();

    let ordinary = Flood::default();
    let usual = beside(&stage, &ordinary, ORDINARY, |_| KNOWN.to_owned()).median();
    assert_eq!((ordinary.limited.into_inner(), limited(&stage)), (0, 0), "the known one was refused");

    let flood = Flood::default();
    let others = beside(&stage, &flood, MADE_UP, |number| format!("cpu=skylake,number={number}"));
    let (let_in, refused) = (flood.let_in.into_inner(), flood.limited.into_inner());
    let (median, longest) = (others.median(), others.times.last().copied().unwrap_or_default());
    let rate = |count: u64, time: Duration| count / time.as_secs();
    eprintln!(
        "{} ordinary requests a second, {} made-up machines a second, {let_in} of {} let in; \
         others took {alone:?} alone, {usual:?} beside ordinary ones, {median:?} and {longest:?} at most beside \
         made-up ones; memory {:?}",
        rate(ordinary.let_in.into_inner(), ORDINARY),
        rate(let_in + refused, MADE_UP),
        let_in + refused,
        others.memory
    );
    let addresses = u64::from(FLOODERS);
    let most = addresses * BUDGET * WINDOWS;
    assert!((addresses * BUDGET..=most).contains(&let_in), "{let_in} let in, not {most} at most");
    assert!(refused > let_in, "{refused} refused, {let_in} let in: too few to tell");
    assert_eq!(limited(&stage), refused);
    assert!(median <= usual.max(alone) * SLOWER, "others took {median:?} instead of {usual:?}");
    match growth(&others.memory) {
        Growth::By(bytes) => assert!(bytes <= GROWTH, "memory grew by {bytes} bytes: {:?}", others.memory),
        Growth::TooFew => panic!("too few samples: {:?}", others.memory),
    }
    // What was not sent before is let in elsewhere, and what was known is known.
    let mut elsewhere = client(&stage.envoy, [127, 0, 3, 1]);
    for machine in ["cpu=skylake,site=new", KNOWN] {
        assert_eq!(image(&mut elsewhere, machine).as_ref(), Ok(&skylake), "{machine}");
    }
    let lines: Vec<String> = fault_lines(&stage.envoy).into_iter().filter(|line| line.contains("429")).collect();
    assert_eq!(lines.len(), 1, "one line an hour: {lines:#?}");
    assert!(
        lines[0].contains("429 too many new descriptions of machines lately; try again later (127.0.1."),
        "{lines:#?}"
    );
    assert_unharmed(&stage.envoy);
}
