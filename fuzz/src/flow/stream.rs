//! One request, driven by the core's driver as it is in Envoy.

use metahub::flow::Step;
use metahub::host::flights::Outcome;
use metahub::host::log_lines::{Line, collect};
use metahub::host::{Driver, FilterStatus};
use metahub::text::headers::{HeaderChange, Headers};

use super::super::input::Input;
use super::World;
use super::catalogue::DOCUMENTS;
use super::client::{Login, Rules};
use super::host::{Callback, Noted, Talkative};
use super::registry::{CLUSTERS, REPOSITORIES, TAGS};
use super::response::{HeaderList, Response};

/// A header of clients that no registry may see.
pub(super) const COOKIE: &str = "secret-cookie";

/// What a client asks for; numbers are those of repositories, tags and documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Tag(usize, usize),
    Digest(usize, usize),
    Blob(usize),
    Explain(usize, usize),
    Ping,
    MachineTypes,
    Token,
}

impl Asked {
    pub(super) fn choose(input: &mut Input<'_>) -> Self {
        let repository = usize::from(input.one_in(4));
        match input.below(19) {
            0..=8 => Self::Tag(repository, usize::from(input.one_in(4))),
            9 | 10 => Self::Digest(repository, input.below(DOCUMENTS.len())),
            // What was asked for before.
            16 | 17 => Self::Digest(0, input.pick(&[9, 1])),
            11 | 12 => Self::Blob(repository),
            13 => Self::Explain(repository, input.below(TAGS.len())),
            14 => Self::Ping,
            15 => Self::MachineTypes,
            _ => Self::Token,
        }
    }

    pub(super) const fn repository(self) -> Option<usize> {
        match self {
            Self::Tag(repository, _) | Self::Digest(repository, _) | Self::Blob(repository) => Some(repository),
            Self::Explain(repository, _) => Some(repository),
            Self::Ping | Self::MachineTypes | Self::Token => None,
        }
    }

    fn path(self) -> String {
        match self {
            Self::Tag(repository, tag) => format!("/v2/{}/manifests/{}", REPOSITORIES[repository], TAGS[tag]),
            Self::Digest(repository, number) => {
                format!("/v2/{}/manifests/{}", REPOSITORIES[repository], DOCUMENTS[number].digest)
            }
            Self::Blob(repository) => format!("/v2/{}/blobs/{}", REPOSITORIES[repository], DOCUMENTS[0].digest),
            Self::Explain(repository, tag) => {
                format!("/metahub/v1/explain?image={}:{}", REPOSITORIES[repository], TAGS[tag])
            }
            Self::Ping => "/v2/".to_owned(),
            Self::MachineTypes => "/metahub/v1/machine-types".to_owned(),
            Self::Token => "/metahub/v1/token".to_owned(),
        }
    }
}

/// The client's own request as it has gone upstream.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) authorization: Option<Vec<u8>>,
}

/// Where a stream is.
#[derive(Debug)]
pub(super) enum Phase {
    /// For a callout; whether its own request is still here.
    Waiting { request: bool },
    /// Its own request has gone upstream.
    Upstream(Own),
    /// A large manifest passes: what is left of it, and what has passed.
    Transferring { left: Vec<u8>, passed: Vec<u8> },
    /// It had its end.
    Ended,
    /// The client has gone.
    Gone,
}

/// One request and what became of it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) asked: Asked,
    pub(super) cluster: usize,
    pub(super) login: Login,
    /// Those in force when it began.
    pub(super) rules: Rules,
    pub(super) begun: u64,
    /// The same on the clock.
    pub(super) began: u64,
    pub(super) headers: HeaderList,
    pub(super) head: bool,
    pub(super) phase: Phase,
    driver: Driver,
    /// Upstream has failed it: what was known before may stand in.
    pub(super) failed: bool,
    callouts: u32,
}

impl Stream {
    pub(super) fn new(asked: Asked, cluster: usize, login: Login, rules: Rules, (begun, began): (u64, u64)) -> Self {
        Self {
            asked,
            cluster,
            login,
            rules,
            begun,
            began,
            headers: Vec::new(),
            head: false,
            phase: Phase::Waiting { request: true },
            driver: Driver::default(),
            failed: false,
            callouts: 0,
        }
    }

    /// The headers of the request.
    pub(super) fn request(&mut self, input: &mut Input<'_>) -> HeaderList {
        let odd = input.byte();
        self.head = odd & 7 == 1 && matches!(self.asked, Asked::Tag(..) | Asked::Digest(..));
        let retry = if odd & 56 == 8 { "metahub-retry=1" } else { "" };
        let mut path = self.asked.path();
        if !retry.is_empty() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(retry);
        }
        let accept = if odd & 192 == 64 { "application/json" } else { &metahub::oci::media_type::ALL.join(", ") };
        let method = if self.head { "HEAD" } else { "GET" };
        let mut headers = vec![
            (":method", method),
            (":path", &path),
            (":authority", "hub.example"),
            ("accept", accept),
            ("cookie", COOKIE),
            ("x-remote-user", COOKIE),
        ];
        headers.extend(self.login.authorization.iter().map(|value| ("authorization", value.as_str())));
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended | Phase::Gone)
    }

    pub(super) const fn own(&self) -> Option<&Own> {
        if let Phase::Upstream(own) = &self.phase { Some(own) } else { None }
    }

    pub(super) fn disconnect(&mut self) {
        self.phase = Phase::Gone;
    }

    /// Whether the flow has decided everything.
    fn is_decided(&self) -> bool {
        self.driver.inspect(|exchange| exchange.is_done())
    }

    fn is_transferring(&self) -> bool {
        self.driver.inspect(|exchange| exchange.checks_body())
    }
}

/// Neither a response nor a piece of a body.
const NOTHING: (&HeaderList, &[u8]) = (&Vec::new(), &[]);

/// What came of a callback.
struct Done {
    step: Step,
    lines: Vec<Line>,
    counts: u32,
}

impl World {
    /// Lets the driver of a stream have a callback, with a response and a piece of its body at hand.
    fn drive(
        &self,
        number: usize,
        (response, piece): (&HeaderList, &[u8]),
        callback: impl FnOnce(&Driver, &Callback<'_>) -> FilterStatus,
    ) -> Done {
        let stream = &self.streams[number];
        let host = Callback {
            number,
            config: &self.config,
            worker: &self.worker,
            resources: Talkative(&self.memory),
            flights: &self.flights,
            cluster: CLUSTERS[stream.cluster],
            request: &stream.headers,
            response,
            piece,
            noted: Noted::default(),
        };
        let (status, lines) = collect(|| callback(&stream.driver, &host));
        let (step, counts) = host.noted.into_step(status);
        Done { step, lines, counts }
    }

    /// The request arrives.
    pub(super) fn on_request(&mut self, number: usize) {
        let done = self.drive(number, NOTHING, |driver, host| driver.on_request_headers(host, true));
        self.take(number, done);
    }

    /// A callout was answered. A client that has gone does not hear of it; one that has its answer must not hear more.
    pub(super) fn on_callout(&mut self, number: usize, outcome: &Outcome) {
        let is_ended = match self.streams[number].phase {
            Phase::Gone => return,
            Phase::Ended => true,
            Phase::Waiting { .. } => false,
            _ => panic!("it did not wait: {:?}", self.streams[number]),
        };
        let status = match outcome {
            Outcome::Answered(answered) => answered.headers().number(":status").unwrap_or_default(),
            Outcome::BrokeOff | Outcome::Overfull => 0,
        };
        if !is_ended {
            self.note_status(number, status);
        }
        let done = self.drive(number, NOTHING, |driver, host| {
            driver.on_callout(host, outcome);
            FilterStatus::Hold
        });
        if is_ended {
            assert!(done.lines.is_empty() && done.counts == 0, "{:?}", done.lines);
            return assert_eq!(done.step, Step::Hold, "a step after the end");
        }
        let may_be_refused = self.streams[number].asked.repository();
        self.note_refusal(number, status, &done.step, may_be_refused);
        self.take(number, done);
    }

    fn note_status(&mut self, number: usize, status: u64) {
        self.streams[number].failed |= status == 0 || status >= 500;
    }

    /// Does what the flow says, of a stream whose own request is here or held, or whose response is held.
    fn take(&mut self, number: usize, done: Done) {
        self.note(number, &done.lines);
        self.remember_words(number);
        let held = matches!(self.streams[number].phase, Phase::Waiting { request: true });
        match done.step {
            Step::CallOut(callout) => {
                self.judge_callout(number, &callout);
                let stream = &mut self.streams[number];
                stream.callouts += 1;
                assert!(stream.callouts < 24, "one callout after the other: {stream:?}");
                stream.phase = Phase::Waiting { request: held };
            }
            Step::Continue(changes) | Step::Resume(changes) if held => {
                let own = self.sent_on(number, &changes);
                self.judge_own(number, &own);
                self.streams[number].phase = Phase::Upstream(own);
            }
            Step::Reply(reply) => {
                self.streams[number].phase = Phase::Ended;
                assert!(self.streams[number].is_decided(), "a state behind the end");
                self.judge_reply(number, &reply);
            }
            step => panic!("{step:?} does not fit {:?}", self.streams[number]),
        }
    }

    /// The client's own request with these changes.
    fn sent_on(&self, number: usize, changes: &[HeaderChange]) -> Own {
        let mut headers = self.streams[number].headers.clone();
        change(&mut headers, changes);
        for (name, value) in &headers {
            assert_ne!(value, COOKIE.as_bytes(), "{name} reaches the registry");
        }
        let text = |name| Headers(&headers).text(name).expect("text").to_owned();
        assert!(Headers(&headers).all("authorization").count() < 2);
        Own {
            method: text(":method"),
            path: text(":path"),
            authorization: Headers(&headers).first("authorization").map(<[u8]>::to_vec),
        }
    }

    /// The headers of a response to the client's own request, or of an answer of Envoy's.
    pub(super) fn respond(&mut self, number: usize, response: &Response) {
        let stream = &self.streams[number];
        let asked_with_head = stream.own().is_some_and(|own| own.method == "HEAD");
        let went = stream.own().is_some();
        let transferring = match &stream.phase {
            Phase::Transferring { .. } => return,
            _ => stream.is_transferring(),
        };
        let status = response.status();
        self.note_status(number, status.into());
        let end = asked_with_head || response.body.is_empty();
        let done = self.drive(number, (&response.headers, &[]), |driver, host| driver.on_response_headers(host, end));
        if went {
            let may_be_refused = self.streams[number].asked.repository();
            self.note_refusal(number, status.into(), &done.step, may_be_refused);
        }
        let Step::Continue(changes) = &done.step else {
            self.streams[number].phase = Phase::Waiting { request: false };
            return self.take(number, done);
        };
        self.note(number, &done.lines);
        self.remember_words(number);
        let stream = &mut self.streams[number];
        let mut headers = response.headers.clone();
        change(&mut headers, changes);
        if stream.is_transferring() {
            let Phase::Upstream(_) = stream.phase else { panic!("it was not sent") };
            stream.phase = Phase::Transferring { left: response.body.clone(), passed: Vec::new() };
            return;
        }
        stream.phase = Phase::Ended;
        if went {
            assert!(stream.head || !asked_with_head || status != 200, "GET is answered by what answers HEAD");
            self.judge_passing(number, &headers, &response.body, transferring);
        }
    }

    /// The next bytes of a manifest that passes.
    pub(super) fn piece(&mut self, number: usize, size: usize) {
        let Phase::Transferring { left, passed } = &mut self.streams[number].phase else { return };
        let piece: Vec<u8> = left.drain(..size.min(left.len())).collect();
        passed.extend_from_slice(&piece);
        let end = left.is_empty();
        let at_hand = (&Vec::new(), piece.as_slice());
        let done = self.drive(number, at_hand, |driver, host| driver.on_response_body(host, piece.len(), end));
        self.note(number, &done.lines);
        match done.step {
            // It is cut off.
            Step::Reply(_) => {
                assert!(self.streams[number].is_decided());
                self.streams[number].phase = Phase::Ended;
            }
            Step::Continue(changes) => {
                assert!(changes.is_empty());
                if end {
                    let passed = std::mem::take(passed_of(&mut self.streams[number].phase));
                    assert!(self.streams[number].is_decided(), "it waits for more");
                    self.streams[number].phase = Phase::Ended;
                    self.judge_content(number, &passed);
                }
            }
            step => panic!("{step:?} in the middle of a body"),
        }
    }

    fn note(&mut self, number: usize, lines: &[Line]) {
        for Line { text, .. } in lines {
            assert!(!text.chars().any(char::is_control), "{text:?}");
            self.judge_words(number, text);
        }
    }
}

fn passed_of(phase: &mut Phase) -> &mut Vec<u8> {
    if let Phase::Transferring { passed, .. } = phase { passed } else { panic!("nothing passes") }
}

fn change(headers: &mut HeaderList, changes: &[HeaderChange]) {
    for change in changes {
        headers.retain(|(name, _)| name != change.name());
        if let HeaderChange::Set(name, value) = change {
            headers.push(((*name).to_owned(), value.as_bytes().to_vec()));
        }
    }
}
