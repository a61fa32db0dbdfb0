//! Notes on what goes wrong with an image beside other tools.

use crate::text::json::Json;

/// The note where machine types get different images of a tag.
const DIFFERENT: &str = "machine types get different images of this tag; before mirrors, pinned digests or builds for \
                         several platforms use it, see docs/limits.md#beside-other-tools";

/// The notes about a tag of which machine types get this many different images.
#[must_use]
pub fn notes(images: usize) -> Json {
    (images > 1).then(|| Json::from(DIFFERENT)).into_iter().collect()
}
