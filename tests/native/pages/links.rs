//! Each link of a page leads to a file of this repository and to a heading that it has, on GitHub and in the book.
//! Addresses elsewhere are not looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Tag, TagEnd};

use super::{Page, root};

/// The anchor of a heading, which GitHub and mdBook make alike.
fn anchor(heading: &str) -> String {
    let letter = |letter: char| match letter {
        '_' | '-' => Some(letter),
        _ if letter.is_alphanumeric() => Some(letter),
        _ => letter.is_whitespace().then_some('-'),
    };
    heading.trim().to_lowercase().chars().filter_map(letter).collect()
}

/// The anchors of all headings. The second heading of a text gets `-1`, the third `-2`.
fn anchors(page: &Page) -> BTreeSet<String> {
    let (mut found, mut heading) = (BTreeSet::new(), None);
    for event in page.content() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let first = anchor(&heading.take().unwrap());
                let again = (1..).map(|number| format!("{first}-{number}"));
                let free = [first.clone()].into_iter().chain(again).find(|anchor| !found.contains(anchor));
                found.insert(free.unwrap());
            }
            _ => {}
        }
    }
    found
}

/// Where the links and pictures of a page lead, with the place of each.
fn targets(page: &Page) -> Vec<(String, String)> {
    let target = |(event, range): (Event, std::ops::Range<usize>)| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some((page.place(range.start), dest_url.to_string()))
        }
        _ => None,
    };
    page.events().filter_map(target).collect()
}

/// What is wrong with the link of a page in `folder` that leads to `target`.
fn problem(folder: &Path, page: &Path, target: &str, known: &BTreeMap<PathBuf, BTreeSet<String>>) -> Option<String> {
    if ["https://", "http://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (path, fragment) = target.split_once('#').map_or((target, None), |(path, fragment)| (path, Some(fragment)));
    let path = if path.is_empty() { Ok(page.to_owned()) } else { folder.join(path).canonicalize() };
    let path = match path {
        Ok(path) if path.starts_with(root().canonicalize().unwrap()) => path,
        Ok(_) => return Some("leads out of the repository".to_owned()),
        Err(_) => return Some("there is no such file".to_owned()),
    };
    let fragment = fragment?;
    let headings = known.get(&path)?;
    (!headings.contains(fragment)).then(|| format!("there is no such heading; there are {headings:?}"))
}

#[test]
fn every_link_leads_somewhere() {
    let pages = Page::all();
    let known: BTreeMap<PathBuf, BTreeSet<String>> =
        pages.iter().map(|page| (page.path.canonicalize().unwrap(), anchors(page))).collect();
    let (mut followed, mut problems) = (0, Vec::new());
    for page in &pages {
        for (place, target) in targets(page) {
            followed += 1;
            let path = page.path.canonicalize().unwrap();
            if let Some(problem) = problem(path.parent().unwrap(), &path, &target, &known) {
                problems.push(format!("{place}: {target}: {problem}"));
            }
        }
    }
    assert!(followed > 50, "only {followed} links were found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The book has what is in its folder, and nothing beside it.
fn leads_out_of_the_book(folder: &Path, target: &str) -> bool {
    let path = target.split_once('#').map_or(target, |(path, _)| path);
    !path.contains("://") && folder.join(path).canonicalize().is_ok_and(|path| !path.starts_with(folder))
}

/// A page of the book that leads to a file beside the book leads somewhere on GitHub, and nowhere in the book.
#[test]
fn no_page_of_the_book_leads_out_of_it() {
    let book = root().join("docs").canonicalize().unwrap();
    let pages = Page::all().into_iter().filter(|page| page.path.parent().unwrap().canonicalize().unwrap() == book);
    let links: Vec<(String, String)> = pages.flat_map(|page| targets(&page)).collect();
    let wrong: Vec<&(String, String)> =
        links.iter().filter(|(_, target)| leads_out_of_the_book(&book, target)).collect();
    assert!(links.len() > 50, "only {} links were found", links.len());
    assert!(wrong.is_empty(), "{wrong:?}: name the file, or bring to the book what its readers need of it");
    for (target, out) in [
        ("../README.md", true),
        ("../README.md#run-it", true),
        ("security.md", false),
        ("#here", false),
        ("https://example.org/../README.md", false),
    ] {
        assert_eq!(leads_out_of_the_book(&book, target), out, "{target}");
    }
}

#[test]
fn wrong_links_are_noticed() {
    let folder = root().canonicalize().unwrap();
    let page = folder.join("README.md");
    let known = BTreeMap::from([(page.clone(), BTreeSet::from(["there".to_owned()]))]);
    let rows = [
        ("#there", true),
        ("#elsewhere", false),
        ("README.md", true),
        ("README.md#there", true),
        ("docs/../README.md#elsewhere", false),
        ("readme.md", false),
        ("/README.md", false),
        ("../", false),
        ("Cargo.toml#L1", true),
        ("https://example.org/#elsewhere", true),
    ];
    for (target, right) in rows {
        assert_eq!(problem(&folder, &page, target, &known).is_none(), right, "{target}");
    }
}

#[test]
fn anchors_are_those_of_github_and_mdbook() {
    let text = "# What is refused, and how it looks\n## `make run` – twice\n## A_b-c\n## Again\n## Again!\n".to_owned();
    let page = Page { path: root().join("page.md"), text };
    let expected = ["what-is-refused-and-how-it-looks", "make-run--twice", "a_b-c", "again", "again-1"];
    assert_eq!(anchors(&page), expected.map(str::to_owned).into());
}

/// A page that the book's table of contents does not list is not in the book.
#[test]
fn the_book_has_every_page() {
    let book = root().join("docs");
    let pages: BTreeSet<PathBuf> =
        Page::all().into_iter().map(|page| page.path).filter(|path| path.parent() == Some(&book)).collect();
    let summary = Page::read(book.join("SUMMARY.md"));
    let mut listed: BTreeSet<PathBuf> = targets(&summary).into_iter().map(|(_, target)| book.join(target)).collect();
    assert_eq!(listed.len(), targets(&summary).len(), "a page is listed twice");
    listed.insert(summary.path);
    assert_eq!(listed, pages);
}
