//! The machine: which core runs what, what processes have cost, and how to name all that beside a figure.
//!
//! Envoy has one core to itself; the load and the upstream share the other one. Otherwise the scheduler would move them
//! around, and the ratio of two measurements would depend on the processes that share a core's cache.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use metahub_testkit::envoy;
use metahub_testkit::{Failure, Result};

/// The cores of a measurement.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    /// Nothing but the Envoy that is measured.
    pub(crate) envoy: usize,
    /// The load, the upstream and everything else.
    pub(crate) rest: usize,
    /// All that this process may use.
    all: Vec<usize>,
}

impl Cores {
    /// The first two cores that this process may use.
    pub(crate) fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).map_err(|error| Failure::new(error.to_string()))?;
        let all: Vec<usize> = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect();
        match all[..] {
            [envoy, rest, ..] => Ok(Self { envoy, rest, all }),
            _ => Err(Failure::new("measuring takes two cores: one is Envoy's alone")),
        }
    }

    /// Lets this process, and what it starts from now on, use any core again.
    pub(crate) fn release(&self) -> Result<()> {
        bind(std::process::id(), &self.all)
    }
}

/// Binds all threads that a process has now, and those that they will start, to one core.
pub(crate) fn pin(process: u32, core: usize) -> Result<()> {
    bind(process, &[core])
}

fn bind(process: u32, cores: &[usize]) -> Result<()> {
    let failed = |error: nix::Error| Failure::new(format!("cannot bind process {process} to {cores:?}: {error}"));
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core).map_err(failed)?;
    }
    for thread in threads(process)? {
        sched_setaffinity(Pid::from_raw(thread), &set).map_err(failed)?;
    }
    Ok(())
}

/// CPU time of all threads of a process since it began.
pub(crate) fn cpu_time(process: u32) -> Result<Duration> {
    threads(process)?.into_iter().map(|thread| thread_time(process, thread)).sum()
}

/// CPU time of the threads whose name begins with `name` since they began; at least one must be there.
pub(crate) fn cpu_time_of(process: u32, name: &str) -> Result<Duration> {
    let is_named = |thread: &i32| {
        fs::read_to_string(format!("/proc/{process}/task/{thread}/comm")).is_ok_and(|text| text.starts_with(name))
    };
    let named: Vec<i32> = threads(process)?.into_iter().filter(is_named).collect();
    if named.is_empty() {
        return Err(Failure::new(format!("process {process} has no thread {name}")));
    }
    named.into_iter().map(|thread| thread_time(process, thread)).sum()
}

fn thread_time(process: u32, thread: i32) -> Result<Duration> {
    // A thread may end between the two looks; Envoy's don't.
    let path = format!("/proc/{process}/task/{thread}/schedstat");
    let text = fs::read_to_string(&path).map_err(|error| Failure::new(format!("{path}: {error}")))?;
    let time = text.split_whitespace().next().and_then(|word| word.parse().ok());
    time.map(Duration::from_nanos).ok_or_else(|| Failure::new(format!("{path}: no time in {text:?}")))
}

fn threads(process: u32) -> Result<Vec<i32>> {
    let path = format!("/proc/{process}/task");
    let entries = fs::read_dir(&path).map_err(|error| Failure::new(format!("{path}: {error}")))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The machine and versions that a reader must know beside the figures: one line.
pub(crate) fn description() -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let envoy = output(Command::new(envoy::binary()?).arg("--version"));
    // "…  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL"
    let envoy =
        envoy.split('/').find(|part| part.starts_with(|first: char| first.is_ascii_digit()) && part.contains('.'));
    Ok(format!(
        "{cores} cores ({}), Linux {}, Envoy {}, commit {}",
        model.map_or("unknown", |(_, name)| name),
        kernel.trim(),
        envoy.unwrap_or("unknown"),
        commit()
    ))
}

/// The commit that is measured, marked when files differ from it.
fn commit() -> String {
    let git = |arguments: &[&str]| output(Command::new("git").arg("-C").arg(metahub_testkit::root()).args(arguments));
    let commit = git(&["rev-parse", "--short=10", "HEAD"]);
    // Files that this program writes do not count as differences.
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"]);
    match (commit.is_empty(), changed.is_empty()) {
        (true, _) => "unknown".to_owned(),
        (false, true) => commit,
        (false, false) => format!("{commit} with changes"),
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
