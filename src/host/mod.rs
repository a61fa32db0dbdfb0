//! The traits that a proxy implements for the core, and the parts that all proxies share: the [`Driver`] of a stream,
//! [`Callouts`] under way, with the requests that wait for them, and [`events`] on their way to a build pipeline.
//!
//! An adapter implements [`Host`] for its streams and [`Sender`] for the part that sends callouts, hands each callback
//! of the proxy to the driver, and decides nothing.

pub mod callouts;
pub mod driver;
pub mod events;
pub mod flights;
mod log_limit;
pub mod log_lines;

pub use callouts::{Callouts, NotSent, Sender};
pub use driver::{Driver, FilterStatus};

use std::fmt::Debug;
use std::net::IpAddr;

use self::flights::{Full, Moment};
use crate::config::Config;
use crate::flow::reply::Reply;
use crate::flow::{Callout, Counter, WorkerState};
use crate::store::resources::Resources;
use crate::text::headers::HeaderChange;

/// The message whose headers are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's request.
    Request,
    /// The answer to it, upstream's or one of the proxy's own.
    Response,
}

/// One stream as its proxy gives it to a [`Driver`].
///
/// Replying and resuming are the last calls of a callback: the proxy may call back in before they return.
pub trait Host {
    /// Why a call into the proxy failed.
    type Error: Debug;

    /// The configuration that this stream began with; `None` where there was none.
    fn config(&self) -> Option<&Config>;
    /// The state that this stream's worker keeps for itself under that configuration.
    fn worker(&self) -> &WorkerState;
    /// The store that all workers share, the clock, and randomness.
    fn resources(&self) -> &dyn Resources;
    /// The cluster that the request's route leads to, as text; empty or `None` without one.
    fn cluster(&self) -> Option<Vec<u8>>;
    /// The client's address as the proxy trusts it.
    fn client_address(&self) -> Option<IpAddr>;

    /// All headers, names in lower case, in wire order.
    fn headers(&self, side: Side) -> Vec<(String, Vec<u8>)>;
    /// The first value of a header.
    fn header(&self, side: Side, name: &str) -> Option<Vec<u8>>;
    /// Changes a header.
    ///
    /// # Errors
    /// The proxy does not take it.
    fn change_header(&self, side: Side, change: &HeaderChange) -> Result<(), Self::Error>;
    /// The request's body as far as it is held, at most `size` bytes of it.
    fn request_body(&self, size: usize) -> Vec<u8>;
    /// The piece of the response's body that is at hand, `size` bytes long.
    fn response_body(&self, size: usize) -> Vec<u8>;

    /// Answers the client instead of upstream. Once the headers of a response have gone on, this cuts it off.
    ///
    /// # Errors
    /// The proxy does not take it.
    fn reply(&self, reply: &Reply) -> Result<(), Self::Error>;
    /// Lets the request go on that was held.
    ///
    /// # Errors
    /// The proxy does not take it.
    fn resume_request(&self) -> Result<(), Self::Error>;
    /// Lets this stream, whose request began at `since`, wait for the answer to a callout: [`Callouts::join`]. The
    /// answer is delivered after the callback in which this was called.
    ///
    /// # Errors
    /// [`Full`].
    fn call_out(&self, callout: Callout, since: Moment) -> Result<(), Full>;
    /// The present moment: [`Callouts::now`].
    fn moment(&self) -> Moment;

    /// Adds to a counter, or to a gauge, for which the amount may be negative.
    fn count(&self, counter: Counter, amount: i64);
    /// Queues an event for the receiver: [`Poster::push`](events::Poster::push). Returns whether there was room for it.
    fn queue_event(&self, line: String) -> bool;
}

/// Reports on a configuration that is in force from now on, and gives the cache the size that it wants. `count` is
/// [`Host::count`].
pub fn put_in_force(config: &Config, resources: &dyn Resources, count: impl Fn(Counter, i64)) {
    for warning in config.warnings() {
        log::warn!("{warning}");
    }
    log::info!("configuration in force: {} machine types, {}", config.machine_type_count(), config.hash());
    let growth = config.cache().resize(resources);
    count(Counter::CacheBytes, growth.bytes);
    count(Counter::CacheEvicted, growth.evicted);
}
