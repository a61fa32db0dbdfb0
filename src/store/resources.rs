//! What the host keeps for the core: a store that all workers of the process share, a clock, and randomness.

use sha2::{Digest as _, Sha256};

/// Values that all workers of one process share: Envoy's shared data, or a map. A value that cannot be read or
/// written is as good as none.
pub trait Store {
    /// The value under a key.
    fn get(&self, key: &str) -> Option<Vec<u8>>;
    /// Sets the value under a key.
    fn set(&self, key: &str, value: &[u8]);
    /// Sets the value under a key that has none; returns the value that is there afterwards.
    fn set_once(&self, key: &str, value: &[u8]) -> Option<Vec<u8>>;
    /// The value under a key, and its version.
    fn get_versioned(&self, key: &str) -> Option<(Vec<u8>, Option<u32>)>;
    /// Sets the value under a key unless somebody else has done so since this version was read; whether it did.
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

/// How long one line about a topic is enough, in seconds.
const QUIET_SECONDS: u64 = 3600;
/// Topics that are remembered. Where two meet in one slot, both are said more often.
const TOPICS: u32 = 1024;

/// Whether a log line about this topic was not written in the last hour; it counts as written now. Lines without a
/// topic are always news.
pub fn is_news(resources: &dyn Resources, topic: Option<&str>) -> bool {
    let Some(topic) = topic else { return true };
    let hash: [u8; 32] = Sha256::digest(topic.as_bytes()).into();
    let [a, b, c, d, ..] = hash;
    let slot = format!("metahub.said.{}", u32::from_le_bytes([a, b, c, d]) % TOPICS);
    let now = resources.now();
    let said = resources.get(&slot).and_then(|value| {
        let (at, stored) = value.split_first_chunk::<8>()?;
        (stored == hash).then(|| u64::from_le_bytes(*at))
    });
    if said.is_some_and(|at| now < at.saturating_add(QUIET_SECONDS)) {
        return false;
    }
    resources.set(&slot, &[now.to_le_bytes().as_slice(), &hash].concat());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::in_memory::Map;

    #[test]
    fn a_topic_is_news_once_an_hour() {
        let memory = Map::default();
        memory.now.set(10_000);
        let news = |topic| is_news(&memory, Some(topic));
        assert_eq!([news("a"), news("a"), news("b")], [true, false, true]);
        memory.now.set(10_000 + QUIET_SECONDS - 1);
        assert!(!news("a"));
        memory.now.set(10_000 + QUIET_SECONDS);
        assert!(news("a"));
        assert!(is_news(&memory, None) && is_news(&memory, None));
    }
}
