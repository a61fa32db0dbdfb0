//! The folders of `src/` stand in the order of a request's data: what a file uses stands in its own folder or in an earlier
//! one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// All Rust sources below a folder, but for tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "tests"))
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .collect()
}

/// The folders that a source names behind `crate::`, but for its own tests.
fn used(source: &str) -> Vec<&str> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap())
        .collect()
}

#[test]
fn each_folder_looks_only_at_those_before_it() {
    let library = fs::read_to_string("src/lib.rs").unwrap();
    let folders = library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let place: BTreeMap<&str, usize> = folders.enumerate().map(|(place, folder)| (folder, place)).collect();
    assert!(place.len() > 8 && place["text"] < place["flow"], "{place:?}");
    let mut looked = 0;
    for (folder, own) in &place {
        for path in sources(&Path::new("src").join(folder)) {
            let source = fs::read_to_string(&path).unwrap();
            for other in used(&source) {
                assert!(place[other] <= *own, "{} uses `{other}`, which comes later", path.display());
                looked += 1;
            }
        }
    }
    assert!(looked > 200, "{looked} uses were looked at");
}
