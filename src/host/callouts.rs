//! Callouts under way, as they are sent and delivered. They belong to a worker and not to the stream that wants them,
//! so that identical ones are sent once, and a client that disconnects leaves the others their answer.
//!
//! Envoy sends them only from callbacks of the filter's root: a callout in the name of a stream would end with the
//! stream. So a stream asks for a tick, and waits. No callout is sent in the callback of an answer either: a request
//! that was sent there, and whose connection then broke, was answered 503 and not repeated. Envoy carries out what
//! streams decide in one callback by nesting each reply in the one before, until V8's stack is full: hence the bound on
//! deliveries in one callback.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use super::flights::{Answered, Flights, Full, Moment, Outcome};
use crate::flow::body::Body;
use crate::flow::{Callout, MAX_MANIFEST};

/// How long upstream may take to answer. Clients wait 30 s and more for headers.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// The time after which a requested tick comes: the shortest that Envoy knows.
pub const TICK: Duration = Duration::from_millis(1);
/// The most deliveries in one callback. V8's stack was full at 305.
const BATCH: usize = 64;
/// The time for which a worker delivers before it serves other clients. The last delivery of a batch may take longer.
const SLICE: Duration = Duration::from_millis(10);
/// Answers above this size are worked off in a tick, one after the other.
const SMALL: usize = 64 * 1024;
/// A registry may close a kept connection while a request is on its way to it. Envoy's router sends it once more, and
/// removes these; all callouts are GET or HEAD.
const RETRIES: [(&str, &str); 2] =
    [("x-envoy-retry-on", "connect-failure,refused-stream,reset"), ("x-envoy-max-retries", "1")];

/// Why a callout was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent<E> {
    /// The cluster takes no more at present. Envoy does not tell whether all its connections are in use or it has no
    /// host; so this must not count as a registry that is down, whose earlier answers may stand in.
    Busy(E),
    /// There is no such cluster, or the host cannot send at all.
    Impossible(E),
}

/// The host's part in callouts: it sends those of one worker, and reaches the requests that wait for them.
pub trait Sender {
    /// A request that waits.
    type Waiting;
    /// The host's name for a callout, by which it announces the answer.
    type Id: Ord;
    /// Why a call into the host failed.
    type Error: Debug;

    /// Sends a callout with [`headers`] and [`TIMEOUT`], in the name of the worker, no matter which stream got the last
    /// delivery. It is answered after this has returned.
    ///
    /// # Errors
    /// It was not sent.
    fn send(&self, callout: &Callout) -> Result<Self::Id, NotSent<Self::Error>>;
    /// Switches ticks on, one every [`TICK`], or off; returns whether that could be done.
    fn set_ticking(&self, ticking: bool) -> bool;
    /// The time since the Unix epoch, to the millisecond or finer.
    fn time(&self) -> Option<Duration>;
    /// Hands over the outcome of a callout; returns whether the request that waited was still there.
    fn deliver(&self, waiting: Self::Waiting, outcome: &Outcome) -> bool;
}

/// All headers that a callout is sent with.
pub fn headers(callout: &Callout) -> impl Iterator<Item = (&str, &str)> {
    callout.headers.iter().map(|(name, value)| (*name, value.as_str())).chain(RETRIES)
}

/// All callouts of one worker.
pub struct Callouts<S: Sender> {
    flights: RefCell<Flights<S::Waiting, S::Id>>,
    /// Whether a tick was asked for.
    ticking: Cell<bool>,
}

impl<S: Sender> Default for Callouts<S> {
    fn default() -> Self {
        Self { flights: RefCell::default(), ticking: Cell::default() }
    }
}

impl<S: Sender> Callouts<S> {
    /// The present moment, for a request that begins.
    pub fn now(&self) -> Moment {
        self.flights.borrow().now()
    }

    /// Lets a request that began at `since` wait for the answer to a callout.
    ///
    /// # Errors
    /// [`Full`].
    pub fn join(&self, sender: &S, callout: Callout, waiting: S::Waiting, since: Moment) -> Result<(), Full> {
        self.flights.borrow_mut().join(callout, waiting, since)?;
        self.tick(sender);
        Ok(())
    }

    /// Sends the callouts that wait, delivers a batch, and sends the callouts that this led to.
    pub fn on_tick(&self, sender: &S) {
        self.send(sender);
        self.deliver(sender);
        self.send(sender);
        self.tick(sender);
    }

    /// A callout has ended with a body of `size` bytes. `take` gives its headers and so many bytes of its body, or
    /// `None` if it broke off; where there is no room for them, it is not called. The requests that wait have the
    /// answer at once if that is little work and nothing else waits.
    pub fn answered(
        &self,
        sender: &S,
        id: S::Id,
        size: usize,
        take: impl FnOnce(usize) -> Option<(Vec<(String, Vec<u8>)>, Vec<u8>)>,
    ) {
        let at_once = size <= SMALL && !self.flights.borrow().has_deliveries();
        // One byte above the limit is enough to know that it is too large.
        let size = size.min(MAX_MANIFEST + 1);
        let fits = self.flights.borrow().has_room(size);
        // No borrow may last while the host is called.
        let answer = if fits { take(size) } else { None };
        let answer = answer.map(|(headers, body)| Answered { headers, body: body.into() });
        self.flights.borrow_mut().answered(id, size, || answer);
        if at_once {
            self.deliver(sender);
        }
        self.tick(sender);
    }

    /// Asks for ticks if something is left to do.
    fn tick(&self, sender: &S) {
        let busy = self.flights.borrow().is_busy();
        if busy != self.ticking.get() && sender.set_ticking(busy) {
            self.ticking.set(busy);
        }
    }

    fn send(&self, sender: &S) {
        loop {
            // No borrow may last while the host is called.
            let Some((flight, callout)) = self.flights.borrow_mut().next_to_send() else { return };
            match sender.send(&callout) {
                Ok(id) => self.flights.borrow_mut().sent(flight, id),
                Err(not_sent) => {
                    let outcome = refused(&callout, &not_sent);
                    self.flights.borrow_mut().not_sent(flight, outcome);
                }
            }
        }
    }

    /// Envoy carries out what a stream decides when the callback is over.
    fn deliver(&self, sender: &S) {
        let (mut begin, mut delivered) = (None, 0);
        while delivered < BATCH && begin.is_none_or(|begin| !is_over(sender, begin)) {
            // The borrow must end before the stream joins another flight.
            let Some((waiting, outcome)) = self.flights.borrow_mut().next_delivery() else { return };
            // Most answers have one request that waits, and a look at the clock is a call into Envoy.
            if begin.is_none() && self.flights.borrow().has_deliveries() {
                begin = sender.time();
            }
            // A client that has gone takes no time.
            delivered += usize::from(sender.deliver(waiting, &outcome));
        }
    }
}

/// Whether a slice of time that began then is over. A clock that was set back ends it.
fn is_over(sender: &impl Sender, begin: Duration) -> bool {
    let now = sender.time().unwrap_or(begin);
    now.checked_sub(begin).is_none_or(|since| since >= SLICE)
}

/// The outcome of a callout that was not sent.
fn refused<E: Debug>(callout: &Callout, not_sent: &NotSent<E>) -> Outcome {
    let (NotSent::Busy(error) | NotSent::Impossible(error)) = not_sent;
    log::error!(
        "503 Envoy refuses a request to its cluster {:?} ({error:?}); check that it exists and has an address",
        callout.cluster
    );
    match not_sent {
        NotSent::Impossible(_) => Outcome::BrokeOff,
        NotSent::Busy(_) => {
            let headers = [(":status", "503"), ("x-envoy-overloaded", "true")];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
            Outcome::Answered(Rc::new(Answered { headers, body: Body::default() }))
        }
    }
}

#[cfg(test)]
mod tests;
