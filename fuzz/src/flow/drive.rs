//! One request, driven by the core's driver as it is in Envoy.

use metahub::flow::Step;
use metahub::host::flights::Outcome;
use metahub::host::log_lines::{Line, collect};
use metahub::host::{Driver, FilterStatus};
use metahub::text::headers::{HeaderChange, Headers};

use super::host::{Callback, Noted, Talkative};
use super::registry::CLUSTERS;
use super::response::{HeaderList, Response};
use super::stream::{COOKIE, MACHINE_TYPE, Own, Phase};
use super::world::World;

/// Neither a response nor a piece of a body.
const NOTHING: (&HeaderList, &[u8]) = (&Vec::new(), &[]);

/// The result of a callback.
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
        let form = self.streams[number].form.clone();
        let at_hand = (NOTHING.0, form.as_deref().unwrap_or_default());
        let done = self.drive(number, at_hand, |driver, host| {
            let status = driver.on_request_headers(host, form.is_none());
            match &form {
                Some(form) if status == FilterStatus::Hold => driver.on_request_body(host, form.len(), true),
                _ => status,
            }
        });
        self.take(number, done);
    }

    /// A callout was answered. A client that has gone gets nothing of it; a client that has its answer must get nothing
    /// more.
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
            assert!(value != COOKIE.as_bytes() && name != MACHINE_TYPE, "{name} reaches the registry");
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
