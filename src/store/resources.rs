//! The resources that the host has for the core: a store that all workers of the process share, a clock, and
//! randomness.

/// Values that all workers of one process share: Envoy's shared data, or a map. A value that cannot be read or written
/// is treated as absent.
pub trait Store {
    /// The value under a key.
    fn get(&self, key: &str) -> Option<Vec<u8>>;
    /// Sets the value under a key.
    fn set(&self, key: &str, value: &[u8]);
    /// Sets the value under a key that has none; returns the value that is there afterwards.
    fn set_once(&self, key: &str, value: &[u8]) -> Option<Vec<u8>>;
    /// The value under a key, and its version.
    fn get_versioned(&self, key: &str) -> Option<(Vec<u8>, Option<u32>)>;
    /// Sets the value under a key unless another worker has done so since this version was read; returns whether it
    /// did.
    fn set_if_unchanged(&self, key: &str, value: &[u8], version: Option<u32>) -> bool;
}

/// The time of day.
pub trait Clock {
    /// Seconds since the Unix epoch.
    fn now(&self) -> u64;
}

/// A source of randomness.
pub trait Random {
    /// Bytes that nobody can guess; `None` if there are none.
    fn random(&self) -> Option<[u8; 32]>;
}

/// All three, for what needs more than one of them.
pub trait Resources: Store + Clock + Random {}

impl<T: Store + Clock + Random> Resources for T {}
