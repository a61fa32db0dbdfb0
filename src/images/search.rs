//! The search for a machine's image among tags: the best one first, and on to the next where there is nothing.
//!
//! Pulls and `explain` share it, so that `explain` tells what a pull returns. It does no I/O.

use std::collections::VecDeque;

use crate::oci::reference::Tag;

/// Why a search goes on behind a tag. Nothing else lets it: an outage must not give a machine a lesser image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The registry has no such tag.
    Absent,
    /// The tag is there, and nothing in it fits the machine.
    Unfit,
}

/// A search among tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    tags: VecDeque<Tag>,
    absent: Vec<Tag>,
    unfit: Vec<Tag>,
    /// The problem with the last tag in which nothing fits.
    problem: Option<String>,
}

impl Search {
    pub(super) fn new(tags: impl Iterator<Item = Tag>) -> Self {
        let mut different = VecDeque::new();
        for tag in tags {
            if !different.contains(&tag) {
                different.push_back(tag);
            }
        }
        Self { tags: different, absent: Vec::new(), unfit: Vec::new(), problem: None }
    }

    /// The next tag to ask for. Those of which `remembered` knows the lack are passed over, except the last: its
    /// absence would be the answer, and the registry gives that anew.
    pub fn next(&mut self, remembered: impl Fn(&Tag) -> Option<Lack>) -> Option<Tag> {
        while let Some(tag) = self.tags.pop_front() {
            match remembered(&tag).filter(|_| !self.tags.is_empty()) {
                Some(Lack::Absent) => self.absent.push(tag),
                Some(Lack::Unfit) => self.unfit.push(tag),
                None => return Some(tag),
            }
        }
        None
    }

    /// The registry has no such tag.
    pub fn on_absent(&mut self, tag: Tag) {
        self.absent.push(tag);
    }

    /// Nothing in this tag fits; `problem` says it in words.
    pub fn on_unfit(&mut self, tag: Tag, problem: String) {
        self.unfit.push(tag);
        self.problem = Some(problem);
    }

    /// The tags that were passed over because the registry does not have them.
    #[must_use]
    pub fn absent(&self) -> &[Tag] {
        &self.absent
    }

    /// Whether some tag was there in which nothing fits.
    #[must_use]
    pub fn met_unfit(&self) -> bool {
        !self.unfit.is_empty()
    }

    /// The findings of a search without a result, in words.
    #[must_use]
    pub fn failure(&self) -> String {
        let mut words = Vec::new();
        match (&self.unfit[..], &self.problem) {
            ([], _) => {}
            ([tag], Some(problem)) => words.push(format!("tag {}: {problem}", tag.as_str())),
            (tags, _) => words.push(format!("nothing fits in the tags {}", joined(tags))),
        }
        if !self.absent.is_empty() || self.unfit.is_empty() {
            words.push(format!("the registry has no tag {}", joined(&self.absent)));
        }
        words.join("; ")
    }
}

/// Tags as messages list them.
#[must_use]
pub fn joined(tags: &[Tag]) -> String {
    tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(tags: &[&str]) -> Search {
        Search::new(tags.iter().map(|tag| Tag::parse(tag).unwrap()))
    }

    fn next(search: &mut Search, absent: &[&str], unfit: &[&str]) -> Option<String> {
        let remembered = |tag: &Tag| {
            let is_in = |list: &[&str]| list.contains(&tag.as_str());
            is_in(absent).then_some(Lack::Absent).or(is_in(unfit).then_some(Lack::Unfit))
        };
        search.next(remembered).map(|tag| tag.as_str().to_owned())
    }

    #[test]
    fn passes_over_what_is_known_to_be_missing() {
        let mut found = search(&["a", "b", "a", "c"]);
        assert_eq!(next(&mut found, &["a"], &["b"]).as_deref(), Some("c"));
        assert_eq!((joined(found.absent()), found.met_unfit()), ("a".to_owned(), true));
        assert_eq!(next(&mut found, &[], &[]), None);
    }

    #[test]
    fn the_last_tag_is_asked_for_whatever_is_remembered() {
        let mut found = search(&["a", "b"]);
        assert_eq!(next(&mut found, &["a", "b"], &[]).as_deref(), Some("b"));
    }

    #[test]
    fn says_what_was_missing() {
        let tag = |text: &str| Tag::parse(text).unwrap();
        let mut nothing = search(&[]);
        assert_eq!(next(&mut nothing, &[], &[]), None);
        let mut found = search(&["a", "b", "c"]);
        found.on_absent(tag("a"));
        assert_eq!(found.failure(), "the registry has no tag a");
        found.on_unfit(tag("b"), "nothing fits; the index offers linux/arm64".to_owned());
        assert_eq!(found.failure(), "tag b: nothing fits; the index offers linux/arm64; the registry has no tag a");
        found.on_unfit(tag("c"), "nothing fits".to_owned());
        assert_eq!(found.failure(), "nothing fits in the tags b, c; the registry has no tag a");
    }
}
