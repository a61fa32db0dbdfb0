//! One HTTP stream.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType, Status};

use super::log;
use super::memory::SharedData;
use super::metrics::Metrics;
use crate::config::Config;
use crate::errors::{Code, Reply};
use crate::flow::{self, Answer, Callout, Effects, Event, Exchange, MAX_MANIFEST, Report, Step};
use crate::headers::{HeaderChange, Headers};
use crate::memory::is_news;

/// How long upstream may take to answer a callout. Clients wait 30 s and more for headers.
const CALLOUT_TIMEOUT: Duration = Duration::from_secs(15);

/// Which callback a step is taken in: it decides whose headers change and how the stream goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Request,
    Response,
    Callout,
}

pub(super) struct Http {
    config: Option<Rc<Config>>,
    metrics: Rc<Metrics>,
    exchange: Exchange,
}

impl Http {
    pub(super) fn new(config: Option<Rc<Config>>, metrics: Rc<Metrics>) -> Self {
        Self { config, metrics, exchange: Exchange::Done }
    }

    fn advance(&mut self, event: &Event<'_>, phase: Phase) -> Action {
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Done);
        self.take(exchange.advance(&SharedData, event), phase)
    }

    /// Counts, logs and does what the flow decided.
    fn take(&mut self, effects: Effects, phase: Phase) -> Action {
        self.exchange = effects.exchange;
        for report in &effects.reports {
            self.note(report);
        }
        if let Step::CallOut(callout) = &effects.step {
            return match dispatch(callout) {
                Ok(()) => Action::Pause,
                Err(status) => {
                    let cluster = &callout.cluster;
                    let line = format!(
                        "503 Envoy refuses a request to its cluster {cluster:?} ({status:?}); does it have one of that name?"
                    );
                    log(LogLevel::Error, &line);
                    self.advance(&Event::CalloutAnswered(None), phase)
                }
            };
        }
        perform(effects.step, phase).unwrap_or_else(|status| {
            log(LogLevel::Error, &format!("503 a call into Envoy failed: {status:?}"));
            self.exchange = Exchange::Done;
            let reply = Reply::error(Code::Unavailable, "MetaHub could not answer; try again later");
            reply_with(&reply).unwrap_or(Action::Pause)
        })
    }

    fn note(&self, report: &Report) {
        self.metrics.increment(report.counter);
        if let Some(line) = report.line.as_deref().filter(|_| is_news(&SharedData, report.topic.as_deref())) {
            log(LogLevel::Warn, line);
        }
    }

    /// The held body is complete.
    fn complete(&mut self, size: usize) -> Action {
        if size > MAX_MANIFEST {
            return self.advance(&Event::ResponseBody { size }, Phase::Response);
        }
        let body = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size).ok().flatten().unwrap_or_default();
        self.advance(&Event::ResponseComplete { body: &body }, Phase::Response)
    }
}

impl Context for Http {
    fn on_http_call_response(&mut self, _token: u32, headers: usize, size: usize, _trailers: usize) {
        if headers == 0 {
            self.advance(&Event::CalloutAnswered(None), Phase::Callout);
            return;
        }
        let headers = all(MapType::HttpCallResponseHeaders);
        // One byte above the limit is enough to know that it is too large.
        let size = size.min(MAX_MANIFEST + 1);
        let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).ok().flatten().unwrap_or_default();
        let answer = Answer { headers: Headers(&headers), body: &body };
        self.advance(&Event::CalloutAnswered(Some(answer)), Phase::Callout);
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let Some(config) = self.config.clone() else {
            let reply = Reply::error(Code::Unavailable, "MetaHub has no configuration yet");
            return reply_with(&reply).unwrap_or(Action::Pause);
        };
        let headers = all(MapType::HttpRequestHeaders);
        let cluster = hostcalls::get_property(vec!["xds", "cluster_name"]).ok().flatten();
        let cluster =
            cluster.as_deref().and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty());
        let effects = flow::begin(&config, &SharedData, cluster, Headers(&headers));
        self.take(effects, Phase::Request)
    }

    /// To let the body of a paused request go on would let the request go on, with the client's own `Authorization`.
    fn on_http_request_body(&mut self, _size: usize, _end: bool) -> Action {
        if self.exchange.holds_request() { Action::Pause } else { Action::Continue }
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if self.exchange.holds_request() { Action::Pause } else { Action::Continue }
    }

    fn on_http_response_headers(&mut self, _count: usize, end: bool) -> Action {
        let headers = match &self.exchange {
            Exchange::Done => return Action::Continue,
            // One header is cheaper than all of them, and blobs come this way.
            Exchange::Passing(_) => {
                let status = hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, ":status").ok().flatten();
                match status.as_deref() {
                    Some(b"401") => all(MapType::HttpResponseHeaders),
                    _ => vec![(":status".to_owned(), status.unwrap_or_default())],
                }
            }
            _ => all(MapType::HttpResponseHeaders),
        };
        self.advance(&Event::ResponseHeaders { headers: Headers(&headers), end }, Phase::Response)
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        match &self.exchange {
            Exchange::Pulling(_) if end => self.complete(size),
            Exchange::Pulling(_) | Exchange::Emptying => self.advance(&Event::ResponseBody { size }, Phase::Response),
            _ => Action::Continue,
        }
    }

    /// With trailers the body callback never sees the end.
    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        match &self.exchange {
            Exchange::Pulling(_) => self.complete(MAX_MANIFEST),
            _ => Action::Continue,
        }
    }

    /// The stream is over, one way or another.
    fn on_log(&mut self) {
        if !matches!(self.exchange, Exchange::Done) {
            let status = hostcalls::get_property(vec!["response", "code"]).ok().flatten();
            let status = status.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
            if let Some(report) = self.exchange.ended(status) {
                self.note(&report);
            }
        }
    }
}

/// All headers of a map, as bytes.
fn all(map: MapType) -> Vec<(String, Vec<u8>)> {
    hostcalls::get_map_bytes(map).unwrap_or_default()
}

fn dispatch(callout: &Callout) -> Result<(), Status> {
    let headers = callout.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    hostcalls::dispatch_http_call(&callout.cluster, headers, None, Vec::new(), CALLOUT_TIMEOUT).map(|_| ())
}

/// Replying and resuming are the last call of a callback: Envoy may call back in before they return.
fn perform(step: Step, phase: Phase) -> Result<Action, Status> {
    match step {
        Step::Continue(changes) => {
            change_headers(&changes, phase)?;
            Ok(Action::Continue)
        }
        Step::Resume(changes) => {
            change_headers(&changes, Phase::Request)?;
            hostcalls::resume_http_request()?;
            Ok(Action::Continue)
        }
        Step::Hold | Step::CallOut(_) => Ok(Action::Pause),
        Step::DropBody => {
            hostcalls::set_buffer(BufferType::HttpResponseBody, 0, usize::MAX, &[])?;
            Ok(Action::Continue)
        }
        Step::Release(changes, body) => {
            change_headers(&changes, phase)?;
            if let Some(body) = body {
                hostcalls::set_buffer(BufferType::HttpResponseBody, 0, usize::MAX, &body)?;
            }
            if phase == Phase::Callout {
                hostcalls::resume_http_response()?;
            }
            Ok(Action::Continue)
        }
        Step::Reply(reply) => reply_with(&reply),
    }
}

fn change_headers(changes: &[HeaderChange], phase: Phase) -> Result<(), Status> {
    let map = if phase == Phase::Request { MapType::HttpRequestHeaders } else { MapType::HttpResponseHeaders };
    for change in changes {
        match change {
            HeaderChange::Set(name, value) => hostcalls::set_map_value(map, name, Some(value))?,
            HeaderChange::Remove(name) => hostcalls::remove_map_value(map, name)?,
        }
    }
    Ok(())
}

fn reply_with(reply: &Reply) -> Result<Action, Status> {
    let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    hostcalls::send_http_response(u32::from(reply.status), headers, Some(&reply.body))?;
    Ok(Action::Pause)
}
