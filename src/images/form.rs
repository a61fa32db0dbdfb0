//! Forms of tags: patterns, which tell which tags are meant, and templates, which make one tag of another.
//!
//! Both are literal text with holes. A hole stands for one or more characters, as few as will do. In a pattern it is
//! `*` or `{name}`; a template has names only, and `{tag}` stands for the whole tag.

use std::fmt;

/// The name that stands for the whole tag.
const TAG: &str = "tag";

/// Literal text with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    text: String,
    /// The text before the first hole.
    prefix: String,
    holes: Vec<Hole>,
}

/// A hole, and the text up to the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hole {
    /// `None` for `*`.
    name: Option<String>,
    literal: String,
}

/// The texts that stand for names.
pub(super) type Names<'t> = Vec<(&'t str, &'t str)>;

impl Form {
    /// Reads a form; the error says in words what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        let mut form = Self { text: text.to_owned(), prefix: String::new(), holes: Vec::new() };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            match first {
                '*' => {
                    form.holes.push(Hole { name: None, literal: String::new() });
                    rest = rest.strip_prefix('*').unwrap_or_default();
                }
                '{' => {
                    let end = rest.find('}').ok_or("has a { without its }")?;
                    let name = rest.get(1..end).unwrap_or_default();
                    if !is_name(name) {
                        return Err(format!("{{{name}}} is not a name: lower-case letters, digits and '_'"));
                    }
                    form.holes.push(Hole { name: Some(name.to_owned()), literal: String::new() });
                    rest = rest.get(end + 1..).unwrap_or_default();
                }
                letter if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-') => {
                    form.holes.last_mut().map_or(&mut form.prefix, |hole| &mut hole.literal).push(letter);
                    rest = rest.get(1..).unwrap_or_default();
                }
                other => return Err(format!("has a {other:?}, which no tag has")),
            }
        }
        Ok(form)
    }

    /// The names, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.holes.iter().filter_map(|hole| hole.name.as_deref())
    }

    /// Whether there is a `*`.
    pub(super) fn has_wildcard(&self) -> bool {
        self.holes.iter().any(|hole| hole.name.is_none())
    }

    /// Whether it is `{tag}`.
    pub(super) fn is_tag(&self) -> bool {
        self.text == format!("{{{TAG}}}")
    }

    /// Whether some of its text is its own: a letter or a digit.
    pub(super) fn has_text(&self) -> bool {
        let mut literals = [&self.prefix].into_iter().chain(self.holes.iter().map(|hole| &hole.literal));
        literals.any(|literal| literal.bytes().any(|byte| byte.is_ascii_alphanumeric()))
    }

    /// The texts of the holes, if `tag` has this form. Each is as short as it can be.
    fn fill<'t>(&self, tag: &'t str) -> Option<Vec<&'t str>> {
        let mut rest = tag.strip_prefix(self.prefix.as_str())?;
        let Some((last, others)) = self.holes.split_last() else { return rest.is_empty().then(Vec::new) };
        let mut texts = Vec::with_capacity(self.holes.len());
        // The text behind a hole is sought from the hole's second character on. The first place is always right: a
        // later one would leave less for the other holes.
        for hole in others {
            let at = 1 + rest.get(1..)?.find(hole.literal.as_str())?;
            texts.push(rest.get(..at)?);
            rest = rest.get(at + hole.literal.len()..)?;
        }
        texts.push(rest.strip_suffix(last.literal.as_str()).filter(|text| !text.is_empty())?);
        Some(texts)
    }

    /// Whether `tag` has this form.
    pub(super) fn matches(&self, tag: &str) -> bool {
        self.fill(tag).is_some()
    }

    /// The names with their texts, if `tag` has this form; `tag` itself is among them.
    pub(super) fn names_in<'t>(&'t self, tag: &'t str) -> Option<Names<'t>> {
        let texts = self.fill(tag)?;
        let named = self.holes.iter().zip(texts).filter_map(|(hole, text)| Some((hole.name.as_deref()?, text)));
        Some(named.chain([(TAG, tag)]).collect())
    }

    /// The text that stands for `{tag}`, if `tag` has this form and `{tag}` is in it.
    pub(super) fn tag_in<'t>(&self, tag: &'t str) -> Option<&'t str> {
        let texts = self.fill(tag)?;
        self.holes.iter().zip(texts).find(|(hole, _)| hole.name.as_deref() == Some(TAG)).map(|(_, text)| text)
    }

    /// The tag that this template makes of these names.
    pub(super) fn expand(&self, names: &Names<'_>) -> String {
        let mut tag = self.prefix.clone();
        for hole in &self.holes {
            let text = names.iter().find(|(name, _)| Some(*name) == hole.name.as_deref()).map(|(_, text)| *text);
            debug_assert!(text.is_some(), "{self} has a hole that no pattern fills");
            tag.push_str(text.unwrap_or_default());
            tag.push_str(&hole.literal);
        }
        tag
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(word)
}

/// Reads a pattern for tags.
///
/// # Errors
/// In words, what is wrong with it.
pub(crate) fn pattern(text: &str) -> Result<Form, String> {
    let form = Form::parse(text)?;
    let names: Vec<&str> = form.names().collect();
    if names.contains(&TAG) {
        return Err("{tag} is the whole tag, which a template may use; a pattern has other names".to_owned());
    }
    let twice = names.iter().enumerate().find(|(position, name)| names.iter().take(*position).any(|one| one == *name));
    match twice {
        Some((_, name)) => Err(format!("has {{{name}}} twice")),
        None => Ok(form),
    }
}

/// Reads a template of a rule with these patterns.
///
/// # Errors
/// In words, what is wrong with it.
pub(crate) fn template(text: &str, patterns: &[Form]) -> Result<Form, String> {
    let form = Form::parse(text)?;
    if form.has_wildcard() {
        return Err("has a *, which stands for no text that a template could use; give it a name".to_owned());
    }
    if form.is_tag() {
        return Ok(form);
    }
    let known = |name: &str| name == TAG || patterns.iter().all(|pattern| pattern.names().any(|known| known == name));
    if let Some(name) = form.names().find(|name| !known(name)) {
        return Err(format!("{{{name}}} is in no pattern of this rule, or not in each of them"));
    }
    if !form.has_text() {
        return Err("has no letter or digit of its own; write one, or {tag}".to_owned());
    }
    if patterns.contains(&form) {
        return Err("makes the tag that was asked for; write {tag}".to_owned());
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that a pattern finds in a tag, in one line.
    fn found(form: &str, tag: &str) -> Option<String> {
        let form = pattern(form).unwrap();
        let names = form.names_in(tag)?;
        Some(names.iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn patterns_match_whole_tags() {
        let rows = [
            ("*", "latest", Some("tag=latest")),
            ("latest", "latest", Some("tag=latest")),
            ("latest", "latest-rocm", None),
            ("latest", "my-latest", None),
            ("10*", "10.1", Some("tag=10.1")),
            ("10*", "10", None),
            ("*-rocm", "0.5-rocm", Some("tag=0.5-rocm")),
            ("*-rocm", "-rocm", None),
            ("*-rocm", "a-rocm-rocm", Some("tag=a-rocm-rocm")),
            ("*-rocm", "0.5-rocm-x", None),
            ("{version}-{kind}", "2.9.0-runtime", Some("version=2.9.0 kind=runtime tag=2.9.0-runtime")),
            ("{version}-{kind}", "2.9.0-a-b", Some("version=2.9.0 kind=a-b tag=2.9.0-a-b")),
            ("{version}-{kind}", "2.9.0", None),
            ("{version}-{kind}", "2.9.0-", None),
            ("{version}-{kind}", "--x", Some("version=- kind=x tag=--x")),
            ("{a}{b}", "xyz", Some("a=x b=yz tag=xyz")),
            ("{a}{b}", "x", None),
            ("v{a}.{b}.*", "v1.2.3.4", Some("a=1 b=2 tag=v1.2.3.4")),
            ("*-{kind}-*", "1-x-2-y", Some("kind=x tag=1-x-2-y")),
            ("*a*b", "ababb", Some("tag=ababb")),
            ("*a*b", "aab", None),
        ];
        for (form, tag, expected) in rows {
            assert_eq!(found(form, tag).as_deref(), expected, "{form} {tag}");
        }
    }

    /// As few characters as will do never keeps a tag from having the form.
    #[test]
    fn short_holes_leave_enough_for_the_others() {
        let mut expressions = Vec::new();
        for form in ["*a*", "*a*b*", "a*b*a", "*ab*a*b", "**", "*b*b", "a*"] {
            expressions.push((pattern(form).unwrap(), form.as_bytes().to_vec()));
        }
        for length in 1..8_u32 {
            for number in 0..2_u32.pow(length) {
                let tag: String = (0..length).map(|bit| if number >> bit & 1 == 1 { 'b' } else { 'a' }).collect();
                for (form, text) in &expressions {
                    assert_eq!(form.matches(&tag), glob(text, tag.as_bytes()), "{form} {tag}");
                }
            }
        }
    }

    /// The same by trying everything.
    fn glob(form: &[u8], tag: &[u8]) -> bool {
        match (form.split_first(), tag.split_first()) {
            (None, None) => true,
            (Some((b'*', after)), Some(_)) => (1..=tag.len()).any(|length| glob(after, &tag[length..])),
            (Some((one, form)), Some((other, tag))) => one == other && glob(form, tag),
            _ => false,
        }
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        let rows = [
            ("", "is empty"),
            ("{", "without its }"),
            ("{a", "without its }"),
            ("{}", "not a name"),
            ("{A}", "not a name"),
            ("{1a}", "not a name"),
            ("{a}-{a}", "{a} twice"),
            ("{tag}", "the whole tag"),
            ("a}", "has a '}'"),
            ("a:b", "has a ':'"),
            ("a b", "has a ' '"),
            ("\u{e9}", "has a '\u{e9}'"),
        ];
        for (text, problem) in rows {
            let error = pattern(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn templates_make_tags() {
        let rows = [
            ("*", "{tag}", "0.5", "0.5"),
            ("*", "{tag}-rocm", "0.5", "0.5-rocm"),
            ("{version}-{kind}", "{version}-cuda12.8-{kind}", "2.9.0-runtime", "2.9.0-cuda12.8-runtime"),
            ("{version}-{kind}", "{kind}-of-{version}-{kind}", "1-x", "x-of-1-x"),
            ("latest", "latest-rocm", "latest", "latest-rocm"),
        ];
        for (form, text, tag, expected) in rows {
            let patterns = [pattern(form).unwrap()];
            let template = template(text, &patterns).unwrap();
            let made = template.expand(&patterns[0].names_in(tag).unwrap());
            assert_eq!(made, expected, "{form} {text} {tag}");
            assert!(template.matches(&made), "{form} {text} {tag}");
        }
    }

    #[test]
    fn refuses_what_is_no_template() {
        let rows = [
            ("*", "*-rocm", "has a *"),
            ("*", "{kind}-rocm", "{kind} is in no pattern"),
            ("{a}-{b}", "{a}", "no letter or digit of its own"),
            ("{a}-{b}", "{b}-{a}", "no letter or digit of its own"),
            ("{a}-cpu", "{a}-cpu", "write {tag}"),
            ("latest", "latest", "write {tag}"),
        ];
        for (form, text, problem) in rows {
            let error = template(text, &[pattern(form).unwrap()]).unwrap_err();
            assert!(error.contains(problem), "{form} {text}: {error}");
        }
        let two = [pattern("{a}-x").unwrap(), pattern("*-y").unwrap()];
        assert!(template("{a}-rocm", &two).unwrap_err().contains("not in each of them"));
    }
}
