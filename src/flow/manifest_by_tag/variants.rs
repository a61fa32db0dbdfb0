//! A search among tags, as it stands, and the facts about tags that are remembered.

use crate::flow::decision::Context;
use crate::images::{Lack, Search};
use crate::oci::reference::Tag;
use crate::select::OnNoMatch;
use crate::store::cache::{Cache, CacheGrowth, CacheScope};
use crate::store::keys::Identity;
use crate::store::resources::Resources;

/// A search among tags, as it stands.
#[derive(Debug)]
pub(in crate::flow) struct Variants {
    pub(super) search: Search,
    /// The tag that the client has asked for.
    pub(super) asked_for: Tag,
    /// A keyed digest of the credential that the registry sees; `None` where nothing may be remembered.
    pub(super) seen: Option<Identity>,
    /// When the search began, in seconds since the Unix epoch.
    pub(super) since: u64,
    /// The answer if there are tags and nothing in them fits.
    pub(super) on_no_match: OnNoMatch,
}

impl Variants {
    /// A search for the tag that a client has asked for.
    pub(in crate::flow) fn new(
        at: Context<'_>,
        search: Search,
        asked_for: &Tag,
        on_no_match: OnNoMatch,
        seen: Option<Identity>,
    ) -> Self {
        Self { search, asked_for: asked_for.clone(), seen, since: at.resources.now(), on_no_match }
    }

    /// The tag that the client has asked for.
    pub(super) const fn asked_for(&self) -> &Tag {
        &self.asked_for
    }

    /// The better tags that the registry does not have.
    pub(super) fn absent(&self) -> &[Tag] {
        self.search.absent()
    }
}

/// The facts about tags that are remembered for one view.
#[derive(Clone, Copy)]
pub(in crate::flow) struct Remembered<'a> {
    pub(in crate::flow) cache: Cache,
    pub(in crate::flow) resources: &'a dyn Resources,
    pub(in crate::flow) scope: CacheScope<'a>,
    pub(in crate::flow) view: &'a [u8],
    pub(in crate::flow) seen: Option<&'a Identity>,
}

impl Remembered<'_> {
    /// The lack of a tag that was found out lately.
    pub(in crate::flow) fn lack(self, tag: &Tag) -> Option<Lack> {
        let Self { cache, resources, scope, view, seen } = self;
        let seen = seen?;
        if cache.is_absent(resources, scope, tag, seen) {
            return Some(Lack::Absent);
        }
        cache.is_unfit(resources, scope, tag, view, seen).then_some(Lack::Unfit)
    }

    /// Remembers the lack of a tag.
    pub(in crate::flow) fn keep(self, tag: &Tag, lack: Lack) -> CacheGrowth {
        let Self { cache, resources, scope, view, seen } = self;
        let Some(seen) = seen else { return CacheGrowth::default() };
        match lack {
            Lack::Absent => cache.keep_absent(resources, scope, tag, seen),
            Lack::Unfit => cache.keep_unfit(resources, scope, tag, view, seen),
        }
    }
}
