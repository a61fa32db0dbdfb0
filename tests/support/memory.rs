//! The process's memory as a map, with a clock to turn.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use metahub::memory::Memory;

/// Memory of one process. What is random is the same every time.
#[derive(Default)]
pub(crate) struct Map {
    values: RefCell<HashMap<String, Vec<u8>>>,
    /// Seconds since the Unix epoch.
    pub(crate) now: Cell<u64>,
}

impl Map {
    /// How many values there are.
    #[allow(dead_code, reason = "a benchmark does not ask")]
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
        self.set(key, value);
        self.get(key)
    }
    fn get_versioned(&self, key: &str) -> Option<(Vec<u8>, Option<u32>)> {
        self.get(key).map(|value| (value, None))
    }
    fn set_if_unchanged(&self, key: &str, value: &[u8], _version: Option<u32>) -> bool {
        self.set(key, value);
        true
    }
    fn now(&self) -> u64 {
        self.now.get()
    }
    fn random(&self) -> Option<[u8; 32]> {
        Some([1; 32])
    }
}
