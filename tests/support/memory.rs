//! The process's memory as a map, for the library's own tests, for those of the flow, and for benchmarks.

#![allow(dead_code, reason = "none of them uses all of it")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use metahub::memory::Memory;

/// Memory of one process, with a clock to turn. What is random is the same every time.
#[derive(Default)]
pub(crate) struct Map {
    pub(crate) values: RefCell<HashMap<String, Vec<u8>>>,
    /// Seconds since the Unix epoch.
    pub(crate) now: Cell<u64>,
    /// There is no randomness.
    pub(crate) mute: bool,
    /// So many times another worker is faster to write.
    pub(crate) lost: Cell<u32>,
}

impl Map {
    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.borrow().len()
    }
}

impl Memory for Map {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.values.borrow().get(key).cloned()
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
        // As Envoy: without a version nothing is compared.
        if version.is_some() && self.lost.get() > 0 {
            self.lost.set(self.lost.get() - 1);
            return false;
        }
        self.set(key, value);
        true
    }
    fn now(&self) -> u64 {
        self.now.get()
    }
    fn random(&self) -> Option<[u8; 32]> {
        (!self.mute).then_some([7; 32])
    }
}
