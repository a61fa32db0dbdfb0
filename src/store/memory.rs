//! What all workers of one Envoy remember together, and what is worth saying once an hour.

use sha2::{Digest as _, Sha256};

/// Process-wide memory: Envoy's shared data, or a map in tests. A value that cannot be read or written is as good
/// as none.
pub trait Memory {
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
    /// Seconds since the Unix epoch.
    fn now(&self) -> u64;
    /// Bytes that nobody can guess.
    fn random(&self) -> Option<[u8; 32]>;
}

/// How long one line about a topic is enough, in seconds.
const QUIET_SECONDS: u64 = 3600;
/// Topics that are remembered. Where two meet in one slot, both are said more often.
const TOPICS: u32 = 1024;

/// Whether a log line about this topic was not written in the last hour; it counts as written now. Lines without a
/// topic are always news.
pub fn is_news(memory: &dyn Memory, topic: Option<&str>) -> bool {
    let Some(topic) = topic else { return true };
    let hash: [u8; 32] = Sha256::digest(topic.as_bytes()).into();
    let [a, b, c, d, ..] = hash;
    let slot = format!("metahub.said.{}", u32::from_le_bytes([a, b, c, d]) % TOPICS);
    let now = memory.now();
    let said = memory.get(&slot).and_then(|value| {
        let (at, stored) = value.split_first_chunk::<8>()?;
        (stored == hash).then(|| u64::from_le_bytes(*at))
    });
    if said.is_some_and(|at| now < at.saturating_add(QUIET_SECONDS)) {
        return false;
    }
    memory.set(&slot, &[now.to_le_bytes().as_slice(), &hash].concat());
    true
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    pub(crate) use crate::store::in_memory::Map;

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
