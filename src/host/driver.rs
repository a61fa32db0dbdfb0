//! The driver of one HTTP stream: callbacks become events, steps become calls into the host.

use std::cell::Cell;
use std::fmt;

use super::flights::{Moment, Outcome};
use super::log_limit::is_due;
use super::{Host, Side};
use crate::config::Config;
use crate::events::{self, BuildEvent, Noted};
use crate::flow::reply::Reply;
use crate::flow::{self, Answer, Arrival, Counter, Effects, Event, Exchange, Report, Step};
use crate::oci::errors::Code;
use crate::text::headers::{HeaderChange, Headers};

/// The proxy's next action on the headers or the body that it has just shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterStatus {
    /// They go on.
    Continue,
    /// They are held.
    Hold,
    /// They end here: the client has been answered.
    Replied,
}

/// The event that one stream waits for.
#[derive(Debug, Default)]
enum State {
    /// None: nothing has begun, or everything is decided.
    #[default]
    Idle,
    /// The end of its request, about which nothing was decided yet.
    Incomplete,
    /// The next event of its exchange. The headers at hand are the request's, until upstream's response is here.
    Open(Side, Exchange),
}

impl State {
    fn of(side: Side, exchange: Exchange) -> Self {
        if exchange.is_done() { Self::Idle } else { Self::Open(side, exchange) }
    }
}

/// One HTTP stream. Its state is complete before each reply, resumption and callout, so the host may call back in; what
/// only reads or changes headers must not.
#[derive(Default)]
pub struct Driver {
    state: Cell<State>,
    /// When its request began.
    since: Cell<Moment>,
    /// The status of MetaHub's own answer, if the request calls itself gRPC: Envoy puts it elsewhere and says 200.
    grpc: Cell<Option<u16>>,
}

impl Driver {
    /// The request's headers are here; `end` says that nothing follows.
    pub fn on_request_headers(&self, host: &impl Host, end: bool) -> FilterStatus {
        let headers = host.headers(Side::Request);
        // A body of unknown length may follow, or nothing: that must be known before the registry is asked.
        if !end && flow::may_bring_a_body(Headers(&headers)) {
            self.state.set(State::Incomplete);
            return FilterStatus::Hold;
        }
        let status = self.on_request(host, Headers(&headers));
        // A form that is not there is an empty one.
        if end && status == FilterStatus::Hold && self.inspect(Exchange::awaits_form) {
            return self.on_request_body(host, 0, true);
        }
        status
    }

    /// `size` bytes of the request's body are here, with what is held of it already, or its end. A piece of a request
    /// that waits has to wait too: if it went on, the request would, with the client's own `Authorization`.
    pub fn on_request_body(&self, host: &impl Host, size: usize, end: bool) -> FilterStatus {
        match self.state.take() {
            State::Idle => FilterStatus::Continue,
            State::Open(_, exchange) if exchange.awaits_form() => self.on_form(host, exchange, size, end),
            State::Incomplete | State::Open(..) if size > 0 => {
                let headers = host.headers(Side::Request);
                self.take(host, Side::Request, flow::unexpected_body(Headers(&headers)))
            }
            State::Incomplete if end => {
                // Without a length Envoy would announce a body in chunks, and there are none.
                let _ = host.change_header(Side::Request, &HeaderChange::Set("content-length", "0".to_owned()));
                self.on_request(host, Headers(&host.headers(Side::Request)))
            }
            State::Incomplete => {
                self.state.set(State::Incomplete);
                FilterStatus::Hold
            }
            State::Open(side, exchange) => {
                let held = exchange.holds_request();
                self.state.set(State::Open(side, exchange));
                if held { FilterStatus::Hold } else { FilterStatus::Continue }
            }
        }
    }

    /// The headers of a response are here; `end` says that nothing follows.
    pub fn on_response_headers(&self, host: &impl Host, end: bool) -> FilterStatus {
        if let Some(status) = self.grpc.take() {
            restore_status(host, status);
        }
        let exchange = match self.state.take() {
            State::Open(_, exchange) => exchange,
            // Envoy itself answers a request before its end.
            state => {
                self.state.set(state);
                return FilterStatus::Continue;
            }
        };
        let headers = response_headers(host, &exchange);
        self.advance(host, Side::Response, exchange, &Event::ResponseHeaders { headers: Headers(&headers), end })
    }

    /// A piece of the response's body, `size` bytes long, or its end.
    pub fn on_response_body(&self, host: &impl Host, size: usize, end: bool) -> FilterStatus {
        match self.state.take() {
            State::Open(side, exchange) if exchange.checks_body() => {
                let piece = host.response_body(size);
                self.advance(host, side, exchange, &Event::ResponseBody { piece: &piece, end })
            }
            State::Open(side, exchange) => {
                // Held headers would go on with the body.
                self.state.set(State::Open(side, exchange));
                FilterStatus::Hold
            }
            state => {
                self.state.set(state);
                FilterStatus::Continue
            }
        }
    }

    /// Takes the outcome of a callout that this stream waits for.
    pub fn on_callout(&self, host: &impl Host, outcome: &Outcome) {
        let event = match outcome {
            Outcome::Answered(answered) => {
                Event::CalloutAnswered(Some(Answer { headers: answered.headers(), body: &answered.body }))
            }
            Outcome::BrokeOff => Event::CalloutAnswered(None),
            Outcome::Overfull => Event::Overfull,
        };
        match self.state.take() {
            State::Open(side, exchange) => {
                self.advance(host, side, exchange, &event);
            }
            // Envoy has answered it in the meantime.
            state => self.state.set(state),
        }
    }

    /// Shows the exchange; one that is done if nothing has begun.
    pub fn inspect<T>(&self, look: impl FnOnce(&Exchange) -> T) -> T {
        let state = self.state.take();
        let seen = if let State::Open(_, exchange) = &state { look(exchange) } else { look(&Exchange::default()) };
        self.state.set(state);
        seen
    }

    fn on_request(&self, host: &impl Host, headers: Headers<'_>) -> FilterStatus {
        self.since.set(host.moment());
        let is_grpc = headers.first("content-type").is_some_and(|value| value.starts_with(b"application/grpc"));
        self.grpc.set(is_grpc.then_some(Code::Unavailable.status()));
        self.decide(host, headers, |config, arrival| flow::begin(config, host.resources(), host.worker(), arrival))
    }

    /// More of a form is here, or all of it.
    fn on_form(&self, host: &impl Host, exchange: Exchange, size: usize, end: bool) -> FilterStatus {
        let headers = host.headers(Side::Request);
        let headers = Headers(&headers);
        if !end {
            return self.take(host, Side::Request, exchange.hold_form(size, headers));
        }
        // One byte more shows that it is too long.
        let form = host.request_body(flow::MAX_FORM.saturating_add(1));
        self.decide(host, headers, |config, arrival| {
            flow::read_form(exchange, config, host.resources(), arrival, &form)
        })
    }

    /// Takes a decision about the request as it arrived, which needs the configuration that its stream began with.
    fn decide(
        &self,
        host: &impl Host,
        headers: Headers<'_>,
        decide: impl FnOnce(&Config, Arrival<'_>) -> Effects,
    ) -> FilterStatus {
        let Some(config) = host.config() else {
            return reply(host, &Reply::error(Code::Unavailable, "MetaHub has no configuration yet"));
        };
        let cluster = host.cluster();
        let cluster =
            cluster.as_deref().and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty());
        let address = || host.client_address();
        let arrival = Arrival { cluster, headers, address: &address };
        let effects = decide(config, arrival);
        self.take(host, Side::Request, effects)
    }

    fn advance(&self, host: &impl Host, side: Side, exchange: Exchange, event: &Event<'_>) -> FilterStatus {
        self.take(host, side, exchange.advance(host.resources(), event))
    }

    /// Counts, logs and does what the flow decided.
    fn take(&self, host: &impl Host, side: Side, effects: Effects) -> FilterStatus {
        self.state.set(State::of(side, effects.exchange));
        for report in &effects.reports {
            publish(host, report);
        }
        self.perform(host, side, effects.step).unwrap_or_else(|error| {
            log::error!("503 a call into Envoy failed: {error:?}");
            self.state.set(State::Idle);
            reply(host, &Reply::error(Code::Unavailable, "MetaHub could not answer; try again later"))
        })
    }

    fn perform<H: Host>(&self, host: &H, side: Side, step: Step) -> Result<FilterStatus, H::Error> {
        match step {
            Step::Continue(changes) => {
                change_headers(host, side, &changes)?;
                Ok(FilterStatus::Continue)
            }
            Step::Resume(changes) => {
                change_headers(host, Side::Request, &changes)?;
                host.resume_request()?;
                Ok(FilterStatus::Continue)
            }
            Step::Hold => Ok(FilterStatus::Hold),
            Step::CallOut(callout) => {
                if host.call_out(callout, self.since.get()).is_err()
                    && let State::Open(side, exchange) = self.state.take()
                {
                    return Ok(self.advance(host, side, exchange, &Event::Overfull));
                }
                Ok(FilterStatus::Hold)
            }
            // After the headers of a response Envoy cannot reply; it cuts the response off.
            Step::Reply(reply) | Step::Cut(reply) => {
                self.grpc.set(self.grpc.get().and(Some(reply.status)));
                host.reply(&reply)?;
                Ok(FilterStatus::Replied)
            }
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inspect(|exchange| f.debug_tuple("Driver").field(exchange).finish())
    }
}

/// Counts a report, logs its line unless the same was said in the last hour, and queues its event likewise.
fn publish(host: &impl Host, report: &Report) {
    host.count(report.counter, report.amount);
    if let Some(line) = report.line.as_deref().filter(|_| is_due(host.resources(), report.topic.as_deref())) {
        log::warn!("{line}");
    }
    if let Some(event) = &report.event {
        queue(host, event);
    }
}

/// Queues an event unless the same was queued in the last hour. That it is to be posted is remembered even if there is
/// no room for it: so each is counted once, sent or dropped.
fn queue(host: &impl Host, event: &BuildEvent) {
    match events::note(host.resources(), event) {
        Noted::Due(sightings) if host.queue_event(event.line(sightings)) => {}
        Noted::Due(_) | Noted::NoRoom => host.count(Counter::EventsDropped, 1),
        Noted::Quiet => {}
    }
}

/// The response headers that the exchange needs. A header or two are cheaper than all of them, and an answer as
/// expected needs no more.
fn response_headers(host: &impl Host, exchange: &Exchange) -> Vec<(String, Vec<u8>)> {
    let status = host.header(Side::Response, ":status").unwrap_or_default();
    let Some(names) = exchange.suffices(&status) else { return host.headers(Side::Response) };
    let mut headers = vec![(":status".to_owned(), status)];
    for name in names {
        headers.extend(host.header(Side::Response, name).map(|value| ((*name).to_owned(), value)));
    }
    headers
}

fn change_headers<H: Host>(host: &H, side: Side, changes: &[HeaderChange]) -> Result<(), H::Error> {
    changes.iter().try_for_each(|change| host.change_header(side, change))
}

/// Answers the client. If that fails, there is nothing else to do.
fn reply(host: &impl Host, reply: &Reply) -> FilterStatus {
    let _ = host.reply(reply);
    FilterStatus::Replied
}

/// An answer of Envoy's or MetaHub's own to a request that calls itself gRPC has status 200, no body, and the real
/// status in `grpc-status`. Registries have no answers of that kind, and clients must not take a refusal for a
/// success.
fn restore_status(host: &impl Host, status: u16) {
    if host.header(Side::Response, "grpc-status").is_some() {
        let _ = host.change_header(Side::Response, &HeaderChange::Set(":status", status.to_string()));
        for name in ["grpc-status", "grpc-message", "content-type"] {
            let _ = host.change_header(Side::Response, &HeaderChange::Remove(name.into()));
        }
    }
}
