//! Samples of Envoy at the end of each round, their table, and their verdict.

use std::time::{Duration, Instant};

use crate::stage::Stage;
use crate::steady::Steady;
use metahub_testkit::Result;
use metahub_testkit::plateau::{Growth, growth};

const MIB: u64 = 1024 * 1024;
/// The memory that Envoy may take at any time.
const MEMORY: u64 = 500 * MIB;
/// The growth of memory that is allowed from the middle third of the rounds to the last.
const MEMORY_GROWTH: u64 = 32 * MIB;
/// The same for descriptors that are not connections.
const DESCRIPTOR_GROWTH: u64 = 8;
/// Signs of a VM that died, or of a defect that Envoy has noticed, in its log.
const SIGNS: [&str; 6] =
    ["panicked", "Maximum call stack", "Function: proxy_", "ENVOY_BUG", "assert failure", "Caught "];

/// One row of the table.
struct Sample {
    at: Duration,
    resident: u64,
    vms: u64,
    deaths: u64,
    descriptors: u64,
    connections: u64,
    under_way: (u64, u64),
    cache: u64,
    reloads: (u64, u64),
    pulls: u64,
    longest: Duration,
}

pub(crate) struct Watch {
    began: Instant,
    samples: Vec<Sample>,
    problems: Vec<String>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        println!(
            "{:>5} {:>7} {:>7} {:>4} {:>6} {:>11} {:>11} {:>9} {:>8} {:>15} {:>12} {:>9}",
            "round",
            "minutes",
            "RSS MiB",
            "VMs",
            "deaths",
            "descriptors",
            "connections",
            "under way",
            "cache KB",
            "reloads ok, not",
            "steady pulls",
            "slowest"
        );
        Self { began: Instant::now(), samples: Vec::new(), problems: Vec::new() }
    }

    /// Rounds that are over.
    pub(crate) fn rounds(&self) -> usize {
        self.samples.len()
    }

    /// Samples Envoy, which is at rest, and prints a row.
    pub(crate) fn sample(&mut self, stage: &Stage, steady: &Steady, failures: Vec<String>) -> Result<()> {
        self.problems.extend(failures);
        let envoy = &stage.envoy;
        let updates = envoy.updates()?;
        let connections =
            envoy.stat("cluster.", ".upstream_cx_active")? + envoy.stat("http.", ".downstream_cx_active")?;
        let sample = Sample {
            at: self.began.elapsed(),
            resident: envoy.resident()?,
            vms: envoy.stat("wasm.envoy.wasm.runtime.", ".active")?,
            deaths: envoy.stat("wasm.metahub.vm_reload", "")?,
            descriptors: open_files(envoy.id())?.saturating_sub(connections),
            connections,
            under_way: stage.under_way()?,
            cache: envoy.stat("wasmcustom.metahub_cache_bytes", "")?,
            reloads: (updates.accepted, updates.refused),
            pulls: steady.pulls(),
            longest: steady.longest(),
        };
        sample.print(self.samples.len() + 1);
        self.samples.push(sample);
        Ok(())
    }

    /// The problems that the samples and Envoy's log show.
    pub(crate) fn finish(mut self, stage: &Stage) -> Vec<String> {
        let column = |of: fn(&Sample) -> u64| self.samples.iter().map(of).collect::<Vec<u64>>();
        for (what, values, limit) in [
            ("memory in bytes", column(|sample| sample.resident), MEMORY_GROWTH),
            ("descriptors", column(|sample| sample.descriptors), DESCRIPTOR_GROWTH),
            ("VMs", column(|sample| sample.vms), 0),
        ] {
            match growth(&values) {
                Growth::By(grown) if grown <= limit => {
                    println!("{what}: grew by {grown} from the middle third of the rounds to the last");
                }
                Growth::By(grown) => self.problems.push(format!("{what} grew by {grown}: {values:?}")),
                Growth::TooFew => println!("{what}: too few rounds to tell a plateau"),
            }
        }
        let most = self.samples.iter().map(|sample| sample.resident).max().unwrap_or_default();
        if most > MEMORY {
            self.problems.push(format!("Envoy takes {most} bytes"));
        }
        if let Some(deaths) = self.samples.iter().map(|sample| sample.deaths).max().filter(|deaths| *deaths > 0) {
            self.problems.push(format!("a VM died: {deaths} times Envoy noticed it"));
        }
        let log = stage.envoy.log();
        let signs = log.lines().filter(|line| SIGNS.iter().any(|sign| line.contains(sign)));
        self.problems.extend(signs.take(5).map(|line| format!("Envoy's log: {line}")));
        self.problems
    }
}

impl Sample {
    fn print(&self, round: usize) {
        let under_way = format!("{}, {}", self.under_way.0, self.under_way.1);
        let reloads = format!("{}, {}", self.reloads.0, self.reloads.1);
        println!(
            "{round:>5} {:>7.1} {:>7.1} {:>4} {:>6} {:>11} {:>11} {under_way:>9} {:>8} {reloads:>15} {:>12} {:>6} ms",
            self.at.as_secs_f64() / 60.0,
            self.resident as f64 / MIB as f64,
            self.vms,
            self.deaths,
            self.descriptors,
            self.connections,
            self.cache / 1000,
            self.pulls,
            self.longest.as_millis()
        );
    }
}

fn open_files(process: u32) -> Result<u64> {
    Ok(std::fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64)
}
