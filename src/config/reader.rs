//! Reading a document into typed fields: unknown keys are refused, and every refusal names its field.
//!
//! Not serde: its generated code for these types, with paths, was a sixth of the filter.

use std::borrow::Cow;
use std::fmt;

use super::ConfigError;
use super::document::{Map, Value};
use crate::auth::secret::Secret;

/// Where a value stands.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Document,
    Key(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => Ok(()),
            Self::Key(Self::Document, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Item(parent, position) => write!(f, "{parent}[{position}]"),
        }
    }
}

impl Path<'_> {
    /// Names the kinds only: the value may be a password.
    #[cold]
    fn refuse<T>(&self, expected: &str, found: &Value<'_>) -> Result<T, ConfigError> {
        Err(ConfigError::new(self.to_string(), format!("expected {expected}, not {}", found.kind())))
    }
}

/// How a value of one type is read.
pub(super) type Read<'a, T> = fn(Value<'a>, &Path<'_>) -> Result<T, ConfigError>;

/// Names with what they stand for, sorted.
pub(super) type Named<T> = Vec<(String, T)>;

pub(super) fn word<'a>(value: Value<'a>, path: &Path<'_>) -> Result<Cow<'a, str>, ConfigError> {
    match value {
        Value::Text(text) => Ok(text),
        other => path.refuse("a string", &other),
    }
}

pub(super) fn text(value: Value<'_>, path: &Path<'_>) -> Result<String, ConfigError> {
    word(value, path).map(Cow::into_owned)
}

pub(super) fn secret(value: Value<'_>, path: &Path<'_>) -> Result<Secret, ConfigError> {
    text(value, path).map(Secret::new)
}

pub(super) fn truth(value: Value<'_>, path: &Path<'_>) -> Result<bool, ConfigError> {
    match value {
        Value::Bool(truth) => Ok(truth),
        other => path.refuse("true or false", &other),
    }
}

pub(super) fn list<'a, T>(value: Value<'a>, path: &Path<'_>, read: Read<'a, T>) -> Result<Vec<T>, ConfigError> {
    let Value::List(values) = value else { return path.refuse("a list", &value) };
    let mut list = Vec::with_capacity(values.len());
    for (position, value) in values.into_iter().enumerate() {
        list.push(read(value, &Path::Item(path, position))?);
    }
    Ok(list)
}

pub(super) fn words<'a>(value: Value<'a>, path: &Path<'_>) -> Result<Vec<Cow<'a, str>>, ConfigError> {
    list(value, path, word)
}

pub(super) fn texts(value: Value<'_>, path: &Path<'_>) -> Result<Vec<String>, ConfigError> {
    list(value, path, text)
}

pub(super) fn secrets(value: Value<'_>, path: &Path<'_>) -> Result<Vec<Secret>, ConfigError> {
    list(value, path, secret)
}

pub(super) fn named<'a, T>(value: Value<'a>, path: &Path<'_>, read: Read<'a, T>) -> Result<Named<T>, ConfigError> {
    let Value::Map(map) = value else { return path.refuse("a map", &value) };
    let mut named = Vec::with_capacity(map.len());
    for (key, value) in map {
        let value = read(value, &Path::Key(path, &key))?;
        named.push((key.into_owned(), value));
    }
    Ok(named)
}

/// A map with fixed keys.
pub(super) struct Fields<'a, 'p> {
    path: &'p Path<'p>,
    map: Map<'a>,
}

impl<'a, 'p> Fields<'a, 'p> {
    /// The map at `path`, which may have no keys but `known`.
    pub(super) fn of(value: Value<'a>, path: &'p Path<'p>, known: &[&str]) -> Result<Self, ConfigError> {
        let Value::Map(map) = value else { return path.refuse("a map", &value) };
        if let Some((key, _)) = map.iter().find(|(key, _)| !known.contains(&key.as_ref())) {
            let message = format!("unknown key; expected one of {}", known.join(", "));
            return Err(ConfigError::new(Path::Key(path, key).to_string(), message));
        }
        Ok(Self { path, map })
    }

    fn take(&mut self, key: &str) -> Option<Value<'a>> {
        let (_, value) = self.map.iter_mut().find(|(known, _)| known == key)?;
        Some(std::mem::replace(value, Value::Null))
    }

    /// A field that may be absent, or `null`, which is the same.
    pub(super) fn optional<T>(&mut self, key: &str, read: Read<'a, T>) -> Result<Option<T>, ConfigError> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value, &Path::Key(self.path, key)).map(Some),
        }
    }

    /// A field that may be absent, but not `null`.
    pub(super) fn present<T>(&mut self, key: &str, read: Read<'a, T>) -> Result<Option<T>, ConfigError> {
        self.take(key).map(|value| read(value, &Path::Key(self.path, key))).transpose()
    }

    /// A field that must be there.
    pub(super) fn required<T>(&mut self, key: &str, read: Read<'a, T>) -> Result<T, ConfigError> {
        let value = self.present(key, read)?;
        value.ok_or_else(|| ConfigError::new(Path::Key(self.path, key).to_string(), "missing"))
    }
}
