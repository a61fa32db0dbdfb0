//! The limit of log lines: one an hour for each topic, over all workers of the process.

use sha2::{Digest as _, Sha256};

use crate::store::keys::slot;
use crate::store::resources::Resources;

/// The time for which one line about a topic is enough, in seconds.
const QUIET_SECONDS: u64 = 3600;
/// The most topics that are remembered. Where two share a slot, both are logged more often.
const TOPICS: u32 = 1024;

/// Whether a log line about this topic was not written in the last hour; it counts as written now. Lines without a
/// topic are always due.
pub(super) fn is_due(resources: &dyn Resources, topic: Option<&str>) -> bool {
    let Some(topic) = topic else { return true };
    let hash: [u8; 32] = Sha256::digest(topic.as_bytes()).into();
    let slot = slot("metahub.logged.", &hash, TOPICS);
    let now = resources.now();
    let logged = resources.get(&slot).and_then(|value| {
        let (at, stored) = value.split_first_chunk::<8>()?;
        (stored == hash).then(|| u64::from_le_bytes(*at))
    });
    if logged.is_some_and(|at| now < at.saturating_add(QUIET_SECONDS)) {
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
    fn a_topic_is_logged_once_an_hour() {
        let memory = Map::default();
        memory.now.set(10_000);
        let due = |topic| is_due(&memory, Some(topic));
        assert_eq!([due("a"), due("a"), due("b")], [true, false, true]);
        memory.now.set(10_000 + QUIET_SECONDS - 1);
        assert!(!due("a"));
        memory.now.set(10_000 + QUIET_SECONDS);
        assert!(due("a"));
        assert!(is_due(&memory, None) && is_due(&memory, None));
    }

    #[test]
    fn topics_are_bounded() {
        let memory = Map::default();
        for number in 0..20_000 {
            is_due(&memory, Some(&number.to_string()));
        }
        assert_eq!(memory.len(), 1024);
    }
}
