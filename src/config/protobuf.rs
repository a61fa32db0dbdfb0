//! A binary `google.protobuf.Struct` → the configuration's tree.
//!
//! Written by hand, because a generated decoder copies every text and makes a tree of its own first, and because it is
//! small: a Struct has three kinds of message (protobuf's `struct.proto`; wire format:
//! <https://protobuf.dev/programming-guides/encoding/>). Fields that `struct.proto` does not know are skipped, as
//! protobuf has it. A map entry or value that says the same twice, which no encoder writes, is refused.

use std::borrow::Cow;

use super::document::{Map, Value};

/// Values within each other; a configuration has about six.
const MAX_DEPTH: u32 = 64;

/// The bytes are no Struct, or one that is nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads a Struct.
pub(super) fn decode(bytes: &[u8]) -> Result<Map<'_>, Malformed> {
    structure(bytes, MAX_DEPTH)
}

/// `message Struct { map<string, Value> fields = 1; }`
fn structure(bytes: &[u8], depth: u32) -> Result<Map<'_>, Malformed> {
    let mut map = Map::new();
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        if field.0 == 1 {
            map.push(entry(field.bytes()?, depth)?);
        }
    }
    Ok(map)
}

/// An entry of a map: key 1, value 2. What is not written has its default.
fn entry(bytes: &[u8], depth: u32) -> Result<(Cow<'_, str>, Value<'_>), Malformed> {
    let (mut key, mut content) = (None, None);
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        match field.0 {
            1 => once(&mut key, field.text()?)?,
            2 => once(&mut content, value(field.bytes()?, depth)?)?,
            _ => {}
        }
    }
    Ok((key.unwrap_or_default(), content.unwrap_or(Value::Null)))
}

/// `message Value { oneof kind { … } }`
fn value(bytes: &[u8], depth: u32) -> Result<Value<'_>, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let mut kind = None;
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        let read = match (field.0, &field.1) {
            (1, Wire::Varint(_)) => Value::Null,
            (2, Wire::Fixed64(number)) => Value::Number(f64::from_le_bytes(*number)),
            (3, _) => Value::Text(field.text()?),
            (4, Wire::Varint(truth)) => Value::Bool(*truth != 0),
            (5, _) => Value::Map(structure(field.bytes()?, depth)?),
            (6, _) => Value::List(list(field.bytes()?, depth)?),
            (1 | 2 | 4, _) => return Err(Malformed),
            _ => continue,
        };
        once(&mut kind, read)?;
    }
    Ok(kind.unwrap_or(Value::Null))
}

/// `message ListValue { repeated Value values = 1; }`
fn list(bytes: &[u8], depth: u32) -> Result<Vec<Value<'_>>, Malformed> {
    let mut values = Vec::new();
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        if field.0 == 1 {
            values.push(value(field.bytes()?, depth)?);
        }
    }
    Ok(values)
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Malformed> {
    if place.replace(value).is_some() { Err(Malformed) } else { Ok(()) }
}

/// A field's number and content.
struct Field<'a>(u64, Wire<'a>);

enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Field<'a> {
    const fn bytes(&self) -> Result<&'a [u8], Malformed> {
        match self.1 {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    fn text(&self) -> Result<Cow<'a, str>, Malformed> {
        std::str::from_utf8(self.bytes()?).map(Cow::Borrowed).map_err(|_| Malformed)
    }
}

/// The fields of a message that are still to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<Field<'a>>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(self.take(8)?.try_into().map_err(|_| Malformed)?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Wire::Fixed32)?,
            // Groups, which protobuf has long given up, and nothing.
            _ => return Err(Malformed),
        };
        match tag >> 3 {
            0 => Err(Malformed),
            number => Ok(Some(Field(number, wire))),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow. At most 64 bits.
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_an_encoder_writes() {
        // {"a": ["x", 0.5, true, null]}, from the wire format's definition.
        let items: [&[u8]; 4] = [b"\x1a\x01x", b"\x11\0\0\0\0\0\0\xe0\x3f", b"\x20\x01", b"\x08\0"];
        let list: Vec<u8> = items.iter().flat_map(|item| field(1, item)).collect();
        let bytes = field(1, &[field(1, b"a"), field(2, &field(6, &list))].concat());
        let items = vec![Value::Text("x".into()), Value::Number(0.5), Value::Bool(true), Value::Null];
        assert_eq!(decode(&bytes), Ok(vec![("a".into(), Value::List(items))]));
        // What is not written is the default, what is not known is skipped: fields of all wire types.
        assert_eq!(decode(b""), Ok(vec![]));
        assert_eq!(decode(&field(1, b"")), Ok(vec![("".into(), Value::Null)]));
        let unknown = [b"\x78\x96\x01" as &[u8], b"\x7d\0\0\0\0", b"\x79\0\0\0\0\0\0\0\0", &field(15, b"x")].concat();
        assert_eq!(decode(&unknown), Ok(vec![]));
    }

    #[test]
    fn refuses_what_is_malformed() {
        let value = |value: &[u8]| field(1, &field(2, value));
        let rows: Vec<(Vec<u8>, &str)> = vec![
            (b"\x0a".to_vec(), "no length"),
            (b"\x0a\x05ab".to_vec(), "a length beyond the end"),
            (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".to_vec(), "a length of 64 bits"),
            (vec![0xff; 11], "a number that never ends"),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02".to_vec(), "a number above 64 bits"),
            (b"\x08\x01".to_vec(), "a map that is a number"),
            (b"\x02\0".to_vec(), "field number 0"),
            (b"\x0b\x0c".to_vec(), "a group"),
            (field(1, &field(1, b"\xff")), "a key that is no UTF-8"),
            (value(&field(3, b"\xff")), "a text that is no UTF-8"),
            (value(b"\x10\x01"), "a double that is a number of another kind"),
            (value(&field(4, b"\x01")), "a bool that is a text"),
            (value(b"\x18\x01"), "a text that is a number"),
            (value(b"\x11\0\0"), "a double that is cut off"),
            (value(b"\x20\x01\x20\x01"), "two kinds in one value"),
            (field(1, &[field(1, b"a"), field(1, b"b")].concat()), "two keys in one entry"),
        ];
        for (bytes, why) in rows {
            assert_eq!(decode(&bytes), Err(Malformed), "{why}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| {
            let innermost = field(3, b"x");
            let list = (1..levels).fold(innermost, |inner, _| field(6, &field(1, &inner)));
            field(1, &field(2, &list))
        };
        assert!(decode(&nested(64)).is_ok());
        assert_eq!(decode(&nested(65)), Err(Malformed));
    }

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length > 127 {
            field.push(u8::try_from(length & 127).unwrap() | 128);
            length >>= 7;
        }
        field.push(u8::try_from(length).unwrap());
        field.extend_from_slice(bytes);
        field
    }
}
