//! Manifests and indexes in rings of slots.

use super::facts::difference;
use super::growth::CacheGrowth;
use super::record::{put, take, take_number, take_text};
use super::settings::Cache;
use crate::oci::index::Descriptor;
use crate::store::resources::Store;

/// Sizes of slots, in bytes. Most manifests take 1 to 3 KiB, indexes with attestations up to 10 KiB, one of a thousand
/// entries 300 KiB.
const SLOT_BYTES: [u32; 3] = [4 * 1024, 32 * 1024, 512 * 1024];
/// Each ring gets one in so many bytes of the cache.
const SHARE: u64 = 4;
/// The number of attempts to move the head of a ring, because another worker may have moved it in the meantime.
const ATTEMPTS: u32 = 3;

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its media type, as it was served.
    pub media_type: String,
    /// Its bytes, which had the digest under which they are kept.
    pub body: Vec<u8>,
}

impl Document {
    /// Whether this document is as a descriptor says, as upstream's would have to be.
    #[must_use]
    pub fn is_described_by(&self, descriptor: &Descriptor) -> bool {
        descriptor.describes(&self.media_type, &self.body)
    }
}

/// Where a document is, or was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// Size of the ring's slots, in bytes.
    slot_bytes: u32,
    slot: u32,
}

impl Location {
    /// The location of a document for which no slot is large enough. Nothing is there, but the document was found to
    /// have its digest.
    const NOWHERE: Self = Self { slot_bytes: u32::MAX, slot: 0 };

    /// Whether the document is larger than 32 KiB, or may be.
    #[must_use]
    pub const fn is_large(self) -> bool {
        let [_, middle, _] = SLOT_BYTES;
        self.slot_bytes > middle
    }

    pub(super) fn encode(self) -> Vec<u8> {
        [self.slot_bytes.to_le_bytes(), self.slot.to_le_bytes()].concat()
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (slot_bytes, slot) = value.split_first_chunk::<4>()?;
        Some(Self { slot_bytes: u32::from_le_bytes(*slot_bytes), slot: u32::from_le_bytes(slot.try_into().ok()?) })
    }

    fn name(self) -> String {
        // The key is put together by hand, because each request comes here and `format!` takes five times as long.
        ["metahub.document.", &self.slot_bytes.to_string(), ".", &self.slot.to_string()].concat()
    }
}

/// How many slots of this size there are.
fn slots(cache: &Cache, slot_bytes: u32) -> u32 {
    u32::try_from(cache.bytes / SHARE / u64::from(slot_bytes)).unwrap_or(u32::MAX)
}

/// The document at a location, if it is still this one.
pub(super) fn read(cache: &Cache, store: &dyn Store, key: &[u8], location: Location) -> Option<Document> {
    // A document that a larger cache kept beyond the slots of this one is gone.
    if location.slot >= slots(cache, location.slot_bytes) {
        return None;
    }
    let value = store.get(&location.name())?;
    let rest = &mut value.as_slice();
    if take(rest)? != key {
        return None;
    }
    let media_type = take_text(rest)?;
    if take_number(rest)? != rest.len() as u64 {
        return None;
    }
    let header = value.len() - rest.len();
    let mut body = value;
    body.drain(..header);
    Some(Document { media_type, body })
}

/// Puts a document in the place of its ring's oldest. `None` if there is no cache for one of its size.
pub(super) fn write(
    cache: &Cache,
    store: &dyn Store,
    key: &[u8],
    media_type: &str,
    body: &[u8],
) -> Option<(Location, CacheGrowth)> {
    let mut value = Vec::with_capacity(key.len() + media_type.len() + body.len() + 12);
    put(&mut value, key);
    put(&mut value, media_type.as_bytes());
    value.extend_from_slice(&(body.len() as u64).to_le_bytes());
    value.extend_from_slice(body);
    let Some(slot_bytes) = SLOT_BYTES.into_iter().find(|slot_bytes| value.len() <= *slot_bytes as usize) else {
        return Some((Location::NOWHERE, CacheGrowth::default()));
    };
    let slot = next_slot(store, slot_bytes).checked_rem(slots(cache, slot_bytes))?;
    let location = Location { slot_bytes, slot };
    let name = location.name();
    let before = store.get(&name).map_or(0, |value| value.len());
    store.set(&name, &value);
    let growth = CacheGrowth { bytes: difference(value.len(), before), evicted: i64::from(before > 0) };
    Some((location, growth))
}

/// Moves the ring's head on by one.
fn next_slot(store: &dyn Store, slot_bytes: u32) -> u32 {
    let head = format!("metahub.ring.{slot_bytes}");
    let mut slot = 0;
    for _ in 0..ATTEMPTS {
        let (value, version) = store.get_versioned(&head).unwrap_or_default();
        slot = value.try_into().map_or(0, u32::from_le_bytes);
        if store.set_if_unchanged(&head, &slot.wrapping_add(1).to_le_bytes(), version) {
            break;
        }
    }
    slot
}

/// Empties the slots that `before` had and `cache` has not.
pub(super) fn empty_beyond(cache: &Cache, before: &Cache, store: &dyn Store) -> CacheGrowth {
    let mut growth = CacheGrowth::default();
    for slot_bytes in SLOT_BYTES {
        for slot in slots(cache, slot_bytes)..slots(before, slot_bytes) {
            let name = Location { slot_bytes, slot }.name();
            let size = store.get(&name).map_or(0, |value| value.len());
            if size > 0 {
                store.set(&name, &[]);
                growth = growth.and(CacheGrowth { bytes: difference(0, size), evicted: 1 });
            }
        }
    }
    growth
}
