//! `If-None-Match` of a request for a manifest (RFC 9110 §13.1.2). MetaHub answers it itself where it selects the
//! manifest: the registry knows another one behind the tag.

use crate::oci::digest::Digest;
use crate::text::headers::Headers;

/// The longest condition that is kept, in bytes: the request may wait. A longer one is met with the whole document.
const MAX_BYTES: usize = 1024;

/// The entity tags of the documents that the client has, as it sent them.
#[derive(Debug)]
pub(super) struct NoneMatch(Box<str>);

impl NoneMatch {
    /// The condition of a request; `None` if it has none, or one that is not text or too long.
    pub(super) fn of(headers: Headers<'_>) -> Option<Self> {
        let mut values = headers.all("if-none-match").map(std::str::from_utf8);
        let mut all = values.next()?.ok()?.to_owned();
        for value in values {
            all.push(',');
            all.push_str(value.ok()?);
        }
        (all.len() <= MAX_BYTES).then(|| Self(all.into()))
    }

    /// Whether the client has the manifest with this digest, whose entity tag is the quoted digest. The comparison is
    /// weak (RFC 9110 §8.8.3.2). A list counts up to the first mistake in it.
    pub(super) fn names(&self, digest: &Digest) -> bool {
        let mut rest = self.0.trim_matches(BLANK);
        if rest == "*" {
            return true;
        }
        loop {
            rest = rest.trim_start_matches(BLANK_OR_COMMA);
            let opaque = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"');
            let Some((tag, after)) = opaque.and_then(|opaque| opaque.split_once('"')) else { return false };
            if tag == digest.as_str() {
                return true;
            }
            rest = after;
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];
const BLANK_OR_COMMA: [char; 3] = [' ', '\t', ','];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_manifest_that_the_client_has() {
        let digest = Digest::of(b"");
        let rows: [(&[&str], bool); 16] = [
            (&["\"D\""], true),
            (&["W/\"D\""], true),
            (&["  \"D\"\t"], true),
            (&["*"], true),
            (&[" * "], true),
            (&["\"x\", W/\"y\",\"D\""], true),
            (&["\"a,b\",,\"D\""], true),
            (&["\"x\"", "\"D\""], true),
            (&[], false),
            (&[""], false),
            (&["\"x\""], false),
            (&["D"], false),
            (&["w/\"D\""], false),
            (&["\"D"], false),
            (&["\"*\""], false),
            (&["x, \"D\""], false),
        ];
        for (values, expected) in rows {
            let header = |value: &&str| {
                let value = value.replace('D', digest.as_str());
                ("if-none-match".to_owned(), value.into_bytes())
            };
            let headers: Vec<_> = values.iter().map(header).collect();
            let names = NoneMatch::of(Headers(&headers)).is_some_and(|condition| condition.names(&digest));
            assert_eq!(names, expected, "{values:?}");
        }
        let long = ["\"x\",".repeat(MAX_BYTES / 4), "\"y\"".to_owned()].concat();
        let none = [b"\xff".as_slice(), long.as_bytes()];
        for value in none {
            assert!(NoneMatch::of(Headers(&[("if-none-match".to_owned(), value.to_vec())])).is_none());
        }
    }
}
