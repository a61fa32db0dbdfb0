//! Events for a build pipeline: images that are not there yet. A machine type got less than it could use, or nothing.
//!
//! ```text
//! request:       BuildEvent ──note: due once an hour──▶ a line ──▶ Outbox of the worker
//! worker's tick: Outbox ──a batch a second at most──▶ the receiver, again and again with longer pauses
//! ```
//!
//! Nothing here does I/O: requests only write a line down, and the host posts (`host/events.rs`).

mod build_event;
mod hourly;
mod outbox;
mod receiver;

pub use build_event::{BuildEvent, EventReason, Sightings};
pub use hourly::{Noted, note};
pub use outbox::{ANSWER_WITHIN, BATCH_BYTES, BATCH_EVENTS, INTERVAL, MAX_ATTEMPTS, MAX_BYTES, MAX_EVENTS};
pub use outbox::{Outbox, Settled, Verdict};
pub use receiver::Receiver;
