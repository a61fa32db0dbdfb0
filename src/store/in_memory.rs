//! A process's store as a map, with a clock and a randomness that can be foreseen, for tests, fuzzing and benchmarks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::store::resources::{Clock, Random, Store};

/// The store of one process, with a clock to turn. Its random bytes are the same every time.
#[derive(Default)]
pub struct Map {
    /// The values by key.
    pub values: RefCell<HashMap<String, Vec<u8>>>,
    /// Seconds since the Unix epoch.
    pub now: Cell<u64>,
    /// Whether there is no randomness.
    pub mute: bool,
    /// The number of times that another worker is faster to write.
    pub lost: Cell<u32>,
}

impl Map {
    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.borrow().len()
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Store for Map {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        // As in Envoy, an empty value is none.
        self.values.borrow().get(key).filter(|value| !value.is_empty()).cloned()
    }
    fn set(&self, key: &str, value: &[u8]) {
        self.values.borrow_mut().insert(key.to_owned(), value.to_owned());
    }
    fn set_once(&self, key: &str, value: &[u8]) -> Option<Vec<u8>> {
        Some(self.values.borrow_mut().entry(key.to_owned()).or_insert_with(|| value.to_owned()).clone())
    }
    fn get_versioned(&self, key: &str) -> Option<(Vec<u8>, Option<u32>)> {
        self.get(key).map(|value| (value, Some(1)))
    }
    fn set_if_unchanged(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        // As in Envoy, nothing is compared without a version.
        if version.is_some() && self.lost.get() > 0 {
            self.lost.set(self.lost.get() - 1);
            return false;
        }
        self.set(key, value);
        true
    }
}

impl Clock for Map {
    fn now(&self) -> u64 {
        self.now.get()
    }
}

impl Random for Map {
    fn random(&self) -> Option<[u8; 32]> {
        (!self.mute).then_some([7; 32])
    }
}
