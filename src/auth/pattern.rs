//! Patterns for repository names: `*` is one component, `**` is one or more.

use crate::oci::reference::Repository;

/// A pattern such as `library/*` or `qnib/**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

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
    fn refuses_what_is_no_pattern() {
        for text in ["", "/", "a//b", "a*", "***", "A/b", "a/[bc]", "../x", "a b"] {
            assert_eq!(Pattern::parse(text), Err(InvalidPattern), "{text}");
        }
    }
}
