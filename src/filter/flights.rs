//! Callouts under way. They belong to the root context and not to the stream that wants them, so that identical ones
//! are sent once, and a client that disconnects leaves the others their answer.
//!
//! Only a callback of the root context can send them under its own name: the SDK notes who was active. So a stream
//! asks for a tick of a millisecond, and waits.

use std::cell::{Cell, RefCell};
use std::rc::Weak;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, Status};

use super::http::Stream;
use super::log;
use crate::flow::{Answer, Callout, Event, MAX_MANIFEST};
use crate::headers::Headers;

/// How long upstream may take to answer. Clients wait 30 s and more for headers.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The shortest time after which Envoy calls the root context.
const TICK: Duration = Duration::from_millis(1);

/// A stream that waits, and the number by which Envoy knows it.
struct Waiting {
    context: u32,
    stream: Weak<RefCell<Stream>>,
}

struct Flight {
    callout: Callout,
    /// Envoy's number of the callout, once it was sent.
    token: Option<u32>,
    waiting: Vec<Waiting>,
}

/// All callouts of one root context.
#[derive(Default)]
pub(super) struct Flights {
    under_way: RefCell<Vec<Flight>>,
    /// A tick was asked for.
    ticking: Cell<bool>,
}

impl Flights {
    /// Lets a stream wait for the answer to a callout.
    ///
    /// # Errors
    /// Envoy's, if it grants no tick.
    pub(super) fn join(&self, callout: Callout, context: u32, stream: Weak<RefCell<Stream>>) -> Result<(), Status> {
        let waiting = Waiting { context, stream };
        let mut under_way = self.under_way.borrow_mut();
        if let Some(flight) = under_way.iter_mut().find(|flight| flight.callout == callout) {
            flight.waiting.push(waiting);
            return Ok(());
        }
        if !self.ticking.get() {
            hostcalls::set_tick_period(TICK)?;
            self.ticking.set(true);
        }
        under_way.push(Flight { callout, token: None, waiting: vec![waiting] });
        Ok(())
    }

    /// Sends what waits to be sent. To be called by the root context only.
    pub(super) fn send(&self) {
        self.ticking.set(false);
        let _ = hostcalls::set_tick_period(Duration::ZERO);
        let mut refused = Vec::new();
        self.under_way.borrow_mut().retain_mut(|flight| {
            if flight.token.is_some() {
                return true;
            }
            match dispatch(&flight.callout) {
                Ok(token) => flight.token = Some(token),
                Err(status) => {
                    let cluster = &flight.callout.cluster;
                    let line = format!(
                        "503 Envoy refuses a request to its cluster {cluster:?} ({status:?}); does it have one of that name?"
                    );
                    log(LogLevel::Error, &line);
                    refused.append(&mut flight.waiting);
                }
            }
            flight.token.is_some()
        });
        deliver(refused, &Event::CalloutAnswered(None));
    }

    /// Hands the answer to all streams that wait for it. To be called by the root context only.
    pub(super) fn answered(&self, token: u32, headers: usize, size: usize) {
        let mut under_way = self.under_way.borrow_mut();
        let Some(place) = under_way.iter().position(|flight| flight.token == Some(token)) else { return };
        let Flight { waiting, .. } = under_way.swap_remove(place);
        drop(under_way);
        if headers == 0 {
            return deliver(waiting, &Event::CalloutAnswered(None));
        }
        let headers = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default();
        // One byte above the limit is enough to know that it is too large.
        let size = size.min(MAX_MANIFEST + 1);
        let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).ok().flatten().unwrap_or_default();
        deliver(waiting, &Event::CalloutAnswered(Some(Answer { headers: Headers(&headers), body: &body })));
    }
}

/// Envoy carries out what a stream decides when the root context's callback is over.
fn deliver(waiting: Vec<Waiting>, event: &Event<'_>) {
    for Waiting { context, stream } in waiting {
        let Some(stream) = stream.upgrade() else { continue };
        if hostcalls::set_effective_context(context).is_ok()
            && let Ok(mut stream) = stream.try_borrow_mut()
        {
            stream.on_callout(event);
        }
    }
}

fn dispatch(callout: &Callout) -> Result<u32, Status> {
    let headers = callout.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    hostcalls::dispatch_http_call(&callout.cluster, headers, None, Vec::new(), TIMEOUT)
}
