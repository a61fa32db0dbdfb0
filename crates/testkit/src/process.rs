//! Child processes that cannot outlive this one.
//!
//! Each child leads its own process group, which is signalled as a whole on drop. That alone would not help when
//! we are killed ourselves (Ctrl-C during `cargo test` runs no destructors), so each child also asks the kernel for
//! a SIGTERM at its parent's death, through util-linux's `setpriv`.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Failure, Result, wait_for};

/// How long a process may take to end after SIGTERM before its group gets SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

type Order = (Command, Sender<std::io::Result<Child>>);

/// The kernel sends the parent-death signal when the *thread* that made the child ends, so one thread that never
/// ends makes them all: a child may then be handed from one test's thread to another's.
static SPAWNER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
    let (orders, inbox) = channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, reply) in inbox {
            let _ = reply.send(command.spawn());
        }
    });
    Mutex::new(orders)
});

/// Lets this process, and the children that it starts from now on, have so many open files; the usual limit is 1,024.
pub fn allow_open_files(count: u64) -> Result<()> {
    let context = |error| Failure::new(format!("{count} open files: {error}; raise the limit (ulimit -Hn)"));
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(context)?;
    if soft >= count { Ok(()) } else { setrlimit(Resource::RLIMIT_NOFILE, count, hard).map_err(context) }
}

/// A running child; its whole process group ends with this value.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its standard output and error going to the file `log`.
    pub fn spawn(name: &str, command: &Command, log: &Path) -> Result<Self> {
        let output = File::create(log)?;
        let errors = output.try_clone()?;
        Self::start(name, command, log, Stdio::from(output), Stdio::from(errors))
    }

    /// Starts `command` with its standard output on ours and its standard error going to the file `log`.
    pub fn spawn_showing_output(name: &str, command: &Command, log: &Path) -> Result<Self> {
        let errors = File::create(log)?;
        Self::start(name, command, log, Stdio::inherit(), Stdio::from(errors))
    }

    fn start(name: &str, command: &Command, log: &Path, output: Stdio, errors: Stdio) -> Result<Self> {
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(key, value),
                None => guarded.env_remove(key),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            guarded.current_dir(directory);
        }
        guarded.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);

        let (reply, answer) = channel();
        SPAWNER.lock().unwrap().send((guarded, reply)).unwrap();
        let child = answer.recv().unwrap().map_err(|error| Failure::new(format!("cannot start {name}: {error}")))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> Result<u64> {
        let status = self.about("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib = line.trim().trim_end_matches(" kB").parse::<u64>();
        kib.map(|kib| kib * 1024).map_err(|_| Failure::new(format!("{} has ended", self.name)))
    }

    /// Processor time used so far, in steps of 10 ms.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = self.about("stat")?;
        // Behind the name, which may contain anything: state, then ten numbers, then user and system time in ticks.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
        let ticks = ticks(11).zip(ticks(12)).ok_or_else(|| Failure::new(format!("{} has ended", self.name)))?;
        Ok(Duration::from_millis(10 * (ticks.0 + ticks.1)))
    }

    /// A file of the kernel about the process.
    fn about(&self, file: &str) -> Result<String> {
        Ok(fs::read_to_string(format!("/proc/{}/{file}", self.id()))?)
    }

    /// The output of the process so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until `ready` holds; fails at once, with the log, when the process ends instead.
    pub fn wait_until_ready(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let what = format!("{} to become ready", self.name);
        let outcome = wait_for(&what, limit, || {
            if ready() {
                return Some(true);
            }
            self.has_ended().then_some(false)
        });
        match outcome {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::new(format!("{} ended instead of serving; its log:\n{}", self.name, self.log()))),
            Err(failure) => Err(Failure::new(format!("{failure}; its log:\n{}", self.log()))),
        }
    }

    /// Ends the process group: SIGTERM, and after a grace period SIGKILL for the processes that are left.
    pub fn stop(&mut self) {
        let Ok(id) = i32::try_from(self.child.id()) else { return };
        let group = Pid::from_raw(id);
        if !self.has_ended() {
            let _ = killpg(group, Signal::SIGTERM);
            let _ = wait_for(&self.name.clone(), GRACE, || self.has_ended().then_some(()));
        }
        // Members that outlived their leader, and a leader that ignored SIGTERM.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("---- log of {} ----\n{}---- end of {} ----", self.name, last_lines(&self.log(), 60), self.name);
        }
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let kept = lines.get(lines.len().saturating_sub(count)..).unwrap_or_default();
    kept.iter().flat_map(|line| [line, "\n"]).collect()
}
