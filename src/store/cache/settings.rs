//! The size of the cache, and the time for which it is believed.

/// The smallest cache, in bytes: below this there is no slot for most manifests.
pub const MIN_BYTES: u64 = 1024 * 1024;
/// The largest cache, in bytes.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// How large the cache is where the configuration does not say, in bytes.
pub const DEFAULT_BYTES: u64 = 64 * 1024 * 1024;

/// The cache as configured. It holds no data itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The most bytes that documents and facts may take together; 0 switches the cache off.
    pub bytes: u64,
    /// How long a tag may be answered without asking upstream, in seconds.
    pub tag_ttl: u64,
    /// How much longer it may be answered while upstream is down, in seconds.
    pub serve_stale_on_error: u64,
    /// Whether clients may describe machines. The facts about described machines have a share of their own then.
    pub described: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Self { bytes: DEFAULT_BYTES, tag_ttl: 0, serve_stale_on_error: 0, described: false }
    }
}

impl Cache {
    /// Whether anything is kept at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.bytes > 0
    }

    /// Whether `tag_ttl` or `serve_stale_on_error` let tags be answered from an earlier confirmation of upstream.
    #[must_use]
    pub const fn trusts_earlier_confirmations(&self) -> bool {
        self.is_on() && (self.tag_ttl > 0 || self.serve_stale_on_error > 0)
    }
}
