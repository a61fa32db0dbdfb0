//! Query strings of MetaHub's own endpoints (`/metahub/v1/explain?image=…`).

use crate::oci::reference::{Reference, Repository, Tag};

/// Marks the one repetition of a request whose token had expired.
pub const RETRY_MARK: &str = "metahub-retry=1";

/// The longest value that is read, in bytes as it was sent: the longest description of a machine, all of it escaped. No
/// image has a longer name.
const MAX_VALUE: usize = 3 * 1024;

/// The query of `explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainQuery {
    /// The repository.
    pub repository: Repository,
    /// The tag or digest; `latest` if none is given.
    pub reference: Reference,
    /// Only this machine type.
    pub machine_type: Option<String>,
    /// Only machine types after this one, in the order of their names: the previous page ended there.
    pub after: Option<String>,
    /// The query without `after`, as it was sent: the next page's query is made of it.
    pub rest: String,
}

/// Reads the query of `explain`. Keys that are not MetaHub's (containerd's `ns`) are for Envoy's routes.
/// `None` if there is no image or more than one, or its name breaks the grammar.
#[must_use]
pub fn explain(query: &str) -> Option<ExplainQuery> {
    let image = single(query, "image")?;
    let machine_type = single(query, "machine_type");
    if machine_type.is_none() && query.split('&').any(|pair| pair.starts_with("machine_type=")) {
        // A machine type that cannot be read is not the same as none.
        return None;
    }
    let (name, reference) = if let Some((name, digest)) = image.split_once('@') {
        (name, Reference::parse(digest).ok().filter(|reference| matches!(reference, Reference::Digest(_))))
    } else if let Some((name, tag)) = image.split_once(':') {
        (name, Tag::parse(tag).ok().map(Reference::Tag))
    } else {
        (image.as_str(), Tag::parse("latest").ok().map(Reference::Tag))
    };
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("after=") && *pair != RETRY_MARK).collect();
    Some(ExplainQuery {
        repository: Repository::parse(name).ok()?,
        reference: reference?,
        machine_type,
        after: after(query),
        rest: rest.join("&"),
    })
}

/// The name at which the previous page ended.
#[must_use]
pub fn after(query: &str) -> Option<String> {
    single(query, "after")
}

/// The decoded value of a key; `None` unless it is there exactly once and is UTF-8.
fn single(query: &str, key: &str) -> Option<String> {
    let mut values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| *name == key);
    let (_, value) = values.next()?;
    if values.next().is_some() || value.len() > MAX_VALUE { None } else { decode(value) }
}

/// Percent-decoding (RFC 3986 §2.1); `None` for a malformed escape, or text that is not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok().filter(|digits| !digits.starts_with('+'))?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// Repository, reference, machine type and cursor, in one line.
    fn read(query: &str) -> Option<String> {
        let query = explain(query)?;
        let reference = match &query.reference {
            Reference::Tag(tag) => tag.as_str().to_owned(),
            Reference::Digest(digest) => digest.to_string(),
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        Some(format!(
            "{} {reference} {} {} {}",
            query.repository,
            or_none(query.machine_type),
            or_none(query.after),
            query.rest
        ))
    }

    #[test]
    fn reads_images() {
        let rows = [
            ("image=qnib/bench".to_owned(), "qnib/bench latest - - image=qnib/bench".to_owned()),
            ("image=a:v1&ns=docker.io".into(), "a v1 - - image=a:v1&ns=docker.io".into()),
            ("after=t7&image=a%2Fb%3Av1".into(), "a/b v1 - t7 image=a%2Fb%3Av1".into()),
            ("image=a&machine_type=x.y".into(), "a latest x.y - image=a&machine_type=x.y".into()),
            ("image=a&metahub-retry=1".into(), "a latest - - image=a".into()),
            (format!("image=a@{DIGEST}"), format!("a {DIGEST} - - image=a@{DIGEST}")),
        ];
        for (query, expected) in rows {
            assert_eq!(read(&query), Some(expected), "{query}");
        }
    }

    #[test]
    fn refuses_what_names_no_image() {
        for query in [
            "",
            "image=",
            "image",
            "image=A",
            "image=a&image=a",
            "image=a:",
            "image=a@latest",
            "image=a%2",
            "image=a%zz",
            "image=%ff",
            "image=a:b:c",
            "img=a",
        ] {
            assert_eq!(read(query), None, "{query}");
        }
    }
}
