//! `Accept`: what a client sends of it, and what upstream must hear so that it answers with a tag's own document.

use crate::headers::Headers;
use crate::media_type;

/// What the client accepts: all its `Accept` headers in one, but for those that are not UTF-8.
pub(super) fn sent(headers: Headers<'_>) -> String {
    let values = headers.all("accept").filter_map(|value| std::str::from_utf8(value).ok());
    values.collect::<Vec<_>>().join(", ")
}

/// Whether the four manifest types are accepted without any reservation, as container runtimes do.
pub(super) fn is_complete(accepted: &str) -> bool {
    let mut missing = media_type::ALL.to_vec();
    for range in ranges(accepted) {
        match missing.iter().position(|media_type| *media_type == range) {
            Some(position) => drop(missing.swap_remove(position)),
            None if is_manifest(range) => return false,
            None => {}
        }
    }
    missing.is_empty()
}

/// What the client accepts, and the four manifest types without any reservation (`q=0` would get another document).
#[inline(never)]
pub(super) fn completed(accepted: &str) -> String {
    let others = ranges(accepted).filter(|range| !range.is_empty() && !is_manifest(range));
    others.chain(media_type::ALL).collect::<Vec<_>>().join(", ")
}

fn ranges(accepted: &str) -> impl Iterator<Item = &str> {
    accepted.split(',').map(str::trim)
}

/// Whether a range is one of the four types, with or without a reservation.
fn is_manifest(range: &str) -> bool {
    media_type::ALL.iter().any(|media_type| media_type::same(range, media_type))
}
