//! Sources stay of a size that people read: no file above 400 lines, no line above 120 columns.

use std::fs;
use std::path::Path;

const MAX_LINES: usize = 400;
const MAX_COLUMNS: usize = 120;

/// Where people write; what is generated or fetched is elsewhere.
const PLACES: [&str; 12] = [
    "src",
    "crates",
    "tests",
    "bench",
    "fuzz",
    "examples",
    "tools",
    "scripts",
    ".ci",
    ".githooks",
    "build.rs",
    "Makefile",
];

/// Hands over each source file below, with its text.
fn visit(path: &Path, look: &mut impl FnMut(&Path, &str)) {
    if path.is_dir() {
        if path.file_name().is_some_and(|name| name == "target" || name == "corpus") {
            return;
        }
        for entry in fs::read_dir(path).unwrap() {
            visit(&entry.unwrap().path(), look);
        }
        return;
    }
    let is_source =
        path.extension().is_none_or(|extension| ["py", "rs", "sh", "toml"].iter().any(|known| extension == *known));
    if is_source {
        look(path, &fs::read_to_string(path).unwrap());
    }
}

#[test]
fn files_and_lines_stay_readable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut seen, mut problems) = (0, Vec::new());
    for place in PLACES {
        visit(&root.join(place), &mut |path, text| {
            seen += 1;
            let name = path.strip_prefix(root).unwrap().display();
            let lines = text.lines().count();
            if lines > MAX_LINES {
                problems.push(format!("{name} has {lines} lines"));
            }
            for (number, line) in text.lines().enumerate().filter(|(_, line)| line.chars().count() > MAX_COLUMNS) {
                problems.push(format!("{name}:{} has {} columns", number + 1, line.chars().count()));
            }
        });
    }
    assert!(seen > 200, "only {seen} files were found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Words that begin no sentence of a comment, because a sentence names its subject. English capitalises them nowhere
/// else.
const NO_SUBJECTS: [&str; 6] = ["Who", "What", "Whoever", "Whatever", "Whose", "Whom"];

/// The comment of a line, if it has one.
fn comment(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("//").or_else(|| line.split_once(" // ").map(|(_, comment)| comment))
}

/// The first word of a text that is among those words.
pub(crate) fn word_without_subject(text: &str) -> Option<&str> {
    text.split(|letter: char| !letter.is_alphabetic()).find(|word| NO_SUBJECTS.contains(word))
}

/// The first word of a line's comment that is among those words.
fn without_subject(line: &str) -> Option<&str> {
    word_without_subject(comment(line)?)
}

#[test]
fn sentences_of_comments_name_their_subjects() {
    for line in
        ["/// What it is.", "    //! It is. Who asks?", "x(); // Whoever comes", "// - `a`: Whose it is", "//Whom"]
    {
        assert!(without_subject(line).is_some(), "{line}");
    }
    for line in ["/// Says what it is.", "let text = \"What is it?\";", "// A whole WHATWG, Whatsoever"] {
        assert!(without_subject(line).is_none(), "{line}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut seen, mut problems) = (0, Vec::new());
    visit(&root.join("src"), &mut |path, text| {
        seen += 1;
        let lines = text.lines().enumerate();
        problems.extend(lines.filter_map(|(number, line)| {
            let word = without_subject(line)?;
            Some(format!("{}:{}: {word}", path.strip_prefix(root).unwrap().display(), number + 1))
        }));
    });
    assert!(seen > 100, "only {seen} files were found");
    assert!(problems.is_empty(), "sentences that name no subject:\n{}", problems.join("\n"));
}
