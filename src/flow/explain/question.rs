//! The question of an `explain` request.

use std::sync::Arc;

use crate::flow::worker::Permit;
use crate::images::TagRule;
use crate::machine_type::MachineType;
use crate::request::query::ExplainQuery;
use crate::select::OnNoMatch;
use crate::store::cache::Cache;
use crate::store::keys::Identity;

/// The question: all that does not change until it is answered.
#[derive(Debug)]
pub(in crate::flow) struct Question {
    pub(in crate::flow) query: ExplainQuery,
    /// The rule of the tag, if the image has one.
    pub(in crate::flow) rule: Option<Arc<TagRule>>,
    /// The machine types that the caller may use, by name.
    pub(in crate::flow) machine_types: Vec<Arc<MachineType>>,
    pub(in crate::flow) on_no_match: OnNoMatch,
    pub(in crate::flow) cache: Cache,
    /// A keyed digest of the credential that the registry sees; `None` where nothing may be remembered.
    pub(in crate::flow) seen: Option<Identity>,
    /// The place among the explanations that may be under way.
    pub(in crate::flow) _permit: Permit,
}
