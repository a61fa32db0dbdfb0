//! The cache of what this Envoy has seen of its registries: manifests by their content, and what tags resolved to.
//! It is bounded, shared by all workers, and found by content.
//!
//! Everything lives in the process-wide [`Store`], which has no deletion, so all keys come from fixed sets:
//!
//! - *documents*: manifests and indexes, in rings of slots of 4 KiB, 32 KiB and 512 KiB. A new document takes the place
//!   of the oldest of its ring. A slot's value carries its complete key, so a slot that was taken over in the meantime
//!   is a miss and never another document.
//! - *facts*: small records in a hash table of 4 KiB buckets (`facts.rs`). They say where a document is, what a tag
//!   resolved to for a machine type ([`Resolution`]), and when that was last confirmed to which caller. Facts about
//!   machines that clients describe have buckets of their own, so that made-up machines push nobody's facts out.
//!
//! The cache grants no access. Keys carry upstream cluster and repository, because access is checked per repository: a
//! document is served only after the registry has just said, to the caller's own credentials, that the tag or digest is
//! there in that repository, or has said so within `tag_ttl` to the same credential. A document is hashed before it is
//! stored; memory is not hashed again when it is read.

mod documents;
mod facts;
mod growth;
mod lacks;
mod record;
mod resolution;
mod scope;
mod settings;

pub use documents::{Document, Location};
pub use growth::CacheGrowth;
pub use resolution::{Confirmed, Observed, Resolution};
pub use scope::{CacheScope, DESCRIBED};
pub use settings::{Cache, DEFAULT_BYTES, MAX_BYTES, MIN_BYTES};

use crate::oci::reference::Tag;
use crate::store::keys::Identity;
use crate::store::resources::{Resources, Store};

/// The time for which a registry that answers HEAD with less than GET is not asked with HEAD, in seconds.
const HEADLESS_SECONDS: u64 = 300;

/// The key of the size of the process's cache.
const SIZE: &str = "metahub.cache.bytes";

impl Cache {
    /// Gives the process's memory the configured size: everything beyond it is emptied. To be called once per
    /// configuration.
    #[must_use]
    pub fn resize(&self, store: &dyn Store) -> CacheGrowth {
        let (value, version) = store.get_versioned(SIZE).unwrap_or_default();
        let before = value.try_into().map_or(0, u64::from_le_bytes);
        // All workers come here at the same time, and a slot that is emptied twice would be counted twice.
        if before == self.bytes || !store.set_if_unchanged(SIZE, &self.bytes.to_le_bytes(), version) {
            return CacheGrowth::default();
        }
        let before = Self { bytes: before, ..*self };
        documents::empty_beyond(self, &before, store).and(facts::empty_beyond(self, &before, store))
    }

    /// The tag's last resolution for machine types that are alike; `view` identifies them.
    #[must_use]
    pub fn resolution(&self, store: &dyn Store, scope: CacheScope<'_>, tag: &Tag, view: &[u8]) -> Option<Resolution> {
        facts::recall(self, store, &scope.resolution_key(tag, view), Resolution::decode)
    }

    /// Keeps the resolution of a tag.
    #[must_use]
    pub fn keep_resolution(
        &self,
        store: &dyn Store,
        scope: CacheScope<'_>,
        tag: &Tag,
        view: &[u8],
        resolution: &Resolution,
    ) -> CacheGrowth {
        facts::keep(self, store, &scope.resolution_key(tag, view), &resolution.encode())
    }

    /// Keeps that upstream has just refused the identity something in the repository. Each refusal is another number
    /// than the one before, even if the clock was set back.
    #[must_use]
    pub(crate) fn keep_refused(
        &self,
        resources: &dyn Resources,
        scope: CacheScope<'_>,
        identity: &Identity,
    ) -> CacheGrowth {
        let refusal = resources.now().max(self.refusal(resources, scope, identity).saturating_add(1));
        facts::keep(self, resources, &scope.refusal_key(identity), &refusal.to_le_bytes())
    }

    /// The last refusal of the identity in the repository: its approximate time, or 0 if there was none.
    fn refusal(&self, store: &dyn Store, scope: CacheScope<'_>, identity: &Identity) -> u64 {
        facts::recall(self, store, &scope.refusal_key(identity), number).unwrap_or(0)
    }

    /// The resolution that upstream has last confirmed to this identity; `None` if it has refused the identity since.
    #[must_use]
    pub(crate) fn confirmed(
        &self,
        store: &dyn Store,
        scope: CacheScope<'_>,
        tag: &Tag,
        view: &[u8],
        identity: &Identity,
    ) -> Option<Confirmed> {
        let confirmed = facts::recall(self, store, &scope.confirmed_key(tag, view, identity), Confirmed::decode)?;
        // Times cannot tell which came first, because clocks are set back.
        let refusal = self.refusal(store, scope, identity);
        Some(confirmed).filter(|confirmed| confirmed.refusal == refusal)
    }

    /// Forgets that upstream has confirmed this to the identity, because it now says that there is no such tag.
    #[must_use]
    pub(crate) fn forget_confirmed(
        &self,
        store: &dyn Store,
        scope: CacheScope<'_>,
        tag: &Tag,
        view: &[u8],
        identity: &Identity,
    ) -> CacheGrowth {
        facts::forget(self, store, &scope.confirmed_key(tag, view, identity))
    }

    /// Keeps that upstream has just confirmed this to the identity.
    #[must_use]
    pub(crate) fn keep_confirmed(
        &self,
        resources: &dyn Resources,
        scope: CacheScope<'_>,
        tag: &Tag,
        view: &[u8],
        identity: &Identity,
        resolution: Resolution,
    ) -> CacheGrowth {
        let refusal = self.refusal(resources, scope, identity);
        let confirmed = Confirmed { at: resources.now(), refusal, resolution };
        facts::keep(self, resources, &scope.confirmed_key(tag, view, identity), &confirmed.encode())
    }

    /// Whether the tag was seen in the repository at all, for any machine type: then a HEAD is worth while.
    #[must_use]
    pub fn knows_tag(&self, store: &dyn Store, scope: CacheScope<'_>, tag: &Tag) -> bool {
        facts::recall(self, store, &scope.tag_key(tag), |_| Some(())).is_some()
    }

    /// Keeps that the tag was seen, and that the answer to its HEAD had a digest.
    #[must_use]
    pub fn keep_tag(&self, store: &dyn Store, scope: CacheScope<'_>, tag: &Tag) -> CacheGrowth {
        facts::keep(self, store, &scope.tag_key(tag), b"1")
    }

    /// Forgets the tag's resolution, and that it was seen.
    #[must_use]
    pub fn forget_tag(&self, store: &dyn Store, scope: CacheScope<'_>, tag: &Tag, view: &[u8]) -> CacheGrowth {
        let resolution = facts::forget(self, store, &scope.resolution_key(tag, view));
        resolution.and(facts::forget(self, store, &scope.tag_key(tag)))
    }

    /// Whether it was seen in the last minutes that this repository's registry answers HEAD with less than GET.
    #[must_use]
    pub fn is_headless(&self, resources: &dyn Resources, scope: CacheScope<'_>) -> bool {
        let since = facts::recall(self, resources, &scope.headless_key(), number);
        since.is_some_and(|since| (since..since.saturating_add(HEADLESS_SECONDS)).contains(&resources.now()))
    }

    /// Keeps that the registry answers HEAD with less than GET.
    #[must_use]
    pub fn keep_headless(&self, resources: &dyn Resources, scope: CacheScope<'_>) -> CacheGrowth {
        facts::keep(self, resources, &scope.headless_key(), &resources.now().to_le_bytes())
    }

    /// Where the document with this digest is, and what it is.
    #[must_use]
    pub fn locate(&self, store: &dyn Store, scope: CacheScope<'_>, digest: &str) -> Option<Location> {
        facts::recall(self, store, &scope.document_key(digest), Location::decode)
    }

    /// The document, if it is still there.
    #[must_use]
    pub fn document(
        &self,
        store: &dyn Store,
        scope: CacheScope<'_>,
        digest: &str,
        location: Location,
    ) -> Option<Document> {
        documents::read(self, store, &scope.document_key(digest), location)
    }

    /// The document with this digest, if it is there.
    #[must_use]
    pub fn find(&self, store: &dyn Store, scope: CacheScope<'_>, digest: &str) -> Option<Document> {
        self.document(store, scope, digest, self.locate(store, scope, digest)?)
    }

    /// Keeps a document whose bytes were found to have this digest. If the document is too large, only the fact that it
    /// was seen is kept.
    #[must_use]
    pub fn keep_document(
        &self,
        store: &dyn Store,
        scope: CacheScope<'_>,
        digest: &str,
        media_type: &str,
        body: &[u8],
    ) -> (Option<Location>, CacheGrowth) {
        let key = scope.document_key(digest);
        let Some(bucket) = facts::bucket(self, store, &key) else { return (None, CacheGrowth::default()) };
        // All requests that waited for one answer bring the same document, and each copy would push out another
        // document.
        let known = bucket.record(&key).and_then(Location::decode).filter(|location| {
            let document = documents::read(self, store, &key, *location);
            document.is_some_and(|known| known.media_type == media_type && known.body == body)
        });
        if known.is_some() {
            return (known, CacheGrowth::default());
        }
        let Some((location, growth)) = documents::write(self, store, &key, media_type, body) else {
            return (None, CacheGrowth::default());
        };
        (Some(location), growth.and(bucket.refreshed(store).keep(store, &key, &location.encode())))
    }
}

/// A record that is a number.
fn number(record: &[u8]) -> Option<u64> {
    record.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
