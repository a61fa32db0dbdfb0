//! Configurations as values: the shipped YAML files, read, and changed by path.
//!
//! A path names the keys on the way, with dots between them, and positions in lists: `machine_types.type1.features.0`.
//! A change whose path is not as it expects panics, and shows what is there: then the shipped file has changed, and the
//! test that changes it must follow.

use std::fs;

use serde_json::Value;

use super::{Failure, Result};

/// The text of a file below `envoy/`.
pub fn shipped_text(name: &str) -> Result<String> {
    let path = crate::root().join("envoy").join(name);
    fs::read_to_string(&path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// A file below `envoy/` as a value.
pub fn shipped(name: &str) -> Result<Value> {
    parse(&shipped_text(name)?).map_err(|error| Failure::new(format!("envoy/{name}: {error}")))
}

/// A YAML text as a value.
pub fn parse(text: &str) -> Result<Value> {
    serde_saphyr::from_str(text).map_err(|error| Failure::new(error.to_string()))
}

/// A YAML text with the one line in force that is commented out and begins with `line`.
pub fn uncommented(text: &str, line: &str) -> String {
    let comment = format!("# {line}");
    assert_eq!(text.matches(&comment).count(), 1, "occurrences of {comment:?} in:\n{text}");
    text.replace(&comment, line)
}

/// Changes of values by path.
pub trait Edit {
    /// The value at `path`.
    fn at(&self, path: &str) -> &Value;

    /// The value at `path`, to be changed.
    fn at_mut(&mut self, path: &str) -> &mut Value;

    /// Replaces the value at `path` with `value`.
    fn set(&mut self, path: &str, value: impl Into<Value>);

    /// Adds `value` as a key that the map before it does not have yet.
    fn add(&mut self, path: &str, value: impl Into<Value>);

    /// Adds `value` at the end of the list at `path`.
    fn push(&mut self, path: &str, value: impl Into<Value>);

    /// Removes the value at `path`.
    fn remove(&mut self, path: &str) -> Value;

    /// Moves the value at `path` to another key in the same map.
    fn rename(&mut self, path: &str, key: &str);

    /// A copy with a change.
    #[must_use]
    fn changed(&self, change: impl FnOnce(&mut Value)) -> Value;
}

impl Edit for Value {
    #[track_caller]
    fn at(&self, path: &str) -> &Value {
        let found = path.split('.').try_fold(self, step);
        found.unwrap_or_else(|| panic!("there is no {path} in {self:#}"))
    }

    #[track_caller]
    fn at_mut(&mut self, path: &str) -> &mut Value {
        self.at(path);
        path.split('.').fold(self, |value, key| match value {
            Value::Array(list) => list.get_mut(key.parse::<usize>().unwrap_or(usize::MAX)).expect("it is there"),
            value => value.get_mut(key).expect("it is there"),
        })
    }

    #[track_caller]
    fn set(&mut self, path: &str, value: impl Into<Value>) {
        *self.at_mut(path) = value.into();
    }

    #[track_caller]
    fn add(&mut self, path: &str, value: impl Into<Value>) {
        let (map, key) = match path.rsplit_once('.') {
            Some((parent, key)) => (self.at_mut(parent), key),
            None => (self, path),
        };
        let fields = map.as_object_mut().unwrap_or_else(|| panic!("before {key} in {path} is not a map"));
        assert!(!fields.contains_key(key), "there is {path} already: {fields:?}");
        fields.insert(key.to_owned(), value.into());
    }

    #[track_caller]
    fn push(&mut self, path: &str, value: impl Into<Value>) {
        let list = self.at_mut(path).as_array_mut().unwrap_or_else(|| panic!("{path} is not a list"));
        list.push(value.into());
    }

    #[track_caller]
    fn remove(&mut self, path: &str) -> Value {
        self.at(path);
        let (parent, key) = match path.rsplit_once('.') {
            Some((parent, key)) => (self.at_mut(parent), key),
            None => (self, path),
        };
        match parent {
            Value::Array(list) => list.remove(key.parse().expect("a position")),
            parent => parent.as_object_mut().and_then(|map| map.remove(key)).expect("it is there"),
        }
    }

    #[track_caller]
    fn rename(&mut self, path: &str, key: &str) {
        let value = self.remove(path);
        match path.rsplit_once('.') {
            Some((parent, _)) => self.add(&format!("{parent}.{key}"), value),
            None => self.add(key, value),
        }
    }

    fn changed(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut copy = self.clone();
        change(&mut copy);
        copy
    }
}

fn step<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Array(list) => list.get(key.parse::<usize>().ok()?),
        value => value.get(key),
    }
}
