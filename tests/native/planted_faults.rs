//! The faults that `scripts/mutations.sh` plants can be planted in the code as it is now.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use metahub_testkit::temp::TempDir;

use super::build_scripts::install;

#[test]
fn every_planted_fault_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(root.join("fuzz/mutations")).unwrap();
    let patches: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    assert!(!patches.is_empty());
    let mut complaints = String::new();
    for patch in patches {
        assert_eq!(patch.extension(), Some(OsStr::new("patch")), "{}: no other file is planted", patch.display());
        let mut check = Command::new("git");
        check.args(["apply", "--check", "--verbose"]).arg(&patch).current_dir(root);
        // In a folder of another repository git would skip each file, and find nothing wrong.
        check.env("GIT_CEILING_DIRECTORIES", root.parent().unwrap());
        let output = check.output().expect("git");
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || !said.contains("Checking patch") {
            complaints.push_str(&format!("{}:\n{said}", patch.display()));
        }
    }
    assert_eq!(complaints, "");
}

/// A program that is built without a fault, and then with one.
const BUILDS: &str = r#"#!/bin/sh
[ -e "$WORK/built" ] && program=$WITH_FAULT || program=$WITHOUT
touch "$WORK/built"
[ -n "$program" ] || { echo "error: could not compile" >&2; exit 101; }
mkdir -p "$WORK/target/fuzz/mutant"
printf '#!/bin/sh\n%s\n' "$program" >"$WORK/target/fuzz/mutant/cases"
chmod 755 "$WORK/target/fuzz/mutant/cases"
"#;

#[test]
fn a_fault_is_noticed_by_a_case_that_fails_and_by_nothing_else() {
    let (fine, notices) =
        ("true", "echo 'thread panicked at x:'; echo 'it is wrong'; echo 'case 3 of y fails'; exit 1");
    let rows = [
        (fine, notices, 0, "| `it` | A fault | `selection`, input 3: it is wrong |"),
        (fine, fine, 1, "nobody"),
        (notices, notices, 1, ""),
        // A program that does not build or is killed has shown nothing.
        (fine, "", 2, ""),
        ("", "", 2, ""),
        (fine, "exit 137", 2, ""),
    ];
    for (without, with_fault, status, told) in rows {
        let folder = TempDir::new("planted-faults").unwrap();
        for inner in ["bin", "scripts", "fuzz/mutations", "tmp"] {
            fs::create_dir_all(folder.join(inner)).unwrap();
        }
        fs::write(folder.join("fuzz/mutations/it.patch"), "A fault.\n").unwrap();
        install(&folder.join("bin/cargo"), BUILDS.as_bytes());
        install(&folder.join("bin/git"), b"#!/bin/sh\n");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/mutations.sh");
        install(&folder.join("scripts/mutations.sh"), &fs::read(script).unwrap());
        let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(folder.join("scripts/mutations.sh"));
        command.env("PATH", path).env("WORK", folder.join("")).env("TMPDIR", folder.join("tmp"));
        let output = command.env("WITHOUT", without).env("WITH_FAULT", with_fault).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(status), "{with_fault}: {said}");
        assert!(said.contains(told), "{with_fault}: {said}");
    }
}
