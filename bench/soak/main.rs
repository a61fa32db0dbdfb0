//! Everything that clients, registries and operators do to MetaHub, in a loop: `make soak`, for ten minutes.
//!
//! A round has these phases, and after each of them Envoy must come to rest.
//!
//! | phase | what |
//! |---|---|
//! | `clients` | docker, containerd, podman, skopeo, curl and oci-client pull and run the right images |
//! | `herds` | thousands of clients want one thing: a new tag, a known one, a missing digest, an explanation |
//! | `slow readers` | clients that do not read their blobs and manifests, over HTTP/1 and HTTP/2 |
//! | `disconnects` | clients that go away while the registry is working for them |
//! | `hostile input` | requests that no decent client sends, and guessed passwords |
//! | `faults` | a registry that fails, lies, drips and breaks off |
//! | `outage` | the registry ends, and starts again |
//! | `reloads` | good, broken and huge configurations |
//!
//! Meanwhile two clients of another registry, which works, pull all the time. The program samples Envoy at the end of
//! each round and fails if something grows beyond a plateau, if a VM died, or if an answer was wrong. `MINUTES=3` takes
//! three minutes instead of ten, and `PHASES=slow` only the phases with that in their names.

mod clients;
mod crowds;
mod faults;
mod faulty_registry;
mod hostile;
mod reloads;
mod stage;
mod steady;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clients::Clients;
use metahub_testkit::{Failure, Result};
use stage::Stage;
use steady::Steady;
use watch::Watch;

/// How long, unless `MINUTES` says it.
const MINUTES: f64 = 10.0;

fn main() -> ExitCode {
    match soak() {
        Ok(problems) if problems.is_empty() => {
            println!("Nothing was wrong, nothing grew, no VM died.");
            ExitCode::SUCCESS
        }
        Ok(problems) => {
            eprintln!("{} problems:\n{}", problems.len(), problems.join("\n"));
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all of it, and says what was wrong.
fn soak() -> Result<Vec<String>> {
    let minutes = match std::env::var("MINUTES") {
        Ok(text) if !text.is_empty() => {
            text.parse().map_err(|_| Failure::new(format!("MINUTES={text} is not a number")))?
        }
        _ => MINUTES,
    };
    metahub_testkit::process::allow_open_files(20_000)?;
    let mut stage = Stage::set()?;
    let mut clients = Clients::start()?;
    let mut watch = Watch::begin();
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let steady = Steady::start(&stage);
    while Instant::now() < end {
        let failures = round(watch.rounds(), &mut stage, &mut clients);
        watch.sample(&stage, &steady, failures)?;
    }
    let mut problems = steady.stop();
    problems.extend(watch.finish(&stage));
    Ok(problems)
}

/// Tries all phases, also after one has failed; returns the problems.
fn round(number: usize, stage: &mut Stage, clients: &mut Clients) -> Vec<String> {
    type Phase = fn(usize, &mut Stage, &mut Clients) -> Result<()>;
    let phases: [(&str, Phase); 8] = [
        ("clients", |number, stage, clients| clients.pull(number, stage)),
        ("herds", |number, stage, _| crowds::herds(number, stage)),
        ("slow readers", |number, stage, _| crowds::slow_readers(number, stage)),
        ("disconnects", |number, stage, _| crowds::disconnects(number, stage)),
        ("hostile input", |number, stage, _| hostile::send(number, stage)),
        ("faults", |number, stage, _| faults::meet(number, stage)),
        ("outage", |number, stage, _| faults::outage(number, stage)),
        ("reloads", |number, stage, _| reloads::storm(number, stage)),
    ];
    let mut failures = Vec::new();
    let wanted = std::env::var("PHASES").unwrap_or_default();
    for (name, phase) in phases.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let began = Instant::now();
        let outcome = phase(number, stage, clients).and_then(|()| stage.rest());
        eprintln!("round {}, {name}: {:.1} s", number + 1, began.elapsed().as_secs_f64());
        if let Err(failure) = outcome {
            eprintln!("round {}, {name}: {failure}", number + 1);
            failures.push(format!("round {}, {name}: {failure}", number + 1));
        }
    }
    failures
}
