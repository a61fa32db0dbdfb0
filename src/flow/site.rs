//! Where a request arrived, and what is at hand to serve it.

use std::net::IpAddr;
use std::sync::Arc;

use super::WorkerState;
use crate::config::{Config, Registry};
use crate::store::resources::Resources;
use crate::text::headers::Headers;

/// Where a request arrived.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) config: &'a Config,
    pub(super) resources: &'a dyn Resources,
    pub(super) registry: &'a Arc<Registry>,
    pub(super) worker: &'a WorkerState,
    pub(super) headers: Headers<'a>,
    /// The client's address. Asking costs a call into Envoy.
    pub(super) address: &'a dyn Fn() -> Option<IpAddr>,
}
