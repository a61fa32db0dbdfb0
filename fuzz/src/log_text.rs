//! Properties of text for logs and headers.

/// Printable ASCII of bounded length, fit for logs and headers.
pub(crate) fn harmless(words: &str) -> bool {
    words.len() < 2000 && words.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}
