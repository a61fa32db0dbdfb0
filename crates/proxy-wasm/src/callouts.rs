//! Callouts under way, in Envoy. They belong to the root context and not to the stream that wants them, so that identical
//! ones are sent once, and a client that disconnects leaves the others their answer.
//!
//! Only a callback of the root context can send them under its own name: the SDK notes who was active. So a stream
//! asks for a tick of a millisecond, and waits. Envoy carries out what streams decide in one callback by nesting each
//! reply in the one before, until V8's stack is full: hence the bound on deliveries in one callback.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, SystemTime};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, Status};

use crate::http::Stream;
use crate::log;
use metahub::flow::body::Body;
use metahub::flow::{Answer, Callout, Event, MAX_MANIFEST};
use metahub::host::flights::{Answered, Flights, Full, Moment, Outcome};

/// How long upstream may take to answer. Clients wait 30 s and more for headers.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The shortest time after which Envoy calls the root context.
const TICK: Duration = Duration::from_millis(1);
/// Deliveries in one callback. V8's stack ended at 305.
const BATCH: usize = 64;
/// How long a worker delivers before it looks after other clients. The last delivery of a batch may take longer.
const SLICE: Duration = Duration::from_millis(10);
/// Answers above this size are worked off in a tick, one after the other.
const SMALL: usize = 64 * 1024;

/// A stream that waits, and the number by which Envoy knows it.
struct Waiting {
    context: u32,
    stream: Weak<RefCell<Stream>>,
}

/// All callouts of one root context.
#[derive(Default)]
pub(crate) struct Callouts {
    flights: RefCell<Flights<Waiting>>,
    /// A tick was asked for.
    ticking: Cell<bool>,
}

impl Callouts {
    /// When a request begins.
    pub(crate) fn now(&self) -> Moment {
        self.flights.borrow().now()
    }

    /// Lets a stream wait for the answer to a callout.
    ///
    /// # Errors
    /// [`Full`].
    pub(crate) fn join(
        &self,
        callout: Callout,
        context: u32,
        stream: Weak<RefCell<Stream>>,
        since: Moment,
    ) -> Result<(), Full> {
        self.flights.borrow_mut().join(callout, Waiting { context, stream }, since)?;
        self.tick();
        Ok(())
    }

    /// Asks for a tick if something is left to do.
    fn tick(&self) {
        let busy = self.flights.borrow().is_busy();
        if busy != self.ticking.get() && hostcalls::set_tick_period(if busy { TICK } else { Duration::ZERO }).is_ok() {
            self.ticking.set(busy);
        }
    }

    /// Sends what waits to be sent and delivers a batch. To be called by the root context only.
    pub(crate) fn on_tick(&self) {
        self.send();
        self.deliver();
        self.tick();
    }

    fn send(&self) {
        loop {
            let Some((id, callout)) = self.flights.borrow_mut().next_to_send() else { return };
            match dispatch(&callout) {
                Ok(token) => self.flights.borrow_mut().sent(id, token),
                Err(status) => {
                    let cluster = &callout.cluster;
                    let line = format!(
                        "503 Envoy refuses a request to its cluster {cluster:?} ({status:?}); does it have one of that name, with an address?"
                    );
                    log(LogLevel::Error, &line);
                    self.flights.borrow_mut().not_sent(id, refusal(status));
                }
            }
        }
    }

    /// Takes an answer, and hands it out at once if that is little work and nothing else waits. To be called by the root
    /// context only.
    pub(crate) fn answered(&self, token: u32, headers: usize, size: usize) {
        let at_once = size <= SMALL && !self.flights.borrow().has_deliveries();
        // One byte above the limit is enough to know that it is too large.
        let size = size.min(MAX_MANIFEST + 1);
        self.flights.borrow_mut().answered(token, size, || (headers > 0).then(|| take(size)));
        if at_once {
            self.deliver();
        }
        self.tick();
    }

    /// Envoy carries out what a stream decides when the root context's callback is over.
    fn deliver(&self) {
        let begin = hostcalls::get_current_time().ok();
        let mut delivered = 0;
        while delivered < BATCH && begin.is_none_or(|begin| !is_over(begin)) {
            // The borrow must end before the stream joins another flight.
            let Some((Waiting { context, stream }, outcome)) = self.flights.borrow_mut().next_delivery() else {
                return;
            };
            // A client that has gone takes no time.
            let Some(stream) = stream.upgrade() else { continue };
            delivered += 1;
            if hostcalls::set_effective_context(context).is_ok()
                && let Ok(mut stream) = stream.try_borrow_mut()
            {
                stream.on_callout(&event(&outcome));
            }
        }
    }
}

/// Whether a slice of time that began then is over. A clock that was set back ends it.
fn is_over(begin: SystemTime) -> bool {
    let now = hostcalls::get_current_time().unwrap_or(begin);
    !now.duration_since(begin).is_ok_and(|since| since < SLICE)
}

fn event(outcome: &Outcome) -> Event<'_> {
    match outcome {
        Outcome::Answered(answered) => {
            Event::CalloutAnswered(Some(Answer { headers: answered.headers(), body: &answered.body }))
        }
        Outcome::BrokeOff => Event::CalloutAnswered(None),
        Outcome::Overfull => Event::Overfull,
    }
}

/// What a request comes to that Envoy does not send. Of a cluster that it has, Envoy does not tell whether the cluster's
/// connections are all in use or it has no host; so this must not pass for a registry that is down, whose earlier word may
/// stand in.
fn refusal(status: Status) -> Outcome {
    if status != Status::InternalFailure {
        return Outcome::BrokeOff;
    }
    let headers = [(":status", "503"), ("x-envoy-overloaded", "true")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
    Outcome::Answered(Rc::new(Answered { headers, body: Body::default() }))
}

/// The answer that Envoy has at hand.
fn take(size: usize) -> Answered {
    let headers = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default();
    let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).ok().flatten().unwrap_or_default();
    Answered { headers, body: body.into() }
}

fn dispatch(callout: &Callout) -> Result<u32, Status> {
    let headers = callout.headers.iter().map(|(name, value)| (*name, value.as_str()));
    hostcalls::dispatch_http_call(&callout.cluster, headers.chain(RETRY).collect(), None, Vec::new(), TIMEOUT)
}

/// A registry may close a kept connection while a request is on its way to it. Envoy's router sends it once more, and
/// removes these; all callouts are GET or HEAD.
const RETRY: [(&str, &str); 2] =
    [("x-envoy-retry-on", "connect-failure,refused-stream,reset"), ("x-envoy-max-retries", "1")];
