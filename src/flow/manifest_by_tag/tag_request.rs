//! The request for a manifest by tag.

use std::rc::Rc;
use std::sync::Arc;

use crate::config::Registry;
use crate::flow::none_match::NoneMatch;
use crate::flow::worker::Recent;
use crate::machine_type::{MachineType, Source};
use crate::oci::digest::Digest;
use crate::oci::index::AssumedLevels;
use crate::oci::reference::{Repository, Tag};
use crate::select::OnNoMatch;
use crate::store::cache::{Cache, DESCRIBED};
use crate::store::keys::Identity;

/// The rule by which an index is served where nothing but selection says what is served.
pub(in crate::flow) const SELECTED: u8 = 0;

/// The request: all that does not change until it is answered.
#[derive(Debug)]
pub(in crate::flow) struct TagRequest {
    pub(in crate::flow) repository: Repository,
    pub(in crate::flow) tag: Tag,
    /// A keyed digest of the caller's complete credential; `None` where nothing may be kept for the caller.
    pub(in crate::flow) identity: Option<Identity>,
    pub(in crate::flow) machine_type: Arc<MachineType>,
    /// The place that says the machine type.
    pub(in crate::flow) source: Source,
    /// `Vary` of the answer.
    pub(in crate::flow) vary: &'static str,
    pub(in crate::flow) on_no_match: OnNoMatch,
    /// The registry is only observed.
    pub(in crate::flow) observes: bool,
    /// The levels that entries without a variant really need.
    pub(in crate::flow) assumed: AssumedLevels,
    pub(in crate::flow) cache: Cache,
    pub(in crate::flow) recent: Rc<Recent>,
    /// The client asks with HEAD.
    pub(in crate::flow) head: bool,
    /// The manifests that the client has.
    pub(in crate::flow) none_match: Option<NoneMatch>,
    /// The registry, if events are posted.
    pub(in crate::flow) events_of: Option<Arc<Registry>>,
}

impl TagRequest {
    /// The number of the rule by which an index is served.
    fn rule(&self) -> u8 {
        match self.on_no_match {
            _ if self.observes => 2,
            OnNoMatch::Unfiltered => 1,
            OnNoMatch::Refuse | OnNoMatch::Deny => SELECTED,
        }
    }

    /// Whether the client has this manifest.
    pub(super) fn is_unmodified(&self, digest: &Digest) -> bool {
        self.none_match.as_ref().is_some_and(|condition| condition.names(digest))
    }

    pub(super) fn view(&self) -> Vec<u8> {
        view(self.rule(), &self.machine_type, &self.assumed)
    }
}

/// The view on which an answer depends besides the tag, in bytes: the number of the rule by which an index is served,
/// the machine type's offer, and the levels that are assumed. Views of described machines are marked, because they are
/// remembered in a share of the cache.
pub(in crate::flow) fn view(rule: u8, machine_type: &MachineType, assumed: &AssumedLevels) -> Vec<u8> {
    let rule = if machine_type.is_unnamed() { rule | DESCRIBED } else { rule };
    let mut view = vec![rule];
    view.extend_from_slice(machine_type.fingerprint().as_bytes());
    view.extend_from_slice(assumed.text().as_bytes());
    view
}
