//! The JSON that is accepted, and the text of its strings, compared with `serde_json`.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn skips(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.skip().and_then(|()| reader.end()).is_ok()
}

fn string(text: &str) -> Option<String> {
    Reader::new(text).string().ok()?.map(Cow::into_owned)
}

#[test]
fn what_is_json_is_what_serde_json_says() {
    let values = [
        "null",
        "nul",
        "nullx",
        "true",
        "false",
        "True",
        "0",
        "-0",
        "00",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1.5",
        "1e5",
        "1E+5",
        "1e-",
        "1e",
        "1e999",
        "123456789012345678901234567890",
        "\"\"",
        "\"",
        "\"a",
        "\"\\n\"",
        "\"\\x\"",
        "\"\\u00e9\"",
        "\"\\u00g9\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\u{1f}\"",
        "\"\u{7f}\u{e9}\"",
        "\"1234567\\\"\"",
        "\"12345678\\\\\"",
        "[]",
        "[",
        "]",
        "[1]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,2 ]",
        "{}",
        "{",
        "{\"a\":1}",
        "{\"a\" : 1 , \"b\":[{}]}",
        "{\"a\":1,}",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":}",
        "{1:1}",
        "",
        " ",
        " 1 ",
        "\u{a0}1",
        "1 1",
        "/**/1",
        "NaN",
        "[[]",
        "[]]",
        "{\"\\ud800\":1}",
    ];
    for text in values {
        assert_eq!(skips(text), serde_json::from_str::<IgnoredAny>(text).is_ok(), "{text:?}");
    }
}

#[test]
fn escapes_are_what_serde_json_says() {
    for text in [
        r#""plain""#,
        r#""\"\\\/\b\f\n\r\t""#,
        r#""am\u0064\u0036""#,
        r#""\ud83d\ude00!""#,
        r#""\ud83d""#,
        r#""\ud83dx""#,
        r#""\ud83d\n""#,
        r#""\ude00\ud83d""#,
        r#""\ud83d\u0041""#,
        r#""\u0000é\u00E9""#,
    ] {
        assert_eq!(string(text), serde_json::from_str(text).ok(), "{text}");
    }
}

#[test]
fn every_byte_ends_a_string_or_does_not() {
    for byte in 0..=u8::MAX {
        let ends = byte < 0x20 || byte == b'"' || byte == b'\\';
        for place in 0..17 {
            let mut bytes = [b'a'; 20];
            bytes[place] = byte;
            bytes[18] = b'"';
            assert_eq!(plain_until(&bytes, 0), if ends { place } else { 18 }, "{byte} at {place}");
        }
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(skips(&deep(128)) && !skips(&deep(129)));
    assert!(!skips(&r#"{"a":"#.repeat(1_000_000)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pieces_are_judged_like_serde_json(pieces in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\"a\"", "\"b\":", "\\u12aF", "\\ud800", "1", "-2.5e3", "0", "null",
        "true", " ", "\n", "x", "\u{e9}", "12345678", "\u{1}",
    ]), 0..12)) {
        let text = pieces.concat();
        prop_assert_eq!(skips(&text), serde_json::from_str::<IgnoredAny>(&text).is_ok());
        if text.starts_with('"') && skips(&text) {
            prop_assert_eq!(string(&text), serde_json::from_str::<String>(&text).ok());
        }
    }

    #[test]
    fn any_string_comes_back(text in ".*") {
        prop_assert_eq!(string(&serde_json::to_string(&text).unwrap()), Some(text));
    }
}
