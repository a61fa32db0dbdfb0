//! Small records in a hash table of buckets, each bucket one value of the process's memory.
//!
//! A bucket holds as many records as fit into 4 KiB, the newest first; what no longer fits is forgotten. Records are
//! compared by their complete keys.

use std::hash::{DefaultHasher, Hasher as _};

use super::growth::CacheGrowth;
use super::record::{put, take};
use super::scope::is_of_described;
use super::settings::Cache;
use crate::store::resources::Store;

/// Size of a bucket, in bytes.
const BUCKET_BYTES: usize = 4096;
/// The largest record, in bytes, so that a bucket holds a few of any size.
const MAX_RECORD: usize = 1024;
/// Facts get one in so many bytes of the cache.
const SHARE: u64 = 4;
/// Facts about described machines get one in so many buckets, the last ones, where machines may be described.
const DESCRIBED_SHARE: u64 = 8;
/// The number of attempts to write to a bucket, because another worker may have written to it in the meantime.
const ATTEMPTS: u32 = 3;

const fn buckets(cache: &Cache) -> u64 {
    cache.bytes / SHARE / BUCKET_BYTES as u64
}

fn name(bucket: u64) -> String {
    ["metahub.facts.", &bucket.to_string()].concat()
}

/// The name of a key's bucket; `None` if there are no buckets at all.
fn bucket_name(cache: &Cache, key: &[u8]) -> Option<String> {
    let all = buckets(cache);
    let described = if cache.described { all / DESCRIBED_SHARE } else { 0 };
    let (first, count) = if is_of_described(key) { (all - described, described) } else { (0, all - described) };
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish().checked_rem(count).map(|place| name(first + place))
}

/// The records of a bucket's value; a damaged rest is treated as absent.
fn records(mut value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || Some((take(&mut value)?, take(&mut value)?)))
}

/// The record under a key, decoded; a record that was forgotten is treated as absent.
pub(super) fn recall<T>(
    cache: &Cache,
    store: &dyn Store,
    key: &[u8],
    decode: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<T> {
    bucket(cache, store, key)?.record(key).filter(|record| !record.is_empty()).and_then(decode)
}

/// Keeps a record. One that is too large, or that loses against other workers, is not kept.
pub(super) fn keep(cache: &Cache, store: &dyn Store, key: &[u8], record: &[u8]) -> CacheGrowth {
    bucket(cache, store, key).map_or_else(CacheGrowth::default, |bucket| bucket.keep(store, key, record))
}

/// Forgets a record: there is no deletion, and an empty one is read as none.
pub(super) fn forget(cache: &Cache, store: &dyn Store, key: &[u8]) -> CacheGrowth {
    keep(cache, store, key, &[])
}

/// A key's bucket as it was read, so that it need not be read again before it is written to.
pub(super) struct Bucket {
    name: String,
    value: Vec<u8>,
    version: Option<u32>,
}

/// Looks into the bucket of a key; `None` if there are no buckets at all.
pub(super) fn bucket(cache: &Cache, store: &dyn Store, key: &[u8]) -> Option<Bucket> {
    Some(Bucket::at(bucket_name(cache, key)?, store))
}

impl Bucket {
    fn at(name: String, store: &dyn Store) -> Self {
        let (value, version) = store.get_versioned(&name).unwrap_or_default();
        Self { name, value, version }
    }

    /// The record under a key.
    pub(super) fn record(&self, key: &[u8]) -> Option<&[u8]> {
        records(&self.value).find(|(known, _)| *known == key).map(|(_, record)| record)
    }

    /// The same bucket for a caller that did something else in the meantime. A bucket that was not there is looked for
    /// again, because without a version nothing would be compared.
    pub(super) fn refreshed(self, store: &dyn Store) -> Self {
        if self.version.is_none() { Self::at(self.name, store) } else { self }
    }

    /// Keeps a record, as [`keep`] does.
    pub(super) fn keep(mut self, store: &dyn Store, key: &[u8], record: &[u8]) -> CacheGrowth {
        if key.len() + record.len() > MAX_RECORD {
            return CacheGrowth::default();
        }
        for _ in 0..ATTEMPTS {
            if self.record(key) == Some(record) {
                return CacheGrowth::default();
            }
            let new = self.with(key, record);
            if store.set_if_unchanged(&self.name, &new, self.version) {
                return CacheGrowth { bytes: difference(new.len(), self.value.len()), evicted: 0 };
            }
            self = Self::at(self.name, store);
        }
        CacheGrowth::default()
    }

    /// The bucket's value with this record in front.
    fn with(&self, key: &[u8], record: &[u8]) -> Vec<u8> {
        let mut new = Vec::with_capacity(BUCKET_BYTES);
        put(&mut new, key);
        put(&mut new, record);
        for (known, record) in records(&self.value).filter(|(known, _)| *known != key) {
            if new.len() + known.len() + record.len() + 4 <= BUCKET_BYTES {
                put(&mut new, known);
                put(&mut new, record);
            }
        }
        new
    }
}

/// Empties the buckets that `before` had and `cache` has not.
pub(super) fn empty_beyond(cache: &Cache, before: &Cache, store: &dyn Store) -> CacheGrowth {
    let emptied = (buckets(cache)..buckets(before)).map(|number| {
        let bucket = name(number);
        let size = store.get(&bucket).map_or(0, |value| value.len());
        if size > 0 {
            store.set(&bucket, &[]);
        }
        difference(0, size)
    });
    CacheGrowth { bytes: emptied.sum(), evicted: 0 }
}

/// `new - old`, in bytes.
pub(super) fn difference(new: usize, old: usize) -> i64 {
    i64::try_from(new).unwrap_or(i64::MAX).saturating_sub(i64::try_from(old).unwrap_or(i64::MAX))
}
