//! The pages that people read, as Markdown: what they link to is there, and what they show is right.

pub(crate) mod blocks;
mod links;
mod recipes;

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, OffsetIter, Options, Parser};

use super::house::word_without_subject;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the repository.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// All pages at the top and in `docs/`.
    fn all() -> Vec<Self> {
        let files = ["", "docs"].iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
        let paths = files.map(|file| file.unwrap().path());
        let mut pages: Vec<Self> =
            paths.filter(|path| path.extension().is_some_and(|found| found == "md")).map(Self::read).collect();
        pages.sort_by(|one, other| one.path.cmp(&other.path));
        assert!(pages.len() > 10, "only {} pages were found", pages.len());
        pages
    }

    /// Its content, and the place of each part, as GitHub and mdBook read it.
    fn events(&self) -> OffsetIter<'_> {
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH;
        Parser::new_ext(&self.text, options).into_offset_iter()
    }

    /// The events alone.
    fn content(&self) -> impl Iterator<Item = Event<'_>> {
        self.events().map(|(event, _)| event)
    }

    /// The place of a byte, for messages: `docs/security.md:12`.
    fn place(&self, offset: usize) -> String {
        let line = self.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
        format!("{}:{line}", self.path.strip_prefix(root()).unwrap().display())
    }
}

/// As in comments: `house.rs` names the words.
#[test]
fn sentences_of_pages_name_their_subjects() {
    let problem = |page: &Page, number: usize, line: &str| {
        let word = word_without_subject(line)?;
        Some(format!("{}:{}: {word}", page.path.strip_prefix(root()).unwrap().display(), number + 1))
    };
    let of = |page: &Page| -> Vec<String> {
        page.text.lines().enumerate().filter_map(|(number, line)| problem(page, number, line)).collect()
    };
    let wrong = Page { path: root().join("page.md"), text: "# Page\n\nIt says so. Who asks?\n".to_owned() };
    assert_eq!(of(&wrong), ["page.md:3: Who"]);
    let problems: Vec<String> = Page::all().iter().flat_map(of).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
