//! One request, driven as `filter/http.rs` drives it.

use metahub::flow::{Effects, Event, Exchange, Report, Step};
use metahub::host::flights::Moment;
use metahub::store::resources::is_news;
use metahub::text::headers::{HeaderChange, Headers};

use super::super::input::Input;
use super::World;
use super::catalogue::DOCUMENTS;
use super::client::{Login, Rules};
use super::registry::{HeaderList, REPOSITORIES, Response, TAGS};

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
    pub(super) since: Moment,
    pub(super) headers: HeaderList,
    pub(super) head: bool,
    pub(super) phase: Phase,
    exchange: Exchange,
    /// Upstream has failed it: what was known before may stand in.
    pub(super) failed: bool,
    callouts: u32,
}

impl Stream {
    pub(super) fn new(
        asked: Asked,
        cluster: usize,
        login: Login,
        rules: Rules,
        (begun, began): (u64, u64),
        since: Moment,
    ) -> Self {
        Self {
            asked,
            cluster,
            login,
            rules,
            begun,
            began,
            since,
            headers: Vec::new(),
            head: false,
            phase: Phase::Waiting { request: true },
            exchange: Exchange::Done,
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
        self.exchange = Exchange::Done;
    }
}

impl World {
    fn advance(&mut self, number: usize, event: &Event<'_>) -> Effects {
        let exchange = std::mem::replace(&mut self.streams[number].exchange, Exchange::Done);
        exchange.advance(&self.memory, event)
    }

    /// A callout was answered. A client that has gone does not hear of it; one that has its answer must not hear more.
    pub(super) fn on_callout(&mut self, number: usize, event: &Event<'_>) {
        match self.streams[number].phase {
            Phase::Gone => return,
            Phase::Ended => {
                let effects = self.advance(number, event);
                assert!(effects.reports.is_empty(), "{:?}", effects.reports);
                return assert_eq!(effects.step, Step::Continue(Vec::new()), "a step after the end");
            }
            Phase::Waiting { .. } => {}
            _ => panic!("it did not wait: {:?}", self.streams[number]),
        }
        let status = match event {
            Event::CalloutAnswered(Some(answer)) => answer.headers.number(":status").unwrap_or_default(),
            _ => 0,
        };
        self.note_status(number, status);
        let effects = self.advance(number, event);
        let may_be_refused = self.streams[number].asked.repository();
        self.note_refusal(number, status, &effects, may_be_refused);
        self.take(number, effects);
    }

    fn note_status(&mut self, number: usize, status: u64) {
        self.streams[number].failed |= status == 0 || status >= 500;
    }

    /// Does what the flow says, of a stream whose own request is here or held, or whose response is held.
    pub(super) fn take(&mut self, number: usize, effects: Effects) {
        self.note(number, &effects.reports);
        self.streams[number].exchange = effects.exchange;
        self.remember_words(number);
        let held = matches!(self.streams[number].phase, Phase::Waiting { request: true });
        match effects.step {
            Step::CallOut(callout) => {
                self.judge_callout(number, &callout);
                let stream = &mut self.streams[number];
                stream.callouts += 1;
                assert!(stream.callouts < 24, "one callout after the other: {stream:?}");
                stream.phase = Phase::Waiting { request: held };
                let since = stream.since;
                if self.flights.join(callout, number, since).is_err() {
                    let effects = self.advance(number, &Event::Overfull);
                    self.take(number, effects);
                }
            }
            Step::Continue(changes) | Step::Resume(changes) if held => {
                let own = self.sent_on(number, &changes);
                self.judge_own(number, &own);
                self.streams[number].phase = Phase::Upstream(own);
            }
            Step::Reply(reply) => {
                self.streams[number].phase = Phase::Ended;
                assert!(matches!(self.streams[number].exchange, Exchange::Done), "a state behind the end");
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
            _ => matches!(stream.exchange, Exchange::Transferring(_)),
        };
        let status = response.status();
        let mut seen = response.headers.clone();
        // As the filter reads them.
        if let Some(names) = stream.exchange.suffices(status.to_string().as_bytes()) {
            seen.retain(|(name, _)| name == ":status" || names.contains(&name.as_str()));
        }
        self.note_status(number, status.into());
        let end = asked_with_head || response.body.is_empty();
        let effects = self.advance(number, &Event::ResponseHeaders { headers: Headers(&seen), end });
        if went {
            let may_be_refused = self.streams[number].asked.repository();
            self.note_refusal(number, status.into(), &effects, may_be_refused);
        }
        if !matches!(effects.step, Step::Continue(_)) {
            self.streams[number].phase = Phase::Waiting { request: false };
            return self.take(number, effects);
        }
        self.note(number, &effects.reports);
        self.remember_words(number);
        let Step::Continue(changes) = effects.step else { return };
        let stream = &mut self.streams[number];
        stream.exchange = effects.exchange;
        let mut headers = response.headers.clone();
        change(&mut headers, &changes);
        if matches!(stream.exchange, Exchange::Transferring(_)) {
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
        let effects = self.advance(number, &Event::ResponseBody { piece: &piece, end });
        self.note(number, &effects.reports);
        self.streams[number].exchange = effects.exchange;
        match effects.step {
            Step::Cut(_) => {
                assert!(matches!(self.streams[number].exchange, Exchange::Done));
                self.streams[number].phase = Phase::Ended;
            }
            Step::Continue(changes) => {
                assert!(changes.is_empty());
                if end {
                    let passed = std::mem::take(passed_of(&mut self.streams[number].phase));
                    assert!(matches!(self.streams[number].exchange, Exchange::Done), "it waits for more");
                    self.streams[number].phase = Phase::Ended;
                    self.judge_content(number, &passed);
                }
            }
            step => panic!("{step:?} in the middle of a body"),
        }
    }

    fn note(&mut self, number: usize, reports: &[Report]) {
        for report in reports {
            let Some(line) = &report.line else { continue };
            let _ = is_news(&self.memory, report.topic.as_deref());
            assert!(!line.chars().any(char::is_control), "{line:?}");
            self.judge_words(number, line);
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
