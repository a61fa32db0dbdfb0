//! JSON (RFC 8259) from registries, read without a tree, and answers written from one. Configurations are read by
//! serde.

mod reader;

use std::fmt::{self, Write as _};

pub(crate) use reader::{NOT_THE_END, Reader, Stop, TOO_DEEP};

/// A document to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object, written in this order.
    Object(Vec<(&'static str, Self)>),
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => f.write_str(if *truth { "true" } else { "false" }),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => string(f, text),
            Self::List(list) => {
                for (position, value) in list.iter().enumerate() {
                    f.write_str(if position == 0 { "[" } else { "," })?;
                    value.fmt(f)?;
                }
                f.write_str(if list.is_empty() { "[]" } else { "]" })
            }
            Self::Object(members) => {
                for (position, (name, value)) in members.iter().enumerate() {
                    f.write_str(if position == 0 { "{" } else { "," })?;
                    string(f, name)?;
                    f.write_char(':')?;
                    value.fmt(f)?;
                }
                f.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

/// A string in quotes, with escapes for what must not stand in one.
fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let parts = rest.split_at_checked(at);
        debug_assert!(parts.is_some(), "an ASCII character begins at {at}");
        let (plain, special) = parts.unwrap_or_default();
        f.write_str(plain)?;
        let mut characters = special.chars();
        match characters.next() {
            Some(sign @ ('"' | '\\')) => write!(f, "\\{sign}")?,
            Some(control) => write!(f, "\\u{:04x}", u32::from(control))?,
            None => {}
        }
        rest = characters.as_str();
    }
    f.write_str(rest)?;
    f.write_char('"')
}

impl From<bool> for Json {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Json {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Json {
    fn from(list: Vec<T>) -> Self {
        list.into_iter().collect()
    }
}

impl<T: Into<Self>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// An object: `json!({ "name": value, … })`, each value anything that becomes a [`Json`].
macro_rules! json {
    ({ $($name:literal: $value:expr),* $(,)? }) => {
        $crate::text::json::Json::Object(vec![$(($name, $crate::text::json::Json::from($value))),*])
    };
}

pub(crate) use json;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::Json;

    #[test]
    fn serde_json_reads_what_is_written() {
        let texts = ["", "plain", "\"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}", "\u{e9}\u{2028}\u{1f600}", "\\u0041"];
        for text in texts {
            let written = Json::from(text).to_string();
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text, "{written}");
        }
        let document = json!({
            "nothing": None::<&str>, "truth": true, "most": u64::MAX, "none": Vec::<Json>::new(), "empty": json!({}),
            "list": vec![json!({ "a\"b": "c" }), Json::Null, Json::Number(0)],
        });
        let expected = r#"{"nothing": null, "truth": true, "most": 18446744073709551615, "none": [], "empty": {},
            "list": [{"a\"b": "c"}, null, 0]}"#;
        let [read, expected] =
            [&document.to_string(), expected].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(read, expected);
    }
}
