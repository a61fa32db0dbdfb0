//! The build's scripts on machines of several kinds: with a good `wasm-opt`, a broken one, an old one and none.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use metahub_testkit::temp::TempDir;

/// A `wasm-opt` that is new enough.
const GOOD: &str = "echo 'wasm-opt version 120'";
/// One that the loader does not start without a library beside it, as Debian 13's.
const LINKED: &str = r#"
    [ -e "$LD_LIBRARY_PATH/libbinaryen.so" ] || {
        echo 'error while loading shared libraries: libbinaryen.so' >&2
        exit 127
    }
    echo 'wasm-opt version 120'"#;
/// The system's commands that the scripts use, except `apt-get` and `wasm-opt`.
const TOOLS: [&str; 17] = [
    "bash",
    "sh",
    "env",
    "cat",
    "chmod",
    "cp",
    "cut",
    "dirname",
    "id",
    "mkdir",
    "mv",
    "rm",
    "sed",
    "sha256sum",
    "stat",
    "tr",
    "true",
];

/// A copy of the scripts on a machine that has [`TOOLS`] only.
struct Machine {
    directory: TempDir,
}

/// Writes a program, by a process of its own: a program is "busy" while a process has it open for writing, and every
/// child that another test has just started has this process's files open for a moment.
pub(super) fn install(program: &Path, text: &[u8]) {
    let mut command = Command::new("install");
    let mut child = command.args(["-m", "755", "/dev/stdin"]).arg(program).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    assert!(child.wait().unwrap().success());
}

impl Machine {
    fn bare() -> Self {
        let directory = TempDir::new("build-scripts").unwrap();
        fs::create_dir(directory.join("bin")).unwrap();
        fs::create_dir(directory.join("scripts")).unwrap();
        for tool in TOOLS {
            let found = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
            symlink(found.iter().find(|path| path.exists()).expect(tool), directory.join("bin").join(tool)).unwrap();
        }
        for script in ["install.sh", "optimize.sh", "check-size.sh"] {
            let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script);
            install(&directory.join("scripts").join(script), &fs::read(ours).unwrap());
        }
        Self { directory }
    }

    /// One more program.
    fn with(self, name: &str, script: &str) -> Self {
        install(&self.directory.join("bin").join(name), format!("#!/bin/sh\n{script}\n").as_bytes());
        self
    }

    /// An apt-get that has a Binaryen with this `wasm-opt` and a library of its own.
    fn with_package(self, wasm_opt: &str) -> Self {
        let extract = format!(
            "mkdir -p usr/bin usr/lib/x86_64-linux-gnu\ncat >usr/lib/x86_64-linux-gnu/libbinaryen.so </dev/null\n\
             cat >usr/bin/wasm-opt <<'END'\n#!/bin/sh\n{wasm_opt}\nEND\nchmod 755 usr/bin/wasm-opt"
        );
        self.with("apt-cache", "true").with("apt-get", "cat >binaryen.deb </dev/null").with("dpkg-deb", &extract)
    }

    fn run(&self, ci: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.directory.join("scripts").join(arguments[0]));
        command.args(&arguments[1..]).env_clear().env("CI", ci).env("PATH", self.directory.join("bin"));
        command.output().unwrap()
    }

    /// Runs a script that must end as told, and returns its standard error.
    fn says(&self, ci: &str, arguments: &[&str], success: bool) -> String {
        let output = self.run(ci, arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), success, "{arguments:?}: {text}");
        text
    }

    /// A filter of this size.
    fn filter(&self, bytes: usize) -> String {
        let path = self.directory.join("filter.wasm");
        fs::write(&path, vec![0; bytes]).unwrap();
        path.display().to_string()
    }
}

/// Issue 11: the wasm-opt of Debian 13 did not start.
#[test]
fn an_unpacked_wasm_opt_finds_its_library() {
    let machine = Machine::bare().with_package(LINKED);
    machine.says("true", &["install.sh", "binaryen"], true);
    let output = machine.run("", &["install.sh", "which-wasm-opt"]);
    let program = machine.directory.join(String::from_utf8(output.stdout).unwrap().trim());
    let version = Command::new(program).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&version.stdout), "wasm-opt version 120\n");
}

#[test]
fn what_is_wrong_with_wasm_opt_is_said() {
    let broken = "echo 'error while loading shared libraries: libzebra.so' >&2; exit 127";
    let rows = [
        (Machine::bare().with_package(broken), "does not start: ", "libzebra.so"),
        (Machine::bare().with("wasm-opt", broken), "does not start: ", "libzebra.so"),
        (Machine::bare().with("wasm-opt", "echo 'wasm-opt version 105'"), "is older than version 108: ", "105"),
        (Machine::bare(), "there is no wasm-opt", "there is no apt-get"),
    ];
    for (machine, problem, detail) in rows {
        // A build goes on; where the size counts, it does not.
        for (ci, success) in [("", true), ("true", false)] {
            let said = machine.says(ci, &["install.sh", "binaryen"], success);
            assert!(said.contains(problem) && said.contains(detail), "{said}");
            assert_eq!(said.contains("warning: building without wasm-opt"), success, "{said}");
        }
    }
}

#[test]
fn a_filter_without_wasm_opt_is_used_as_it_is() {
    let machine = Machine::bare();
    let limit = limit();
    let filter = machine.filter(limit + 1);
    let said = machine.says("", &["optimize.sh", &filter], true);
    assert!(said.contains("warning: ") && said.contains("larger"), "{said}");
    assert_eq!(fs::metadata(&filter).unwrap().len(), limit as u64 + 1);
    let said = machine.says("", &["check-size.sh", &filter], true);
    assert!(said.contains(&format!("1 more than the {limit} it may have, because there is no wasm-opt")), "{said}");
}

#[test]
fn a_filter_that_wasm_opt_left_too_large_fails_the_build() {
    let machine = Machine::bare().with("wasm-opt", GOOD);
    let limit = limit();
    assert_eq!(machine.says("", &["check-size.sh", &machine.filter(limit)], true), "");
    let said = machine.says("", &["check-size.sh", &machine.filter(limit + 1)], false);
    assert!(said.contains(&format!("1 more than the {limit} it may have")), "{said}");
}

/// The largest size of the filter, in bytes.
fn limit() -> usize {
    let script = include_str!("../../scripts/check-size.sh");
    let limit = script.lines().find_map(|line| line.strip_prefix("limit=")).expect("the limit");
    limit.parse().unwrap()
}
