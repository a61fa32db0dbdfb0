//! The configuration as one tree, whichever form Envoy hands over, and the hash of it.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use crate::oci::digest::hex;
use crate::text::json::{Malformed, Reader, Stop};

/// A value of JSON; texts are borrowed from the configuration's bytes where they stand there as they are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// A Struct knows doubles only, so JSON text means them too.
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Map(Map<'a>),
}

/// In any order, until [`Value::sort`].
pub(super) type Map<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

impl<'a> Value<'a> {
    /// Sorts the keys of all maps.
    ///
    /// # Errors
    /// A key that one map has twice.
    pub(super) fn sort(&mut self) -> Result<(), Cow<'a, str>> {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => Ok(()),
            Self::List(list) => list.iter_mut().try_for_each(Self::sort),
            Self::Map(map) => {
                map.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
                let pairs = map.iter().zip(map.iter().skip(1));
                for ((one, _), (other, _)) in pairs {
                    if one == other {
                        return Err(one.clone());
                    }
                }
                map.iter_mut().try_for_each(|(_, value)| value.sort())
            }
        }
    }

    /// What kind of value it is, in words.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Inline upstream passwords stay out of the hash: it is public, and they may be short enough to guess.
const SECRET: [&str; 4] = ["registries", ANY, "credentials", "password"];

/// Stands for every key of a map.
const ANY: &str = "*";

/// sha256 of a sorted document: the same for JSON text and the Struct that means the same.
pub(super) fn hash(document: &Value<'_>) -> String {
    let mut hasher = Hasher { hash: Sha256::new(), buffer: Vec::with_capacity(2 * FLUSH) };
    hasher.value(document, &SECRET);
    hasher.hash.update(&hasher.buffer);
    format!("sha256:{}", hex(&hasher.hash.finalize()))
}

/// Gathers small pieces: each update of a hash has a price.
struct Hasher {
    hash: Sha256,
    buffer: Vec<u8>,
}

/// Bytes that are gathered.
const FLUSH: usize = 4096;

impl Hasher {
    /// `secret` is the rest of the path to what is left out; empty off that path. Each part is preceded by its kind
    /// and length, so that no two documents put in the same bytes.
    fn value(&mut self, value: &Value<'_>, secret: &[&str]) {
        match value {
            Value::Null => self.part(b'0', 0, &[]),
            Value::Bool(truth) => self.part(b'?', usize::from(*truth), &[]),
            Value::Number(number) => self.part(b'#', 0, &number.to_le_bytes()),
            Value::Text(text) => self.part(b'"', text.len(), text.as_bytes()),
            Value::List(list) => {
                self.part(b'[', list.len(), &[]);
                list.iter().for_each(|value| self.value(value, &[]));
            }
            Value::Map(map) => {
                self.part(b'{', map.len(), &[]);
                for (key, value) in map {
                    self.part(b':', key.len(), key.as_bytes());
                    match secret {
                        [last] if *last == key => self.value(&Value::Null, &[]),
                        [next, rest @ ..] if *next == key || *next == ANY => self.value(value, rest),
                        _ => self.value(value, &[]),
                    }
                }
            }
        }
    }

    fn part(&mut self, kind: u8, length: usize, bytes: &[u8]) {
        self.buffer.push(kind);
        self.buffer.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= FLUSH {
            self.hash.update(&self.buffer);
            self.buffer.clear();
        }
    }
}

/// Reads JSON text.
///
/// # Errors
/// Where it is not JSON, or has a number that no configuration has.
pub(super) fn read(text: &str) -> Result<Value<'_>, Malformed> {
    let mut reader = Reader::new(text);
    let value = value(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|_| reader.malformed())
}

fn value<'a>(reader: &mut Reader<'a>) -> Result<Value<'a>, Stop> {
    match reader.peek() {
        Some(b'{') => {
            let mut map = Map::new();
            reader.object(|reader, name| {
                map.push((name.to_owned().into(), value(reader)?));
                Ok(())
            })?;
            Ok(Value::Map(map))
        }
        Some(b'[') => {
            let mut list = Vec::new();
            reader.list(|reader| {
                list.push(value(reader)?);
                Ok(())
            })?;
            Ok(Value::List(list))
        }
        Some(b'"') => {
            let text = reader.string()?;
            text.map(Value::Text).ok_or_else(|| reader.stop("expected a text without half characters"))
        }
        Some(b'-' | b'0'..=b'9') => {
            // Nothing in a configuration has a fraction, and to read one takes tables of 10 KiB.
            let number: Result<i64, _> = reader.number()?.parse();
            #[expect(clippy::cast_precision_loss, reason = "as in a Struct")]
            number.map(|number| Value::Number(number as f64)).map_err(|_| reader.stop("expected a whole number"))
        }
        first => {
            reader.skip()?;
            Ok(first.filter(|first| *first != b'n').map_or(Value::Null, |first| Value::Bool(first == b't')))
        }
    }
}
