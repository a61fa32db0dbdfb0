//! Callouts under way on one worker: identical ones are sent once, and each answer is handed to all who wait for it in
//! batches, because thousands may wait.
//!
//! Nothing here knows Envoy: the host sends what [`Flights::next_to_send`] names, tells what was answered, and takes
//! deliveries one by one for as long as it has time. Answers are delivered in the order in which they came, all of one
//! before the next: so requests that wait for the same thing next, after a token for example, meet in one flight again.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::flow::Callout;
use crate::flow::body::Body;
use crate::text::headers::Headers;

/// The most bytes that one worker may hold: in requests that wait, and in answers that are not delivered yet.
pub const MAX_HELD: usize = 128 * 1024 * 1024;
/// The size of a request that waits, besides its own text, in bytes: an upper bound of its state.
const PER_WAITING: usize = 4 * 1024;
/// The number of copies of a callout's text for each request that waits: in the request, in its state, in its callout.
const COPIES: usize = 3;

/// The number of a flight.
type Number = u64;

/// An answer to a callout, shared by all who wait for it.
#[derive(Debug)]
pub struct Answered {
    /// All response headers, `:status` included.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Body,
}

/// The outcome of a callout.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was answered.
    Answered(Rc<Answered>),
    /// The connection broke, Envoy could not send it, or the answer was cut off.
    BrokeOff,
    /// There is an answer, but the worker holds too much already.
    Overfull,
}

/// No more can wait: [`MAX_HELD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// When something happened on this worker: a count of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

struct Flight<W> {
    callout: Rc<Callout>,
    waiting: VecDeque<W>,
    outcome: Option<(Moment, Outcome)>,
    /// Bytes that it holds.
    held: usize,
}

/// All callouts of one worker; `W` identifies a request that waits, `I` is the host's name for a callout.
pub struct Flights<W, I> {
    flights: BTreeMap<Number, Flight<W>>,
    /// The newest flight of each callout.
    by_callout: BTreeMap<Rc<Callout>, Number>,
    by_id: BTreeMap<I, Number>,
    to_send: VecDeque<Number>,
    to_deliver: VecDeque<Number>,
    next: Number,
    now: Moment,
    held: usize,
}

impl<W, I> Default for Flights<W, I> {
    fn default() -> Self {
        Self {
            flights: BTreeMap::new(),
            by_callout: BTreeMap::new(),
            by_id: BTreeMap::new(),
            to_send: VecDeque::new(),
            to_deliver: VecDeque::new(),
            next: 0,
            now: Moment::default(),
            held: 0,
        }
    }
}

impl<W, I: Ord> Flights<W, I> {
    /// The present moment, for a request that begins.
    #[must_use]
    pub const fn now(&self) -> Moment {
        self.now
    }

    /// Bytes that are held at present.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Whether so many bytes more may be held.
    #[must_use]
    pub const fn has_room(&self, bytes: usize) -> bool {
        self.held + bytes <= MAX_HELD
    }

    /// Lets a request that began at `since` wait for the answer to a callout. An answer that came before that does not
    /// count: upstream has not given it to this request.
    ///
    /// # Errors
    /// [`Full`].
    pub fn join(&mut self, callout: Callout, waiting: W, since: Moment) -> Result<(), Full> {
        let held = PER_WAITING + COPIES * callout.bytes();
        if !self.has_room(held) {
            return Err(Full);
        }
        self.held += held;
        if let Some(flight) = self.by_callout.get(&callout).and_then(|number| self.flights.get_mut(number))
            && flight.outcome.as_ref().is_none_or(|(at, _)| *at > since)
        {
            flight.waiting.push_back(waiting);
            flight.held += held;
            return Ok(());
        }
        let number = self.next;
        self.next += 1;
        let callout = Rc::new(callout);
        self.by_callout.insert(Rc::clone(&callout), number);
        self.flights.insert(number, Flight { callout, waiting: VecDeque::from([waiting]), outcome: None, held });
        self.to_send.push_back(number);
        Ok(())
    }

    /// A callout that is to be sent now; the host says with [`Flights::sent`] or [`Flights::not_sent`] whether it was.
    pub fn next_to_send(&mut self) -> Option<(Number, Rc<Callout>)> {
        let number = self.to_send.pop_front()?;
        let flight = self.flights.get(&number);
        debug_assert!(flight.is_some(), "flight {number} ended before it was sent");
        Some((number, Rc::clone(&flight?.callout)))
    }

    /// The host has sent it, and will name this id with the answer.
    pub fn sent(&mut self, flight: Number, id: I) {
        self.by_id.insert(id, flight);
    }

    /// The host cannot send it, and this is its outcome.
    pub fn not_sent(&mut self, flight: Number, outcome: Outcome) {
        self.land(flight, outcome, 0);
    }

    /// A callout has ended. `answer` makes its content, whose size in bytes is given beforehand: where there is no room
    /// for it, it is not made at all.
    pub fn answered(&mut self, id: I, bytes: usize, answer: impl FnOnce() -> Option<Answered>) {
        let Some(flight) = self.by_id.remove(&id) else { return };
        if !self.has_room(bytes) {
            return self.land(flight, Outcome::Overfull, 0);
        }
        let outcome = answer().map_or(Outcome::BrokeOff, |answered| Outcome::Answered(Rc::new(answered)));
        self.land(flight, outcome, bytes);
    }

    fn land(&mut self, number: Number, outcome: Outcome, bytes: usize) {
        let flight = self.flights.get_mut(&number);
        debug_assert!(flight.is_some(), "flight {number} ended before it was answered");
        let Some(flight) = flight else { return };
        self.now.0 += 1;
        self.held += bytes;
        flight.held += bytes;
        flight.outcome = Some((self.now, outcome));
        self.to_deliver.push_back(number);
    }

    /// A request that waits, and the outcome of its callout.
    pub fn next_delivery(&mut self) -> Option<(W, Outcome)> {
        loop {
            let number = *self.to_deliver.front()?;
            if let Some(flight) = self.flights.get_mut(&number)
                && let Some((_, outcome)) = &flight.outcome
                && let Some(waiting) = flight.waiting.pop_front()
            {
                return Some((waiting, outcome.clone()));
            }
            self.to_deliver.pop_front();
            self.end(number);
        }
    }

    /// Ends a flight: every request has the answer.
    fn end(&mut self, number: Number) {
        let flight = self.flights.remove(&number);
        debug_assert!(flight.is_some(), "flight {number} ended twice");
        let Some(flight) = flight else { return };
        debug_assert!(self.held >= flight.held, "flight {number} holds what is not counted");
        self.held = self.held.saturating_sub(flight.held);
        if self.by_callout.get(&flight.callout) == Some(&number) {
            self.by_callout.remove(&flight.callout);
        }
    }

    /// Whether something is to be sent or delivered.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.to_send.is_empty() || !self.to_deliver.is_empty()
    }

    /// Whether a request waits for a delivery.
    #[must_use]
    pub fn has_deliveries(&self) -> bool {
        let waits = |id| self.flights.get(id).is_some_and(|flight| !flight.waiting.is_empty());
        self.to_deliver.iter().any(waits)
    }
}

impl Answered {
    /// All response headers.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers(&self.headers)
    }
}

#[cfg(test)]
mod tests;
