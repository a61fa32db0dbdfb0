//! Tags that a registry does not have, and tags in which nothing fits: so that a search among tags does not ask for
//! each of them again and again.

use super::growth::CacheGrowth;
use super::scope::CacheScope;
use super::settings::Cache;
use super::{facts, number};
use crate::oci::reference::Tag;
use crate::store::keys::Identity;
use crate::store::resources::Resources;

/// The time for which a tag counts as absent, in seconds: within it a variant that appears is found.
const ABSENT_SECONDS: u64 = 60;

impl Cache {
    /// Keeps that the registry has no such tag for a credential that it has seen. It may hide tags from one account
    /// that it shows to another.
    #[must_use]
    pub(crate) fn keep_absent(
        &self,
        resources: &dyn Resources,
        scope: CacheScope<'_>,
        tag: &Tag,
        seen: &Identity,
    ) -> CacheGrowth {
        facts::keep(self, resources, &scope.absent_key(tag, seen), &resources.now().to_le_bytes())
    }

    /// Whether the registry had no such tag lately.
    #[must_use]
    pub(crate) fn is_absent(
        &self,
        resources: &dyn Resources,
        scope: CacheScope<'_>,
        tag: &Tag,
        seen: &Identity,
    ) -> bool {
        let since = facts::recall(self, resources, &scope.absent_key(tag, seen), number);
        is_within(resources, since, ABSENT_SECONDS)
    }

    /// Keeps that nothing in the tag fits this view.
    #[must_use]
    pub(crate) fn keep_unfit(
        &self,
        resources: &dyn Resources,
        scope: CacheScope<'_>,
        tag: &Tag,
        view: &[u8],
        seen: &Identity,
    ) -> CacheGrowth {
        facts::keep(self, resources, &scope.unfit_key(tag, view, seen), &resources.now().to_le_bytes())
    }

    /// Whether nothing in the tag fitted this view lately.
    #[must_use]
    pub(crate) fn is_unfit(
        &self,
        resources: &dyn Resources,
        scope: CacheScope<'_>,
        tag: &Tag,
        view: &[u8],
        seen: &Identity,
    ) -> bool {
        let since = facts::recall(self, resources, &scope.unfit_key(tag, view, seen), number);
        is_within(resources, since, ABSENT_SECONDS.max(self.tag_ttl))
    }
}

/// Whether something happened within these seconds. A clock that was set back must not make it last for ever.
fn is_within(resources: &dyn Resources, since: Option<u64>, seconds: u64) -> bool {
    since.is_some_and(|since| (since..since.saturating_add(seconds)).contains(&resources.now()))
}
