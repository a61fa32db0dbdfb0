//! Plays Envoy: the core's host natively, for one stream.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use metahub::config::Config;
use metahub::flow::reply::Reply;
use metahub::flow::{Callout, Counter, WorkerState};
use metahub::host::flights::{Full, Moment, Outcome as CalloutOutcome};
use metahub::host::{Callouts, Driver, FilterStatus, Host, NotSent, Sender, Side};
use metahub::store::in_memory::Map;
use metahub::store::resources::Resources;
use metahub::text::headers::{HeaderChange, Headers};

use super::outcome::Outcome;
use super::scripted_registry::{HeaderList, Response, ScriptedRegistry};

/// Where the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its request is here.
    Here,
    /// Its request has gone upstream.
    Upstream,
    /// The response's headers have gone to the client.
    Answering,
    /// The client has an answer of MetaHub's own.
    Replied,
}

/// Envoy as one stream sees it, with an upstream behind it.
pub(crate) struct Envoy<'a> {
    config: &'a Config,
    upstream: &'a ScriptedRegistry,
    pub(crate) worker: Rc<WorkerState>,
    /// The client's address.
    pub(crate) address: Option<IpAddr>,
    /// How often the filter has asked for it.
    pub(crate) asked_for_address: Cell<u32>,
    pub(crate) driver: Driver,
    callouts: Callouts<Self>,
    ticking: Cell<bool>,
    /// Callouts that upstream has not answered yet.
    sent: RefCell<VecDeque<(u64, Callout)>>,
    next: Cell<u64>,
    stage: Cell<Stage>,
    request: HeaderList,
    /// The request's body as far as Envoy holds it.
    pub(crate) request_body: RefCell<Vec<u8>>,
    /// The changes to the request's headers.
    pub(crate) changes: RefCell<Vec<HeaderChange>>,
    pub(crate) response: RefCell<HeaderList>,
    /// The call into Envoy that fails, by its name, and how many times.
    pub(crate) fails: Cell<(&'static str, u32)>,
    piece: RefCell<Option<Vec<u8>>>,
    pub(crate) outcome: RefCell<Outcome>,
    /// How the cache grew, as the gauge says.
    growth: Cell<i64>,
}

/// The size of the cache in a store, in bytes.
fn cached(memory: &Map) -> i64 {
    let values = memory.values.borrow();
    let cached = |key: &str| ["metahub.document.", "metahub.facts."].iter().any(|prefix| key.starts_with(prefix));
    values.iter().filter(|(key, _)| cached(key)).map(|(_, value)| i64::try_from(value.len()).unwrap()).sum()
}

impl<'a> Envoy<'a> {
    pub(crate) fn new(config: &'a Config, request: &HeaderList, upstream: &'a ScriptedRegistry) -> Self {
        Self {
            config,
            upstream,
            worker: Rc::default(),
            address: None,
            asked_for_address: Cell::default(),
            driver: Driver::default(),
            callouts: Callouts::default(),
            ticking: Cell::default(),
            sent: RefCell::default(),
            next: Cell::default(),
            stage: Cell::new(Stage::Here),
            request: request.clone(),
            request_body: RefCell::default(),
            changes: RefCell::default(),
            response: RefCell::default(),
            fails: Cell::default(),
            piece: RefCell::default(),
            outcome: RefCell::default(),
            growth: Cell::default(),
        }
    }

    /// From the request to the client's answer.
    pub(crate) fn run(&self) {
        let before = cached(&self.upstream.memory);
        let status = self.driver.on_request_headers(self, true);
        self.settle(status);
        if self.stage.get() == Stage::Here {
            assert_eq!(status, FilterStatus::Continue, "the exchange hangs");
            self.went_on();
        }
        if self.stage.get() == Stage::Upstream {
            self.respond();
        }
        assert!(!self.ticking.get() && self.sent.borrow().is_empty(), "something is left");
        let grown = cached(&self.upstream.memory) - before;
        assert_eq!(self.growth.get(), grown, "the gauge metahub_cache_bytes is as the cache");
    }

    fn called(&self, name: &'static str) -> Result<(), &'static str> {
        let (fails, times) = self.fails.get();
        if fails == name && times > 0 {
            self.fails.set((fails, times - 1));
            return Err(name);
        }
        Ok(())
    }

    /// Lets the request go upstream, if it has not been answered.
    pub(crate) fn went_on(&self) {
        if self.stage.get() == Stage::Here {
            self.stage.set(Stage::Upstream);
        }
    }

    /// Whether the client has an answer of MetaHub's own.
    pub(crate) fn has_replied(&self) -> bool {
        self.stage.get() == Stage::Replied
    }

    /// Sends callouts, answers them, and delivers the answers until nothing is left.
    pub(crate) fn settle(&self, status: FilterStatus) {
        while self.ticking.get() || !self.sent.borrow().is_empty() {
            assert_eq!(status, FilterStatus::Hold, "what waits for a callout is held");
            self.callouts.on_tick(self);
            let Some((id, callout)) = self.sent.borrow_mut().pop_front() else { continue };
            let response = self.upstream.answer_callout(&callout);
            let size = response.as_ref().map_or(0, |response| response.body.len());
            let take = |size| {
                response.map(|response| (response.list(), response.body.into_iter().take(size).collect::<Vec<u8>>()))
            };
            self.callouts.answered(self, id, size, take);
        }
    }

    /// The request that upstream gets: the client's with all changes.
    fn sent_on(&self) -> (String, String, Option<String>) {
        let changes = self.changes.borrow();
        let changed = |name: &str| {
            changes.iter().rev().find(|change| change.name() == name).map(|change| match change {
                HeaderChange::Set(_, value) => Some(value.clone()),
                HeaderChange::Remove(_) => None,
            })
        };
        let sent = |name: &str| Headers(&self.request).text(name).unwrap_or_default().to_owned();
        let [method, path] = [":method", ":path"].map(|name| changed(name).flatten().unwrap_or_else(|| sent(name)));
        (method, path, changed("authorization").expect("the client's credentials never go upstream"))
    }

    /// Upstream answers the client's own request.
    fn respond(&self) {
        let (method, path, authorization) = self.sent_on();
        let response = self.upstream.answer_own(&method, &path, authorization.as_ref());
        {
            let mut outcome = self.outcome.borrow_mut();
            outcome.authorization = Some(authorization);
            outcome.asked = Some(method.clone());
            outcome.changes.clone_from(&self.changes.borrow());
        }
        *self.response.borrow_mut() = response.list();
        let end = method == "HEAD" || response.body.is_empty();
        let status = self.driver.on_response_headers(self, end);
        if status == FilterStatus::Hold && !end {
            // Envoy also shows the body that follows held headers.
            assert_eq!(self.driver.on_response_body(self, response.body.len(), true), FilterStatus::Hold);
        }
        self.settle(status);
        if self.stage.get() == Stage::Replied {
            return;
        }
        assert_eq!(status, FilterStatus::Continue, "the exchange hangs");
        self.stage.set(Stage::Answering);
        self.pass_headers(&response);
        if method == "GET" {
            self.pass_body(&response.body);
        }
    }

    fn pass_headers(&self, response: &Response) {
        let mut outcome = self.outcome.borrow_mut();
        outcome.status = response.status;
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        let headers = self.response.borrow();
        let headers = headers.iter().filter(|(name, _)| name != ":status");
        outcome.headers = headers.map(|(name, value)| (name.clone(), text(value))).collect();
    }

    /// The body passes in pieces, and its end comes in an empty one, as from Envoy; one that is cut off has status 0,
    /// and the client must not have the whole of it then.
    fn pass_body(&self, body: &[u8]) {
        for piece in body.chunks(10_000).chain([&[][..]]) {
            *self.piece.borrow_mut() = Some(piece.to_vec());
            let status = self.driver.on_response_body(self, piece.len(), piece.is_empty());
            let mut outcome = self.outcome.borrow_mut();
            if self.stage.get() == Stage::Replied {
                let announced: usize = outcome.header("content-length").parse().unwrap_or(usize::MAX);
                let passed = outcome.body.len();
                assert!(passed < announced, "the client has all {passed} bytes of what is cut off");
                return outcome.status = 0;
            }
            assert_eq!(status, FilterStatus::Continue);
            outcome.body.extend_from_slice(piece);
        }
        *self.piece.borrow_mut() = Some(b"more".to_vec());
        assert_eq!(self.driver.on_response_body(self, 4, false), FilterStatus::Continue);
        assert!(self.piece.borrow().is_some(), "the driver waits for more");
    }
}

impl Host for Envoy<'_> {
    type Error = &'static str;

    fn config(&self) -> Option<&Config> {
        Some(self.config)
    }

    fn worker(&self) -> &WorkerState {
        &self.worker
    }

    fn resources(&self) -> &dyn Resources {
        &self.upstream.memory
    }

    fn cluster(&self) -> Option<Vec<u8>> {
        Some(b"registry".to_vec())
    }

    fn client_address(&self) -> Option<IpAddr> {
        self.asked_for_address.set(self.asked_for_address.get() + 1);
        self.address
    }

    fn headers(&self, side: Side) -> HeaderList {
        match side {
            Side::Request => self.request.clone(),
            Side::Response => self.response.borrow().clone(),
        }
    }

    fn header(&self, side: Side, name: &str) -> Option<Vec<u8>> {
        Headers(&self.headers(side)).first(name).map(<[u8]>::to_vec)
    }

    fn change_header(&self, side: Side, change: &HeaderChange) -> Result<(), Self::Error> {
        self.called("change_header")?;
        let stage = self.stage.get();
        match side {
            Side::Request => {
                assert_eq!(stage, Stage::Here, "{change:?}");
                self.changes.borrow_mut().push(change.clone());
            }
            Side::Response => {
                assert_ne!(stage, Stage::Answering, "{change:?}");
                let mut headers = self.response.borrow_mut();
                headers.retain(|(name, _)| name != change.name());
                match change {
                    HeaderChange::Set(name, value) => headers.push(((*name).to_owned(), value.clone().into_bytes())),
                    HeaderChange::Remove(name) => assert_ne!(name, ":status", "Envoy must have one"),
                }
            }
        }
        Ok(())
    }

    fn request_body(&self, size: usize) -> Vec<u8> {
        self.request_body.borrow().iter().copied().take(size).collect()
    }

    fn response_body(&self, size: usize) -> Vec<u8> {
        let piece = self.piece.take().expect("a piece of the body");
        assert_eq!(piece.len(), size);
        piece
    }

    fn reply(&self, reply: &Reply) -> Result<(), Self::Error> {
        self.called("reply")?;
        let stage = self.stage.replace(Stage::Replied);
        assert_ne!(stage, Stage::Replied, "a second answer: {reply:?}");
        if stage == Stage::Answering {
            return Ok(());
        }
        let mut outcome = self.outcome.borrow_mut();
        outcome.status = reply.status;
        outcome.headers = reply.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        // Envoy tells an answer's length, unless the answer is empty.
        if !reply.body.is_empty() {
            outcome.headers.insert("content-length".to_owned(), reply.body.len().to_string());
        }
        outcome.body = reply.body.to_vec();
        Ok(())
    }

    fn resume_request(&self) -> Result<(), Self::Error> {
        self.called("resume_request")?;
        assert_eq!(self.stage.replace(Stage::Upstream), Stage::Here);
        Ok(())
    }

    fn call_out(&self, callout: Callout, since: Moment) -> Result<(), Full> {
        self.called("call_out").map_err(|_| Full)?;
        self.callouts.join(self, callout, (), since)
    }

    fn moment(&self) -> Moment {
        self.callouts.now()
    }

    fn count(&self, counter: Counter, amount: i64) {
        if counter == Counter::CacheBytes {
            self.growth.set(self.growth.get() + amount);
        }
        let (name, mut outcome) = (counter.name(), self.outcome.borrow_mut());
        let is_of_cache = name.starts_with("metahub_cache_");
        if is_of_cache { outcome.cache.push(name) } else { outcome.counters.push(name) }
    }

    fn queue_event(&self, line: String) -> bool {
        let room = self.called("queue_event").is_ok();
        if room {
            self.outcome.borrow_mut().events.push(line);
        }
        room
    }
}

impl Sender for Envoy<'_> {
    type Waiting = ();
    type Id = u64;
    type Error = &'static str;

    fn send(&self, callout: &Callout) -> Result<u64, NotSent<Self::Error>> {
        let mut outcome = self.outcome.borrow_mut();
        if callout.cluster == "registry" && outcome.authorization.is_none() {
            let sent = callout.headers.iter().find(|(name, _)| *name == "authorization");
            outcome.authorization = Some(sent.map(|(_, value)| value.clone()));
        }
        outcome.callouts.push(callout.clone());
        self.next.set(self.next.get() + 1);
        self.sent.borrow_mut().push_back((self.next.get(), callout.clone()));
        Ok(self.next.get())
    }

    fn set_ticking(&self, ticking: bool) -> bool {
        self.ticking.set(ticking);
        true
    }

    fn time(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn deliver(&self, (): (), outcome: &CalloutOutcome) -> bool {
        self.driver.on_callout(self, outcome);
        true
    }
}
