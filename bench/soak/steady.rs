//! Clients that pull all the time from a registry that works: they are served in every phase.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::stage::{CHANGING, MACHINES, STEADY, Stage, as_machine, manifest};
use metahub_testkit::bench::Bench;
use metahub_testkit::http::Request;
use metahub_testkit::http::connection::Connection;

/// Between two requests of one client.
const PACE: Duration = Duration::from_millis(25);
/// At most this many problems are reported.
const TOLD: usize = 10;

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    pulls: AtomicU64,
    longest_in_ms: AtomicU64,
}

/// The clients' threads.
pub(crate) struct Steady {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Steady {
    /// One that keeps its connection and one that opens another for each request.
    pub(crate) fn start(stage: &Stage) -> Self {
        let shared = Arc::new(Shared::default());
        let threads = [true, false].map(|keeps| {
            let (shared, bench, port) = (Arc::clone(&shared), Bench::build(), stage.envoy.port());
            std::thread::spawn(move || shared.run(&bench, port, keeps))
        });
        Self { shared, threads: threads.into() }
    }

    /// How many pulls were right so far.
    pub(crate) fn pulls(&self) -> u64 {
        self.shared.pulls.load(Ordering::Relaxed)
    }

    /// The longest time that an answer took since the last call.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_millis(self.shared.longest_in_ms.swap(0, Ordering::Relaxed))
    }

    /// Ends the clients and returns their problems.
    pub(crate) fn stop(self) -> Vec<String> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("a client does not panic")).collect()
    }
}

impl Shared {
    fn run(&self, bench: &Bench, port: u16, keeps: bool) -> Vec<String> {
        let (mut problems, mut kept, mut count) = (Vec::new(), None, 0);
        while !self.stop.load(Ordering::Relaxed) && problems.len() < TOLD {
            count += 1;
            let machine = count % MACHINES.len();
            if machine == CHANGING {
                continue;
            }
            let began = Instant::now();
            if let Err(problem) = pull(bench, port, machine, keeps, &mut kept) {
                eprintln!("steady client: {problem}");
                problems.push(format!("steady client, keeps its connection: {keeps}: {problem}"));
                kept = None;
            } else {
                self.pulls.fetch_add(1, Ordering::Relaxed);
            }
            let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.longest_in_ms.fetch_max(took, Ordering::Relaxed);
            std::thread::sleep(PACE); // the client's pace, nothing is waited for
        }
        problems
    }
}

fn pull(
    bench: &Bench,
    port: u16,
    machine: usize,
    keeps: bool,
    kept: &mut Option<Connection>,
) -> std::result::Result<(), String> {
    let request = as_machine(Request::get(&manifest("latest")).header("host", STEADY), machine);
    let answer = if keeps {
        let connection = match kept.take() {
            Some(connection) => kept.insert(connection),
            None => kept.insert(Connection::open(port).map_err(|failure| failure.to_string())?),
        };
        connection.send(&request)
    } else {
        request.send(port)
    };
    let answer = answer.map_err(|failure| failure.to_string())?;
    if answer.status == 200 && answer.body == bench.image(MACHINES[machine].1).manifest.bytes {
        return Ok(());
    }
    Err(format!("{}: {} {:.300}", MACHINES[machine].0, answer.status, answer.text()))
}
