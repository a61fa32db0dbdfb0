//! Whole pulls by real clients: directly from the registry, and through MetaHub.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::report::{self, Section};
use crate::statistics::median;
use crate::subject::{Cache, LOGIN, Setup, Subject};
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client as _, Login};
use metahub_testkit::command::{is_installed, run};
use metahub_testkit::registry::Registry;
use metahub_testkit::{Failure, Result};

/// How much longer a pull through MetaHub may take.
const LIMIT: f64 = 1.08;

/// One client: pulls from an address and forgets it again; the time is that of the pull alone.
trait Puller {
    fn pull(&mut self, address: &str) -> Result<Duration>;
}

/// `skopeo copy` into a directory.
struct Copy {
    skopeo: Skopeo,
    /// The address that wants a login.
    metahub: String,
}

/// `docker pull`.
struct Pull(Docker);

/// The times of one client's pulls, and what they cost the registry.
struct Pulls {
    client: &'static str,
    direct: Vec<Duration>,
    through: Vec<Duration>,
    /// Requests for one pull: GET and HEAD.
    asked: [(f64, f64); 2],
}

/// Measures `pulls` pulls with each client.
pub(crate) fn measure(pulls: usize) -> Result<Section> {
    let registry = Registry::start()?;
    Bench::build().push(&registry)?;
    let metahub = Subject::anywhere(registry.port(), Setup::new(Cache::REVALIDATED))?;
    let address = format!("127.0.0.1:{}", metahub.port());
    let mut rows = Vec::new();
    let mut missing = Vec::new();
    if Skopeo::PROGRAMS.iter().all(|program| is_installed(program)) {
        let mut copy = Copy { skopeo: Skopeo::new()?, metahub: address.clone() };
        rows.push(alternate("skopeo copy", &mut copy, pulls, &registry, &address)?);
    } else {
        missing.push("skopeo");
    }
    if Docker::PROGRAMS.iter().all(|program| is_installed(program)) {
        let mut docker = Docker::start()?;
        docker.log_in(&address, &Login::new(LOGIN.0, LOGIN.1))?;
        rows.push(alternate("docker pull", &mut Pull(docker), pulls, &registry, &address)?);
    } else {
        missing.push("docker");
    }
    Ok(section(&rows, pulls, &missing))
}

fn alternate(
    client: &'static str,
    puller: &mut dyn Puller,
    pulls: usize,
    registry: &Registry,
    metahub: &str,
) -> Result<Pulls> {
    let direct = format!("127.0.0.1:{}", registry.port());
    let mut row = Pulls { client, direct: Vec::new(), through: Vec::new(), asked: [(0.0, 0.0); 2] };
    for round in 0..=pulls {
        for (position, address) in [direct.as_str(), metahub].into_iter().enumerate() {
            let before = asked(registry);
            let time = puller.pull(address)?;
            let after = asked(registry);
            // The first one also fills the cache and checks the password.
            if round > 0 {
                if position == 0 { &mut row.direct } else { &mut row.through }.push(time);
                row.asked[position].0 += (after.0 - before.0) / pulls as f64;
                row.asked[position].1 += (after.1 - before.1) / pulls as f64;
            }
        }
    }
    Ok(row)
}

/// How often the registry was asked so far: GET and HEAD.
fn asked(registry: &Registry) -> (f64, f64) {
    let log = registry.log();
    let count = |method: &str| log.lines().filter(|line| line.contains(method)).count() as f64;
    (count("\"GET /v2/"), count("\"HEAD /v2/"))
}

impl Puller for Copy {
    fn pull(&mut self, address: &str) -> Result<Duration> {
        let target = self.skopeo.sandbox().map(|sandbox| sandbox.path("copy"));
        let target = target.ok_or_else(|| Failure::new("skopeo has no directory"))?;
        let mut command = self.skopeo.command();
        command.args(["copy", "--src-tls-verify=false"]);
        if address == self.metahub {
            command.args(["--src-creds", &format!("{}:{}", LOGIN.0, LOGIN.1)]);
        }
        command.args([format!("docker://{address}/{REPOSITORY}:latest"), format!("dir:{target}")]);
        let time = timed(&mut command)?;
        std::fs::remove_dir_all(target)?;
        Ok(time)
    }
}

impl Puller for Pull {
    fn pull(&mut self, address: &str) -> Result<Duration> {
        let reference = format!("{address}/{REPOSITORY}:latest");
        let time = timed(self.0.command().args(["pull", "--quiet", &reference]))?;
        run(self.0.command().args(["image", "rm", "--force", &reference]))?;
        Ok(time)
    }
}

fn timed(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    run(command)?;
    Ok(start.elapsed())
}

fn section(rows: &[Pulls], pulls: usize, missing: &[&str]) -> Section {
    let columns =
        ["client", "time ratio", "limit", "direct ms", "through MetaHub ms", "GET / HEAD direct", "GET / HEAD through"];
    let mut text = format!(
        "Median of {pulls} interleaved pulls of the demo image (one layer, registry on the same machine), so that what \
         a client needs to start counts for both. Requests are those that reach the registry for one pull.\n\n"
    );
    text += &report::head(&columns);
    let mut holds = missing.is_empty();
    for row in rows {
        let mut ratios: Vec<f64> = row
            .direct
            .iter()
            .zip(&row.through)
            .map(|(direct, ours)| ours.as_secs_f64() / direct.as_secs_f64())
            .collect();
        let ratio = median(&mut ratios);
        holds &= ratio <= LIMIT;
        let ms = |times: &[Duration]| {
            let mut times: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
            format!("{:.0}", median(&mut times) * 1e3)
        };
        let requests = |(gets, heads): (f64, f64)| format!("{gets:.1} / {heads:.1}");
        text += &report::line(&[
            row.client.to_owned(),
            report::marked(&format!("{ratio:.2}"), ratio <= LIMIT),
            format!("{LIMIT:.2}"),
            ms(&row.direct),
            ms(&row.through),
            requests(row.asked[0]),
            requests(row.asked[1]),
        ]);
    }
    for client in missing {
        text += &format!("\nNot measured, because it is not installed: {client}.\n");
    }
    Section { name: "pulls", text, holds, plot: None }
}
