//! The host of one stream for the length of one callback: it notes what the driver asks for.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;

use metahub::config::Config;
use metahub::flow::reply::Reply;
use metahub::flow::{Callout, Counter, Step, WorkerState};
use metahub::host::flights::{Flights, Full, Moment};
use metahub::host::{FilterStatus, Host, Side};
use metahub::store::in_memory::Map;
use metahub::store::resources::{Clock, Random, Resources, Store};
use metahub::text::headers::{HeaderChange, Headers};

use super::response::HeaderList;

/// The world's memory, which never knows that a line was logged before, so that each line is looked at.
pub(super) struct Talkative<'a>(pub(super) &'a Map);

impl Store for Talkative<'_> {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.get(key).filter(|_| !key.starts_with("metahub.logged."))
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.0.set(key, value);
    }

    fn set_once(&self, key: &str, value: &[u8]) -> Option<Vec<u8>> {
        self.0.set_once(key, value)
    }

    fn get_versioned(&self, key: &str) -> Option<(Vec<u8>, Option<u32>)> {
        self.0.get_versioned(key)
    }

    fn set_if_unchanged(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        self.0.set_if_unchanged(key, value, version)
    }
}

impl Clock for Talkative<'_> {
    fn now(&self) -> u64 {
        self.0.now()
    }
}

impl Random for Talkative<'_> {
    fn random(&self) -> Option<[u8; 32]> {
        self.0.random()
    }
}

/// The state that a callback may use, and the requests that the driver makes of it.
pub(super) struct Callback<'a> {
    pub(super) number: usize,
    pub(super) config: &'a Config,
    pub(super) worker: &'a WorkerState,
    pub(super) resources: Talkative<'a>,
    pub(super) flights: &'a RefCell<Flights<usize, u32>>,
    pub(super) cluster: &'static str,
    pub(super) request: &'a HeaderList,
    pub(super) response: &'a HeaderList,
    pub(super) piece: &'a [u8],
    pub(super) noted: Noted,
}

/// The requests of the driver.
#[derive(Default)]
pub(super) struct Noted {
    changes: RefCell<Vec<HeaderChange>>,
    step: Cell<Option<Step>>,
    counts: Cell<u32>,
}

impl Noted {
    /// The step that the flow must have meant, and how much was counted.
    pub(super) fn into_step(self, status: FilterStatus) -> (Step, u32) {
        let step = self.step.into_inner().unwrap_or_else(|| match status {
            FilterStatus::Continue => Step::Continue(self.changes.into_inner()),
            FilterStatus::Hold => Step::Hold,
            FilterStatus::Replied => panic!("there is no reply"),
        });
        (step, self.counts.get())
    }

    fn note(&self, step: Step) {
        let before = self.step.replace(Some(step));
        assert!(before.is_none(), "two steps at once, the first one is {before:?}");
    }
}

impl Host for Callback<'_> {
    type Error = &'static str;

    fn config(&self) -> Option<&Config> {
        Some(self.config)
    }

    fn worker(&self) -> &WorkerState {
        self.worker
    }

    fn resources(&self) -> &dyn Resources {
        &self.resources
    }

    fn cluster(&self) -> Option<Vec<u8>> {
        Some(self.cluster.as_bytes().to_vec())
    }

    fn client_address(&self) -> Option<IpAddr> {
        None
    }

    fn headers(&self, side: Side) -> HeaderList {
        match side {
            Side::Request => self.request.clone(),
            Side::Response => self.response.clone(),
        }
    }

    fn header(&self, side: Side, name: &str) -> Option<Vec<u8>> {
        let headers = if side == Side::Request { self.request } else { self.response };
        Headers(headers).first(name).map(<[u8]>::to_vec)
    }

    fn change_header(&self, _side: Side, change: &HeaderChange) -> Result<(), Self::Error> {
        self.noted.changes.borrow_mut().push(change.clone());
        Ok(())
    }

    fn request_body(&self, size: usize) -> Vec<u8> {
        self.piece.iter().copied().take(size).collect()
    }

    fn response_body(&self, _size: usize) -> Vec<u8> {
        self.piece.to_vec()
    }

    fn reply(&self, reply: &Reply) -> Result<(), Self::Error> {
        self.noted.note(Step::Reply(reply.clone()));
        Ok(())
    }

    fn resume_request(&self) -> Result<(), Self::Error> {
        self.noted.note(Step::Resume(self.noted.changes.take()));
        Ok(())
    }

    fn call_out(&self, callout: Callout, since: Moment) -> Result<(), Full> {
        self.flights.borrow_mut().join(callout.clone(), self.number, since)?;
        self.noted.note(Step::CallOut(callout));
        Ok(())
    }

    fn moment(&self) -> Moment {
        self.flights.borrow().now()
    }

    fn count(&self, _counter: Counter, _amount: i64) {
        self.noted.counts.set(self.noted.counts.get() + 1);
    }

    fn queue_event(&self, _line: String) -> bool {
        true
    }
}
