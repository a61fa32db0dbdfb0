//! How the cache grows.

/// How the cache grew by what was stored, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheGrowth {
    /// Bytes; negative when smaller values took the place of larger ones.
    pub bytes: i64,
    /// The number of documents that had to make room.
    pub evicted: i64,
}

impl CacheGrowth {
    /// The sum of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), evicted: self.evicted.saturating_add(other.evicted) }
    }
}
