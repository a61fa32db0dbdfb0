//! The faults that `scripts/mutations.sh` plants can be planted in the code as it is now.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        // In a folder of somebody else's repository git would skip each file, and find nothing wrong.
        check.env("GIT_CEILING_DIRECTORIES", root.parent().unwrap());
        let output = check.output().expect("git");
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || !said.contains("Checking patch") {
            complaints.push_str(&format!("{}:\n{said}", patch.display()));
        }
    }
    assert_eq!(complaints, "");
}
