//! The hash of a configuration: the same for JSON text and the Struct that means the same.

use sha2::{Digest as _, Sha256};

use super::document::{Field, Map, Value, ValueKind};
use crate::oci::digest::hex;

/// Inline upstream passwords stay out of the hash: it is public, and they may be short enough to guess.
const SECRET: [&str; 4] = ["registries", ANY, "credentials", "password"];

/// Stands for every key of a map.
const ANY: &str = "*";

/// sha256 of a document, whatever the order of its keys.
pub(super) fn of(document: &Map) -> String {
    let mut hasher = Hasher { hash: Sha256::new(), buffer: Vec::with_capacity(2 * FLUSH) };
    hasher.map(document, &SECRET);
    hasher.hash.update(&hasher.buffer);
    format!("sha256:{}", hex(&hasher.hash.finalize()))
}

/// Gathers small pieces, because each update of a hash takes time.
struct Hasher {
    hash: Sha256,
    buffer: Vec<u8>,
}

/// Bytes that are gathered.
const FLUSH: usize = 4096;

impl Hasher {
    /// `secret` is the rest of the path to the value that is left out; it is empty off that path. Each part is preceded
    /// by its kind and length, so that no two documents put in the same bytes.
    fn map(&mut self, map: &Map, secret: &[&str]) {
        self.part(b'{', map.fields.len(), &[]);
        for Field { key, value } in &map.fields {
            self.part(b':', key.len(), key.as_bytes());
            match secret {
                [last] if *last == key => self.value(&Value { kind: None }, &[]),
                [next, rest @ ..] if *next == key || *next == ANY => self.value(value, rest),
                _ => self.value(value, &[]),
            }
        }
    }

    fn value(&mut self, value: &Value, secret: &[&str]) {
        match &value.kind {
            None | Some(ValueKind::Null(_)) => self.part(b'0', 0, &[]),
            Some(ValueKind::Bool(truth)) => self.part(b'?', usize::from(*truth), &[]),
            Some(ValueKind::Number(number)) => self.part(b'#', 0, &number.to_le_bytes()),
            Some(ValueKind::Text(text)) => self.part(b'"', text.len(), text.as_bytes()),
            Some(ValueKind::List(list)) => {
                self.part(b'[', list.values.len(), &[]);
                list.values.iter().for_each(|value| self.value(value, &[]));
            }
            Some(ValueKind::Map(map)) => self.map(map, secret),
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
