//! Patterns for repository names: `*` is one component, `**` is one or more.

use crate::oci::reference::Repository;

/// A pattern such as `library/*` or `qnib/**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// A part of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step<'p> {
    Literal(&'p str),
    /// One component.
    Any,
    /// Any number of components, none too.
    Rest,
}

/// The text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a repository pattern: components of a repository name, '*' for one component, '**' for any number")]
pub struct InvalidPattern;

impl Pattern {
    /// Reads a pattern: each component is `*`, `**` or a component of a repository name.
    ///
    /// # Errors
    /// [`InvalidPattern`].
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let valid = |component: &str| matches!(component, "*" | "**") || Repository::parse(component).is_ok();
        if text.split('/').all(valid) { Ok(Self(text.to_owned())) } else { Err(InvalidPattern) }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the name of one repository.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether some repository is covered by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (own, others) = (self.steps(), other.steps());
        let width = others.len() + 1;
        let (mut open, mut seen) = (vec![(0, 0)], vec![false; (own.len() + 1) * width]);
        // A place says how much of each pattern the same components can cover.
        while let Some((i, j)) = open.pop() {
            if seen.get_mut(i * width + j).is_none_or(|seen| std::mem::replace(seen, true)) {
                continue;
            }
            match (own.get(i), others.get(j)) {
                (None, None) => return true,
                (Some(Step::Rest), other) => {
                    open.push((i + 1, j));
                    open.extend(other.map(|_| (i, j + 1)));
                }
                (own, Some(Step::Rest)) => {
                    open.push((i, j + 1));
                    open.extend(own.map(|_| (i + 1, j)));
                }
                (Some(one), Some(another)) if one == another || [one, another].contains(&&Step::Any) => {
                    open.push((i + 1, j + 1));
                }
                _ => {}
            }
        }
        false
    }

    fn steps(&self) -> Vec<Step<'_>> {
        let steps = |component| match component {
            "**" => vec![Step::Any, Step::Rest],
            "*" => vec![Step::Any],
            literal => vec![Step::Literal(literal)],
        };
        self.0.split('/').flat_map(steps).collect()
    }

    /// Whether the pattern covers this repository.
    #[must_use]
    pub fn matches(&self, repository: &Repository) -> bool {
        let names: Vec<&str> = repository.as_str().split('/').collect();
        // reached[n]: the pattern so far can end before component n. One pass per pattern component, so that many
        // `**` cost no more than their number.
        let mut reached = vec![false; names.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        for component in self.0.split('/') {
            let mut next = vec![false; names.len() + 1];
            let mut open = false;
            for ((before, after), name) in reached.iter().zip(next.iter_mut().skip(1)).zip(&names) {
                open |= *before;
                *after = match component {
                    "**" => open,
                    "*" => *before,
                    literal => *before && literal == *name,
                };
            }
            reached = next;
        }
        reached.last() == Some(&true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_components() {
        let rows = [
            ("library/*", "library/nginx", true),
            ("library/*", "library/nginx/debug", false),
            ("library/*", "library", false),
            ("*", "nginx", true),
            ("*", "library/nginx", false),
            ("**", "a/b/c", true),
            ("qnib/**", "qnib/a", true),
            ("qnib/**", "qnib/a/b", true),
            ("qnib/**", "qnib", false),
            ("qnib/**", "qnibble/a", false),
            ("**/bench", "a/b/bench", true),
            ("**/bench", "bench", false),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "a/z", false),
            ("a/*/z", "a/b/z", true),
            ("a/**/*/z", "a/b/z", false),
            ("qnib/bench", "qnib/bench", true),
            ("qnib/bench", "qnib/bench2", false),
        ];
        for (pattern, name, expected) in rows {
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(&Repository::parse(name).unwrap()), expected, "{pattern:?} {name}");
        }
    }

    #[test]
    fn patterns_that_cover_the_same_overlap() {
        let rows = [
            ("a/b", "a/b", true),
            ("a/b", "a/c", false),
            ("a/*", "*/b", true),
            ("a/*", "b/*", false),
            ("a/*", "a/*/c", false),
            ("a/**", "a/*/c", true),
            ("a/**", "a", false),
            ("**", "x", true),
            ("**/a", "b/**", true),
            ("**/a", "**/b", false),
            ("a/**/z", "a/z", false),
            ("a/**/z", "**/y/z", true),
            ("*", "*/*", false),
            ("**/**", "*", false),
        ];
        for (one, other, expected) in rows {
            let (one, other) = (Pattern::parse(one).unwrap(), Pattern::parse(other).unwrap());
            assert_eq!((one.overlaps(&other), other.overlaps(&one)), (expected, expected), "{one:?} {other:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        for text in ["", "/", "a//b", "a*", "***", "A/b", "a/[bc]", "../x", "a b"] {
            assert_eq!(Pattern::parse(text), Err(InvalidPattern), "{text}");
        }
    }
}
