//! The header in which a client's node says its machine type.

use std::borrow::Cow;

use crate::text::headers::Headers;

/// The header.
const NAME: &str = "x-metahub-machine-type";
/// The longest value that is read, in bytes.
const MAX_VALUE: usize = 1024;

/// The text of the header, without blanks around it; `None` if it is not there.
///
/// # Errors
/// Why the header is refused. MetaHub does not choose one of several values.
pub(super) fn text(headers: Headers<'_>) -> Option<Result<Cow<'_, str>, &'static str>> {
    let mut values = headers.all(NAME);
    let raw = values.next()?;
    let first = match read(raw) {
        Ok(first) => first,
        Err(problem) => return Some(Err(problem)),
    };
    // A hundred lists may come, and each takes longer to read than to compare.
    for value in values.filter(|value| !value.eq_ignore_ascii_case(raw)) {
        match read(value) {
            Ok(other) if other.eq_ignore_ascii_case(&first) => {}
            Ok(_) => return Some(Err("is there more than once, with different values")),
            Err(problem) => return Some(Err(problem)),
        }
    }
    Some(Ok(first))
}

fn read(value: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    if value.len() > MAX_VALUE {
        return Err("is longer than 1024 bytes");
    }
    let is_plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let text = std::str::from_utf8(value).ok().filter(|_| value.iter().all(is_plain));
    let text = text.ok_or("has characters that are not printable ASCII")?.trim();
    match text {
        "" => Err("is empty"),
        text if text.contains(',') => Ok(Cow::Owned(once(text))),
        text => Ok(Cow::Borrowed(text)),
    }
}

/// A list that a proxy has made of repeated headers (RFC 9110 §5.3), as it was before: the shortest list whose
/// repetition this one is. A list that repeats nothing stays, without blanks around its commas.
fn once(text: &str) -> String {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    // Most lengths divide nothing, and a list of a kilobyte has hundreds.
    let repeats = |length: &usize| {
        let mut pairs = parts.iter().zip(parts.iter().skip(*length));
        parts.len().is_multiple_of(*length) && pairs.all(|(one, other)| one.eq_ignore_ascii_case(other))
    };
    let length = (1..parts.len()).find(repeats).unwrap_or(parts.len());
    parts.get(..length).unwrap_or_default().join(",")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn one_value_is_read_or_several_that_are_equal() {
        let long = "x".repeat(MAX_VALUE);
        let too_long = "x".repeat(MAX_VALUE + 1);
        let rows: [(&[&str], Option<Result<&str, &str>>); 19] = [
            (&[], None),
            (&["gpu1"], Some(Ok("gpu1"))),
            (&[" \tgpu1 "], Some(Ok("gpu1"))),
            (&["gpu1", "gpu1"], Some(Ok("gpu1"))),
            (&["Gpu1", " gpu1"], Some(Ok("Gpu1"))),
            (&["gpu1,gpu1"], Some(Ok("gpu1"))),
            (&["gpu1, GPU1 ,gpu1", "gpu1"], Some(Ok("gpu1"))),
            (&["cpu=icelake,ib,cpu=icelake,ib"], Some(Ok("cpu=icelake,ib"))),
            (&["cpu=icelake, ib"], Some(Ok("cpu=icelake,ib"))),
            (&[&long], Some(Ok(&long))),
            // No machine type has such a name.
            (&["gpu1,gpu2"], Some(Ok("gpu1,gpu2"))),
            (&["gpu1,"], Some(Ok("gpu1,"))),
            (&["gpu1", "gpu2"], Some(Err("is there more than once, with different values"))),
            (&["gpu1", ""], Some(Err("is empty"))),
            (&[""], Some(Err("is empty"))),
            (&["  "], Some(Err("is empty"))),
            (&["gpu1\u{7f}"], Some(Err("has characters that are not printable ASCII"))),
            (&["gpü1"], Some(Err("has characters that are not printable ASCII"))),
            (&[&too_long], Some(Err("is longer than 1024 bytes"))),
        ];
        for (values, expected) in rows {
            let headers: Vec<(String, Vec<u8>)> =
                values.iter().map(|value| (NAME.to_owned(), value.as_bytes().to_vec())).collect();
            let text = text(Headers(&headers));
            assert_eq!(text.as_ref().map(|text| text.as_deref().map_err(|problem| *problem)), expected, "{values:?}");
        }
        assert!(text(Headers(&[(NAME.to_owned(), b"\xff".to_vec())])).is_some_and(|text| text.is_err()));
    }

    /// As many lists as Envoy takes, in each of which nearly every length seems to repeat: they took a second here.
    #[test]
    fn lists_that_nearly_repeat_are_read_quickly() {
        let list = format!("{}b", "a,".repeat(511));
        let headers: Vec<(String, Vec<u8>)> = (0..90).map(|_| (NAME.to_owned(), list.clone().into_bytes())).collect();
        let read = || {
            let began = Instant::now();
            assert_eq!(text(Headers(&headers)), Some(Ok(Cow::Borrowed(list.as_str()))));
            began.elapsed()
        };
        let fastest = (0..5).map(|_| read()).min().unwrap_or_default();
        assert!(fastest < Duration::from_millis(100), "{fastest:?}");
    }
}
