//! Clients of the registry that misbehaves, and of the one that ends.

use std::time::{Duration, Instant};

use crate::stage::{FAULTY, Stage, as_machine, unexpected};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::{Failure, Result, wait_for};

/// How soon after its start a registry is used again.
const RECOVERY: Duration = Duration::from_secs(20);

/// Each fault's name, which is the first part of its repositories' names, and the statuses that clients may see.
const FAULTS: [(&str, &[u16]); 20] = [
    ("sound", &[200]),
    ("status302", &[502]),
    ("status403", &[403]),
    ("status404", &[404]),
    ("status418", &[418]),
    ("status429", &[429]),
    ("status500", &[503]),
    ("status503", &[503]),
    ("close", &[503]),
    ("reset", &[503]),
    ("truncated", &[503]),
    ("truncatedchild", &[503]),
    ("held", &[200]),
    ("drip", &[200]),
    ("oversized", &[502]),
    ("garbage", &[502]),
    ("gzip", &[502]),
    ("lyingtype", &[200]),
    ("lyingdigest", &[200, 502]),
    ("wrongchild", &[502]),
];

/// Meets all faults twice each at the same time; what is known of a repository must not make the second one wrong.
pub(crate) fn meet(round: usize, stage: &Stage) -> Result<()> {
    let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = FAULTS
            .iter()
            .map(|(fault, statuses)| {
                scope.spawn(move || {
                    meet_one(round, stage, fault, statuses)?;
                    meet_one(round, stage, fault, statuses)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    let failures: Vec<String> =
        outcomes.into_iter().filter_map(Result::err).map(|failure| failure.to_string()).collect();
    if failures.is_empty() { Ok(()) } else { Err(Failure::new(failures.join("; "))) }
}

fn meet_one(round: usize, stage: &Stage, fault: &str, statuses: &[u16]) -> Result<()> {
    let path = format!("/v2/{fault}/r{round}/manifests/latest");
    let machine = round % 3;
    let answer = as_machine(Request::get(&path).header("host", FAULTY), machine).send(stage.envoy.port())?;
    if !statuses.contains(&answer.status) {
        return Err(unexpected(&format!("{fault}, which may be {statuses:?}"), &answer));
    }
    if answer.status == 200 { stage.is_right(machine, &answer) } else { is_registry_error(fault, &answer) }
}

fn is_registry_error(fault: &str, answer: &Response) -> Result<()> {
    let code = answer.json()["errors"][0]["code"].is_string();
    if code || answer.status == 418 { Ok(()) } else { Err(unexpected(&format!("{fault}: no registry error"), answer)) }
}

/// The registry ends: what is known is not served without its word. It starts again: so are pulls.
pub(crate) fn outage(round: usize, stage: &mut Stage) -> Result<()> {
    let machine = round % 3;
    stage.pull(machine, "latest")?;
    stage.registry_mut().stop();
    let answer = stage.envoy.send(&as_machine(Request::get(&crate::stage::manifest("latest")), machine))?;
    if answer.status != 503 {
        return Err(unexpected("without its registry", &answer));
    }
    stage.registry_mut().start_again()?;
    let began = Instant::now();
    wait_for("a pull after the outage", RECOVERY, || stage.pull(machine, "latest").ok())?;
    eprintln!("the first pull {:?} after the registry's start", began.elapsed());
    Ok(())
}
