//! The nature of a document, whether or not it can be used.

use std::borrow::Cow;

use crate::oci::media_type::Kind;
use crate::text::json::{NOT_THE_END, Reader, Stop, TOO_DEEP};

/// The nature of a document, by its content alone. The registry's `Content-Type` does not count: a machine must not be
/// handed a whole index by accident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nature {
    /// It is an index, usable or not: it has `manifests` or the `mediaType` of one.
    pub is_index: bool,
    /// Its `mediaType`, as container runtimes read it: letter case does not count, and of several the last one does.
    pub media_type: Option<String>,
}

impl Nature {
    /// The nature of these bytes; bytes that are no JSON object have none.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
        let mut json = Reader::new(&text);
        let mut found = Self::default();
        let read = json.object(|json, name| {
            if let Some(media_type) = own_media_type(json, name)? {
                found.is_index |= media_type.as_deref().is_some_and(|own| Kind::of(own) == Kind::Index);
                found.media_type = media_type.map(Cow::into_owned);
                return Ok(());
            }
            found.is_index |= is_named(name, "manifests");
            json.skip()
        });
        let whole = read.is_ok();
        let is_index = match read.and_then(|()| json.end()) {
            Ok(()) => found.is_index,
            // Other readers may well read this further than MetaHub does, and find something that they take for an
            // index.
            Err(Stop) => match json.malformed().problem {
                TOO_DEEP => true,
                NOT_THE_END => found.is_index,
                _ => false,
            },
        };
        let media_type = found.media_type.filter(|own| whole && !own.is_empty());
        Self { is_index, media_type }
    }
}

/// The value of a member that is a `mediaType`; `None` for any other member, which is not read.
pub(super) fn own_media_type<'a>(json: &mut Reader<'a>, name: &str) -> Result<Option<Option<Cow<'a, str>>>, Stop> {
    if is_named(name, "mediaType") && json.peek() == Some(b'"') { json.string().map(Some) } else { Ok(None) }
}

/// Whether Go's JSON decoder, and with it every container runtime, takes a member for the field of this name: it
/// ignores letter case, and knows the long s.
fn is_named(member: &str, field: &str) -> bool {
    let long_s = '\u{17f}';
    member.eq_ignore_ascii_case(field)
        || member.contains(long_s) && member.replace(long_s, "s").eq_ignore_ascii_case(field)
}
