//! The configuration as one tree, whichever form Envoy hands over: a `google.protobuf.Struct`.
//!
//! The messages of `struct.proto` are declared here and not taken from `prost-types`, which makes a B-tree of each
//! map. Its smallest node has room for eleven fields, and in thousands of machine types most maps have one or two.

use prost::{Message, Oneof};

/// `google.protobuf.Struct`: a map, its fields in any order until [`Map::sort`].
#[derive(Clone, PartialEq, Message)]
pub(super) struct Map {
    #[prost(message, repeated, tag = "1")]
    pub(super) fields: Vec<Field>,
}

/// An entry of a Struct's `fields`; protobuf's maps are lists of such messages.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Field {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, required, tag = "2")]
    pub(super) value: Value,
}

/// `google.protobuf.Value`. Without a kind it is null.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(oneof = "ValueKind", tags = "1, 2, 3, 4, 5, 6")]
    pub(super) kind: Option<ValueKind>,
}

/// The kinds of values.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum ValueKind {
    #[prost(int32, tag = "1")]
    Null(i32),
    /// A Struct has doubles only, so numbers in JSON text are doubles too.
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Map(Map),
    #[prost(message, tag = "6")]
    List(List),
}

/// `google.protobuf.ListValue`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct List {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<Value>,
}

impl Map {
    /// Sorts the keys of this map and all in it.
    ///
    /// # Errors
    /// A key that one map has twice.
    pub(super) fn sort(&mut self) -> Result<(), String> {
        self.fields.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let pairs = self.fields.iter().zip(self.fields.iter().skip(1));
        for (one, other) in pairs {
            if one.key == other.key {
                return Err(one.key.clone());
            }
        }
        self.fields.iter_mut().try_for_each(|field| field.value.sort())
    }
}

impl Value {
    fn sort(&mut self) -> Result<(), String> {
        match &mut self.kind {
            Some(ValueKind::Map(map)) => map.sort(),
            Some(ValueKind::List(list)) => list.values.iter_mut().try_for_each(Self::sort),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn decode(bytes: &[u8]) -> Option<Map> {
        Map::decode(bytes).ok()
    }

    #[test]
    fn reads_what_an_encoder_writes() {
        // {"a": ["x", 0.5, true, null]}, from the wire format's definition.
        let items: [&[u8]; 4] = [b"\x1a\x01x", b"\x11\0\0\0\0\0\0\xe0\x3f", b"\x20\x01", b"\x08\0"];
        let list: Vec<u8> = items.iter().flat_map(|item| field(1, item)).collect();
        let bytes = field(1, &[field(1, b"a"), field(2, &field(6, &list))].concat());
        let kinds =
            [ValueKind::Text("x".to_owned()), ValueKind::Number(0.5), ValueKind::Bool(true), ValueKind::Null(0)];
        let values = kinds.map(|kind| Value { kind: Some(kind) }).to_vec();
        let value = Value { kind: Some(ValueKind::List(List { values })) };
        assert_eq!(decode(&bytes), Some(Map { fields: vec![Field { key: "a".to_owned(), value }] }));
        // A missing field has its default, and an unknown field is skipped, whatever its wire type.
        assert_eq!(decode(b""), Some(Map::default()));
        assert_eq!(decode(&field(1, b"")), Some(Map { fields: vec![Field::default()] }));
        let unknown = [b"\x78\x96\x01" as &[u8], b"\x7d\0\0\0\0", b"\x79\0\0\0\0\0\0\0\0", &field(15, b"x")].concat();
        assert_eq!(decode(&unknown), Some(Map::default()));
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
        ];
        for (bytes, why) in rows {
            assert_eq!(decode(&bytes), None, "{why}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| {
            let innermost = field(3, b"x");
            let list = (1..levels).fold(innermost, |inner, _| field(6, &field(1, &inner)));
            field(1, &field(2, &list))
        };
        // prost goes 100 messages deep; a list costs two of them, a map three.
        assert!(decode(&nested(50)).is_some());
        assert_eq!(decode(&nested(51)), None);
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
