//! The `Accept` header that upstream gets. A tag's own document is always asked for with the same four types: an answer
//! to one client's other types would be remembered for all.

use crate::oci::media_type;
use crate::text::headers::Headers;

/// The longest `Accept` of a client that goes upstream, all its headers together, in bytes.
const MAX_BYTES: usize = 1024;

/// Ranges besides the four types with which container runtimes ask, and which no registry prefers to them.
const HARMLESS: [&str; 5] = [
    "*/*",
    "application/json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.oci.artifact.manifest.v1+json",
];

/// The four manifest types without any reservation.
pub(super) fn all() -> String {
    media_type::ALL.join(", ")
}

/// The types that the client accepts: all its `Accept` headers in one, except those that are not UTF-8. A list that is
/// too long is replaced by the four types.
pub(super) fn sent(headers: Headers<'_>) -> String {
    if is_too_long(headers) {
        return all();
    }
    let values = headers.all("accept").filter_map(|value| std::str::from_utf8(value).ok());
    values.collect::<Vec<_>>().join(", ")
}

/// Whether the client's `Accept` must not go upstream.
pub(super) fn is_too_long(headers: Headers<'_>) -> bool {
    headers.all("accept").map(<[u8]>::len).sum::<usize>() > MAX_BYTES
}

/// Whether a request with the client's own `Accept` gets a tag's own document: the four types are accepted without any
/// reservation, as container runtimes do, and nothing else that a registry could prefer.
pub(super) fn asks_for_all(headers: Headers<'_>) -> bool {
    if is_too_long(headers) {
        return false;
    }
    let mut missing = media_type::ALL.to_vec();
    for value in headers.all("accept") {
        let Ok(value) = std::str::from_utf8(value) else { return false };
        for range in value.split(',').map(str::trim) {
            match missing.iter().position(|media_type| *media_type == range) {
                Some(position) => drop(missing.swap_remove(position)),
                None if HARMLESS.contains(&range) || media_type::ALL.contains(&range) => {}
                None => return false,
            }
        }
    }
    missing.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runtimes_send_goes_upstream_as_it_is() {
        let four = all();
        let rows: [(&[&str], bool); 11] = [
            (&[&four], true),
            (&media_type::ALL, true),
            (&[&format!("{four}, */*")], true),
            (&[&format!("application/json,{four}, application/vnd.docker.distribution.manifest.v1+prettyjws")], true),
            (&[&four, &four], true),
            (&[&media_type::ALL[..3].join(", ")], false),
            (&[&format!("{four}, application/vnd.example+json")], false),
            (&[&format!("{four};q=0")], false),
            (&[&four, "application/vnd.oci.image.index.v1+json;q=0"], false),
            (&[&four, &"x/y, ".repeat(300)], false),
            (&[], false),
        ];
        for (values, expected) in rows {
            let headers: Vec<_> = values.iter().map(|value| ("accept".to_owned(), value.as_bytes().to_vec())).collect();
            assert_eq!(asks_for_all(Headers(&headers)), expected, "{values:?}");
        }
        let not_text = [("accept".to_owned(), four.into_bytes()), ("accept".to_owned(), b"\xff".to_vec())];
        assert!(!asks_for_all(Headers(&not_text)));
    }

    #[test]
    fn what_is_too_long_is_replaced() {
        let headers = |length| [("accept".to_owned(), vec![b'x'; length])];
        assert_eq!(sent(Headers(&headers(MAX_BYTES))).len(), MAX_BYTES);
        assert_eq!(sent(Headers(&headers(MAX_BYTES + 1))), all());
    }
}
