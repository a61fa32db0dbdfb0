//! Many clients at once: that ask, that do not read, that go away.

use std::net::TcpStream;
use std::time::Duration;

use crate::stage::{FAULTY, Stage, as_machine, manifest, unexpected};
use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::http::herd::{Herd, Outcome};
use metahub_testkit::http::unread::{WIDE_OPEN, send_unread_http2};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::{Failure, Result, wait_for};

/// So many ask for one thing.
const HERD: usize = 1_000;
/// So many do not read what they asked for.
const STALLED: usize = 200;
/// All streams of one HTTP/2 connection.
const STREAMS: usize = 128;
/// So many go away in each round.
const LEAVING: usize = 300;
const PATIENCE: Duration = Duration::from_secs(60);

/// A new tag, a known one, a digest that is not there, an explanation.
pub(crate) fn herds(round: usize, stage: &Stage) -> Result<()> {
    let tag = format!("herd{round}");
    stage.registry().push_manifest(REPOSITORY, &tag, &stage.bench.list)?;
    let machine = round % 3;
    let missing = format!("sha256:{round:064}");
    let image = |answer: &Response| stage.is_right(machine, answer);
    herd("new tag", machine, &manifest(&tag), stage, image)?;
    herd("known tag", machine, &manifest("latest"), stage, image)?;
    herd("missing digest", machine, &manifest(&missing), stage, |answer| status(answer, &[404]))?;
    // Explanations under way are bounded.
    let explain = format!("/metahub/v1/explain?image={REPOSITORY}:{tag}");
    herd("explain", machine, &explain, stage, |answer| status(answer, &[200, 429]))
}

fn herd(what: &str, machine: usize, path: &str, stage: &Stage, right: impl Fn(&Response) -> Result<()>) -> Result<()> {
    let requests: Vec<Request> = (0..HERD).map(|_| as_machine(Request::get(path), machine)).collect();
    let outcomes = Herd::run(stage.envoy.port(), &requests, PATIENCE)?;
    let check = |outcome: &Outcome| match &outcome.answer {
        Ok(answer) => right(answer),
        Err(problem) => Err(Failure::new(problem.clone())),
    };
    let failures: Vec<Failure> = outcomes.iter().filter_map(|outcome| check(outcome).err()).collect();
    match failures.first() {
        None => Ok(()),
        Some(first) => Err(Failure::new(format!("{what}: {} of {HERD} clients, such as {first}", failures.len()))),
    }
}

fn status(answer: &Response, allowed: &[u16]) -> Result<()> {
    if allowed.contains(&answer.status) { Ok(()) } else { Err(unexpected("status", answer)) }
}

/// Clients that do not read: others are served meanwhile, known tags and new ones.
pub(crate) fn slow_readers(round: usize, stage: &Stage) -> Result<()> {
    let port = stage.envoy.port();
    let blob = || as_machine(Request::get(&blob("blob", round)).header("host", FAULTY), 0);
    let path = format!("/v2/large/r{round}/manifests/latest");
    let document = || as_machine(Request::get(&path).header("host", FAULTY), 0);
    let mut stalled: Vec<TcpStream> = Vec::new();
    for _ in 0..STALLED {
        stalled.push(blob().send_unread(port)?);
        stalled.push(document().send_unread(port)?);
    }
    for window in [WIDE_OPEN, 0] {
        let streams: Vec<Request> = (0..STREAMS).map(|_| blob()).collect();
        stalled.push(send_unread_http2(&streams, window, port)?);
    }
    // The blobs. A manifest may fit into the kernel's buffers, and then its request is over.
    let all = (STALLED + 2 * STREAMS) as u64;
    let stand_still = wait_for("clients that do not read", PATIENCE, || {
        (stage.under_way().is_ok_and(|(clients, _)| clients >= all)).then_some(())
    });
    let now = || Failure::new(format!("{:?} of {all} requests are under way", stage.under_way()));
    stand_still.map_err(|_| now())?;
    let tag = format!("slow{round}");
    stage.registry().push_manifest(REPOSITORY, &tag, &stage.bench.list)?;
    for machine in 0..3 {
        stage.pull(machine, "latest")?;
        stage.pull(machine, &tag)?;
    }
    drop(stalled);
    Ok(())
}

/// The path of a blob, which the misbehaving registry has under any digest.
fn blob(fault: &str, round: usize) -> String {
    format!("/v2/{fault}/r{round}/blobs/sha256:{round:064}")
}

/// Clients that go away while upstream holds their answers back: before them, and in the middle of them.
pub(crate) fn disconnects(round: usize, stage: &Stage) -> Result<()> {
    for phase in ["held", "half", "heldchild"] {
        let request = |number: usize| {
            let path = match number % 3 {
                0 => blob(phase, round),
                // Some wait for one answer, others for their own.
                1 => format!("/v2/{phase}/r{round}/manifests/latest"),
                _ => format!("/v2/{phase}/r{round}n{number}/manifests/latest"),
            };
            as_machine(Request::get(&path).header("host", FAULTY), number % 3)
        };
        let requests: Vec<Request> = (0..LEAVING / 3).map(request).collect();
        let before = stage.envoy.stat("http.clients.downstream_rq_total", "")?;
        let mut herd = Herd::connect(stage.envoy.port(), &requests)?;
        herd.ask();
        wait_for("the clients' requests", PATIENCE, || {
            let now = stage.envoy.stat("http.clients.downstream_rq_total", "").ok()?;
            (now - before >= requests.len() as u64).then_some(())
        })?;
        drop(herd);
    }
    Ok(())
}
