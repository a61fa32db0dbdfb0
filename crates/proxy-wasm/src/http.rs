//! One HTTP stream.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::{Rc, Weak};

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType, Status};

use crate::resources::SharedData;
use crate::{Worker, log};
use metahub::flow::reply::Reply;
use metahub::flow::{self, Arrival, Effects, Event, Exchange, Report, Step};
use metahub::host::flights::{Full, Moment};
use metahub::oci::errors::Code;
use metahub::store::resources::is_news;
use metahub::text::headers::{HeaderChange, Headers};

/// A stream and what it waits for. The callouts that it waits for reach it through the root context.
pub(crate) struct Stream {
    context: u32,
    worker: Rc<Worker>,
    exchange: Exchange,
    /// Its request has not ended, and nothing was decided about it.
    incomplete: bool,
    /// When its request began.
    since: Moment,
    /// Its request calls itself gRPC, and this is the status of MetaHub's own answer: Envoy puts it elsewhere and says 200.
    grpc: Option<u16>,
    /// Whose headers are at hand: the request's, until upstream's response is here.
    phase: MapType,
    itself: Weak<RefCell<Self>>,
}

impl Stream {
    fn advance(&mut self, event: &Event<'_>) -> Action {
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Done);
        self.take(exchange.advance(&SharedData, event))
    }

    /// A callout that this stream waits for was answered.
    pub(crate) fn on_callout(&mut self, event: &Event<'_>) {
        self.advance(event);
    }

    /// Counts, logs and does what the flow decided.
    fn take(&mut self, effects: Effects) -> Action {
        self.exchange = effects.exchange;
        for report in &effects.reports {
            self.note(report);
        }
        self.perform(effects.step).unwrap_or_else(|status| {
            log(LogLevel::Error, &format!("503 a call into Envoy failed: {status:?}"));
            self.exchange = Exchange::Done;
            let reply = Reply::error(Code::Unavailable, "MetaHub could not answer; try again later");
            reply_with(&reply).unwrap_or(Action::Pause)
        })
    }

    fn note(&self, report: &Report) {
        self.worker.metrics.add(report.counter, report.amount);
        if let Some(line) = report.line.as_deref().filter(|_| is_news(&SharedData, report.topic.as_deref())) {
            log(LogLevel::Warn, line);
        }
    }

    /// Replying and resuming are the last call of a callback: Envoy may call back in before they return.
    fn perform(&mut self, step: Step) -> Result<Action, Status> {
        match step {
            Step::Continue(changes) => {
                change_headers(self.phase, &changes)?;
                Ok(Action::Continue)
            }
            Step::Resume(changes) => {
                change_headers(MapType::HttpRequestHeaders, &changes)?;
                hostcalls::resume_http_request()?;
                Ok(Action::Continue)
            }
            Step::Hold => Ok(Action::Pause),
            Step::CallOut(callout) => {
                match self.worker.callouts.join(callout, self.context, self.itself.clone(), self.since) {
                    Ok(()) => Ok(Action::Pause),
                    Err(Full) => Ok(self.advance(&Event::Overfull)),
                }
            }
            // After the headers of a response Envoy cannot reply; it cuts the response off.
            Step::Reply(reply) | Step::Cut(reply) => {
                self.grpc = self.grpc.and(Some(reply.status));
                reply_with(&reply)
            }
        }
    }

    /// The request's headers are here; `end` says that nothing follows.
    fn on_request_headers(&mut self, end: bool) -> Action {
        let headers = all(MapType::HttpRequestHeaders);
        // A body of unknown length may follow, or nothing: that must be known before the registry is asked.
        self.incomplete = !end && flow::may_bring_a_body(Headers(&headers));
        if self.incomplete { Action::Pause } else { self.on_request(&headers) }
    }

    fn on_request(&mut self, headers: &[(String, Vec<u8>)]) -> Action {
        self.since = self.worker.callouts.now();
        let Some(config) = self.worker.config.clone() else {
            let reply = Reply::error(Code::Unavailable, "MetaHub has no configuration yet");
            return reply_with(&reply).unwrap_or(Action::Pause);
        };
        let is_grpc =
            Headers(headers).first("content-type").is_some_and(|value| value.starts_with(b"application/grpc"));
        self.grpc = is_grpc.then_some(Code::Unavailable.status());
        let cluster = hostcalls::get_property(vec!["xds", "cluster_name"]).ok().flatten();
        let cluster =
            cluster.as_deref().and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty());
        let arrival = Arrival { cluster, headers: Headers(headers), address: &client_address };
        let effects = flow::begin(&config, &SharedData, &self.worker.state, arrival);
        self.take(effects)
    }

    fn on_response(&mut self, end: bool) -> Action {
        if let Some(status) = self.grpc.take() {
            say_plainly(status);
        }
        if matches!(self.exchange, Exchange::Done) {
            return Action::Continue;
        }
        self.phase = MapType::HttpResponseHeaders;
        // A header or two are cheaper than all of them, and an answer as expected needs no more.
        let status = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, ":status").ok().flatten();
        let headers = match self.exchange.suffices(status.as_deref().unwrap_or_default()) {
            Some(names) => {
                let mut headers = vec![(":status".to_owned(), status.unwrap_or_default())];
                for name in names {
                    let value = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, name).ok().flatten();
                    headers.extend(value.map(|value| ((*name).to_owned(), value)));
                }
                headers
            }
            None => all(MapType::HttpResponseHeaders),
        };
        self.advance(&Event::ResponseHeaders { headers: Headers(&headers), end })
    }

    /// A piece of the response's body, `size` bytes long, or its end.
    fn on_response_body(&mut self, size: usize, end: bool) -> Action {
        match self.exchange {
            Exchange::Done => Action::Continue,
            Exchange::Transferring(_) => {
                let piece = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size).ok().flatten();
                self.advance(&Event::ResponseBody { piece: &piece.unwrap_or_default(), end })
            }
            // Held headers would go on with the body.
            _ => Action::Pause,
        }
    }

    /// A piece of the request's body, `size` bytes long, or its end. One that waits, waits with its request: to let it go on
    /// would let the request go on, with the client's own `Authorization`.
    fn on_request_body(&mut self, size: usize, end: bool) -> Action {
        if size > 0 && (self.incomplete || !matches!(self.exchange, Exchange::Done)) {
            (self.incomplete, self.exchange) = (false, Exchange::Done);
            return self.take(flow::unexpected_body(Headers(&all(MapType::HttpRequestHeaders))));
        }
        if self.incomplete {
            if !end {
                return Action::Pause;
            }
            self.incomplete = false;
            // Without a length Envoy would send it in chunks, of which there are none.
            let _ = hostcalls::set_map_value(MapType::HttpRequestHeaders, "content-length", Some("0"));
            return self.on_request(&all(MapType::HttpRequestHeaders));
        }
        if self.exchange.holds_request() { Action::Pause } else { Action::Continue }
    }
}

/// A stream as the SDK owns it.
pub(crate) struct Http(Rc<RefCell<Stream>>);

impl Http {
    pub(crate) fn new(context: u32, worker: Rc<Worker>) -> Self {
        Self(Rc::new_cyclic(|itself| {
            RefCell::new(Stream {
                context,
                worker,
                exchange: Exchange::Done,
                incomplete: false,
                since: Moment::default(),
                grpc: None,
                phase: MapType::HttpRequestHeaders,
                itself: itself.clone(),
            })
        }))
    }

    fn with_stream(&self, callback: impl FnOnce(&mut Stream) -> Action) -> Action {
        self.0.try_borrow_mut().map_or(Action::Pause, |mut stream| callback(&mut stream))
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        self.with_stream(|stream| stream.on_request_headers(end))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.with_stream(|stream| stream.on_request_body(size, end))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.with_stream(|stream| stream.on_request_body(0, true))
    }

    fn on_http_response_headers(&mut self, _count: usize, end: bool) -> Action {
        self.with_stream(|stream| stream.on_response(end))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.with_stream(|stream| stream.on_response_body(size, end))
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.with_stream(|stream| stream.on_response_body(0, true))
    }
}

/// The client's address as Envoy trusts it: that of the connection, or what `xff_num_trusted_hops` makes of headers.
fn client_address() -> Option<IpAddr> {
    flow::source_address(&hostcalls::get_property(vec!["source", "address"]).ok().flatten()?)
}

/// All headers of a map, as bytes.
fn all(map: MapType) -> Vec<(String, Vec<u8>)> {
    hostcalls::get_map_bytes(map).unwrap_or_default()
}

fn change_headers(map: MapType, changes: &[HeaderChange]) -> Result<(), Status> {
    for change in changes {
        match change {
            HeaderChange::Set(name, value) => hostcalls::set_map_value(map, name, Some(value))?,
            HeaderChange::Remove(name) => hostcalls::remove_map_value(map, name)?,
        }
    }
    Ok(())
}

/// An answer of Envoy's or MetaHub's own to a request that calls itself gRPC has status 200, no body, and the real status
/// in `grpc-status`. Registries have no answers of that kind, and clients must not take a refusal for a success.
#[cold]
fn say_plainly(status: u16) {
    let map = MapType::HttpResponseHeaders;
    if hostcalls::get_map_value_bytes(map, "grpc-status").ok().flatten().is_some() {
        let _ = hostcalls::set_map_value(map, ":status", Some(&status.to_string()));
        for name in ["grpc-status", "grpc-message", "content-type"] {
            let _ = hostcalls::remove_map_value(map, name);
        }
    }
}

fn reply_with(reply: &Reply) -> Result<Action, Status> {
    let headers = reply.headers.iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect();
    hostcalls::send_http_response(u32::from(reply.status), headers, Some(&reply.body))?;
    Ok(Action::Pause)
}
