//! One HTTP stream.

use std::net::IpAddr;
use std::rc::{Rc, Weak};

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType, Status};

use crate::resources::SharedData;
use crate::shared::{OnCallout, Shared};
use metahub::config::Config;
use metahub::flow::reply::Reply;
use metahub::flow::{self, Callout, Counter, WorkerState};
use metahub::host::flights::{Full, Moment, Outcome};
use metahub::host::{Driver, FilterStatus, Host, Side};
use metahub::store::resources::Resources;
use metahub::text::headers::HeaderChange;

/// A stream. The callouts that it waits for reach it through the root context.
struct Stream {
    /// The number by which Envoy knows it.
    context: u32,
    shared: Rc<Shared>,
    driver: Driver,
    itself: Weak<Self>,
}

impl OnCallout for Stream {
    fn on_callout(&self, outcome: &Outcome) {
        if hostcalls::set_effective_context(self.context).is_ok() {
            self.driver.on_callout(self, outcome);
        }
    }
}

impl Host for Stream {
    type Error = Status;

    fn config(&self) -> Option<&Config> {
        self.shared.config.as_ref()
    }

    fn worker(&self) -> &WorkerState {
        &self.shared.state
    }

    fn resources(&self) -> &dyn Resources {
        &SharedData
    }

    fn cluster(&self) -> Option<Vec<u8>> {
        hostcalls::get_property(vec!["xds", "cluster_name"]).ok().flatten()
    }

    /// That of the connection, or what `xff_num_trusted_hops` makes of headers.
    fn client_address(&self) -> Option<IpAddr> {
        flow::source_address(&hostcalls::get_property(vec!["source", "address"]).ok().flatten()?)
    }

    fn headers(&self, side: Side) -> Vec<(String, Vec<u8>)> {
        hostcalls::get_map_bytes(map(side)).unwrap_or_default()
    }

    fn header(&self, side: Side, name: &str) -> Option<Vec<u8>> {
        hostcalls::get_map_value_bytes(map(side), name).ok().flatten()
    }

    fn change_header(&self, side: Side, change: &HeaderChange) -> Result<(), Status> {
        match change {
            HeaderChange::Set(name, value) => hostcalls::set_map_value(map(side), name, Some(value)),
            HeaderChange::Remove(name) => hostcalls::remove_map_value(map(side), name),
        }
    }

    fn request_body(&self, size: usize) -> Vec<u8> {
        hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size).ok().flatten().unwrap_or_default()
    }

    fn response_body(&self, size: usize) -> Vec<u8> {
        hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size).ok().flatten().unwrap_or_default()
    }

    fn reply(&self, reply: &Reply) -> Result<(), Status> {
        let headers = reply.headers.iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect();
        hostcalls::send_http_response(u32::from(reply.status), headers, Some(&reply.body))
    }

    fn resume_request(&self) -> Result<(), Status> {
        hostcalls::resume_http_request()
    }

    fn call_out(&self, callout: Callout, since: Moment) -> Result<(), Full> {
        self.shared.callouts.join(&self.shared.envoy, callout, self.itself.clone(), since)
    }

    fn moment(&self) -> Moment {
        self.shared.callouts.now()
    }

    fn count(&self, counter: Counter, amount: i64) {
        self.shared.metrics.add(counter, amount);
    }

    fn queue_event(&self, line: String) -> bool {
        self.shared.events.as_ref().is_some_and(|events| events.push(line))
    }
}

/// A stream as the SDK owns it.
pub(crate) struct Http(Rc<Stream>);

impl Http {
    pub(crate) fn new(context: u32, shared: Rc<Shared>) -> Self {
        Self(Rc::new_cyclic(|itself| Stream { context, shared, driver: Driver::default(), itself: itself.clone() }))
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        action(self.0.driver.on_request_headers(&*self.0, end))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        action(self.0.driver.on_request_body(&*self.0, size, end))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        action(self.0.driver.on_request_body(&*self.0, 0, true))
    }

    fn on_http_response_headers(&mut self, _count: usize, end: bool) -> Action {
        action(self.0.driver.on_response_headers(&*self.0, end))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        action(self.0.driver.on_response_body(&*self.0, size, end))
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        action(self.0.driver.on_response_body(&*self.0, 0, true))
    }
}

const fn map(side: Side) -> MapType {
    match side {
        Side::Request => MapType::HttpRequestHeaders,
        Side::Response => MapType::HttpResponseHeaders,
    }
}

const fn action(status: FilterStatus) -> Action {
    match status {
        FilterStatus::Continue => Action::Continue,
        FilterStatus::Hold | FilterStatus::Replied => Action::Pause,
    }
}
