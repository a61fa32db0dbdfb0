//! Text from outside, made fit for headers, logs and terminals.

/// `text` in printable ASCII, at most `limit` bytes: anything else (control characters, escapes that repaint a
/// terminal, look-alike letters) becomes `?`, and what is too long ends in `...`.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    let clean = |character: char| if character.is_ascii_graphic() || character == ' ' { character } else { '?' };
    let mut result: String = text.chars().map(clean).take(limit + 1).collect();
    if result.len() > limit {
        result.truncate(limit.saturating_sub(3));
        result.push_str("...");
    }
    result
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn keeps_only_what_is_harmless() {
        assert_eq!(printable("cpu:skylake nvcap:8.6", 40), "cpu:skylake nvcap:8.6");
        assert_eq!(printable("a\r\nb\u{1b}[31mc\u{e9}\u{202e}", 40), "a??b?[31mc??");
        assert_eq!(printable("0123456789", 10), "0123456789");
        assert_eq!(printable("01234567890", 10), "0123456...");
        assert_eq!(printable(&"\u{1f600}".repeat(1000), 10), "???????...");
    }
}
