//! The whole `flow` under arbitrary events: several clients at once against registries whose permissions and tags
//! change under way, with faults, disconnects, new configurations, a clock that jumps and writes to the shared memory
//! that are lost. `judge.rs` says what must hold.

mod catalogue;
mod client;
mod drive;
mod fault;
mod host;
mod judge;
mod registry;
mod response;
mod stream;
mod world;

use metahub::flow::WorkerState;
use metahub::flow::body::Body;
use metahub::host::flights::{Answered, MAX_HELD};

use self::catalogue::DOCUMENTS;
use self::client::{Login, Rules};
use self::fault::Fault;
use self::registry::{CLUSTERS, REPOSITORIES, TAGS};
use self::response::Response;
use self::stream::{Asked, Own, Phase, Stream};
use self::world::World;
use super::input::Input;

/// Goes through one history of events, and then lets everything that is under way come to its end.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut world = World::new(&mut input);
    while !input.is_empty() {
        world.event(&mut input);
    }
    world.settle();
}

impl World {
    /// One thing that happens.
    fn event(&mut self, input: &mut Input<'_>) {
        self.moment += 1;
        match input.below(26) {
            0..=5 => self.request(input),
            6..=9 => {
                self.send();
                self.answer_callout(input);
            }
            10..=12 => self.deliver(1 + input.below(8)),
            13..=15 => self.answer_own(input),
            16 | 17 => self.pass_a_piece(input),
            18 => self.change_the_world(input),
            19 => self.move_a_tag(input),
            20 => self.turn_the_clock(input),
            21 => self.lose_writes(input),
            22 => self.leave(input),
            // Later events find the results of earlier ones remembered.
            23 | 24 => self.calm_down(),
            _ => self.reconfigure(input),
        }
    }

    fn change_the_world(&mut self, input: &mut Input<'_>) {
        let (cluster, login) = self.client(input);
        let (owner, repository) = (login.owner.place().unwrap_or_default(), input.below(REPOSITORIES.len()));
        if input.one_in(6) {
            let valid = &mut self.registries.valid[input.below(3)];
            *valid = !*valid;
        } else {
            let may = &mut self.registries.may[cluster][owner][repository];
            *may = !*may;
        }
    }

    fn move_a_tag(&mut self, input: &mut Input<'_>) {
        let (cluster, repository, tag) =
            (self.client(input).0, input.below(REPOSITORIES.len()), input.below(TAGS.len()));
        // Most often to an index; sometimes the tag is gone.
        let number = input.below(DOCUMENTS.len() + 1);
        self.registries.tags[cluster][repository][tag] = (number < DOCUMENTS.len()).then_some(number);
    }

    fn turn_the_clock(&mut self, input: &mut Input<'_>) {
        let now = self.memory.now.get();
        let seconds = input.pick(&[1, 1, 3, 8, 40, 100, 400]);
        self.memory.now.set(if input.one_in(5) { now - seconds } else { now + seconds });
    }

    /// With one or two lost, a record is kept all the same: three attempts are made.
    fn lose_writes(&mut self, input: &mut Input<'_>) {
        self.memory.lost.set(if self.lossy { 1 + u32::from(input.byte() % 8) } else { 1 });
    }

    fn leave(&mut self, input: &mut Input<'_>) {
        if self.streams.is_empty() {
            return;
        }
        let (number, by_envoy) = (input.below(self.streams.len()), input.one_in(2));
        if !self.streams[number].is_over() && by_envoy {
            // Envoy answers by itself: the client took too long, or upstream did.
            let status = if matches!(self.streams[number].phase, Phase::Waiting { .. }) { 408 } else { 504 };
            self.respond(number, &Response::new(status, "text/plain", b"timeout"));
        } else {
            self.streams[number].disconnect();
        }
    }

    fn reconfigure(&mut self, input: &mut Input<'_>) {
        if !input.one_in(2) {
            return;
        }
        self.rules = Rules { cache: self.rules.cache, ..Rules::choose(input) };
        if self.rules.cache == 0 {
            (self.rules.ttl, self.rules.stale) = (0, 0);
        }
        self.config = self.rules.config();
        self.worker = WorkerState::default();
    }

    fn request(&mut self, input: &mut Input<'_>) {
        let (cluster, login) = self.client(input);
        let asked = Asked::choose(input);
        let mut stream = Stream::new(asked, cluster, login, self.rules, (self.moment, self.memory.now.get()));
        let headers = stream.request(input);
        self.begin(stream, headers);
    }

    /// The client of a new request, and its cluster.
    fn client(&self, input: &mut Input<'_>) -> (usize, Login) {
        let kind = input.below(16);
        if kind < 10 {
            let (cluster, login) = &self.regulars[input.below(self.regulars.len())];
            return (*cluster, login.under(self.rules));
        }
        let cluster = input.below(CLUSTERS.len());
        match kind {
            10..=12 if !self.tokens.is_empty() => {
                let (token, place, login) = &self.tokens[input.below(self.tokens.len())];
                let login = login.with_token(token, *place).under(self.rules);
                // Most often to where it is from.
                if input.one_in(4) && cluster != *place { (cluster, login.stranger()) } else { (*place, login) }
            }
            13 => (cluster, Login::none()),
            _ => (cluster, Login::choose(input, cluster).under(self.rules)),
        }
    }

    fn begin(&mut self, mut stream: Stream, headers: response::HeaderList) {
        stream.headers = headers;
        self.streams.push(stream);
        self.on_request(self.streams.len() - 1);
    }

    /// Sends what waits to be sent.
    fn send(&mut self) {
        while let Some((id, callout)) = self.flights.get_mut().next_to_send() {
            self.next_token += 1;
            self.flights.get_mut().sent(id, self.next_token);
            self.under_way.insert(self.next_token, callout);
        }
    }

    /// A registry or the token service answers one of the callouts.
    fn answer_callout(&mut self, input: &mut Input<'_>) {
        if self.under_way.is_empty() {
            return;
        }
        let token = *self.under_way.keys().nth(input.below(self.under_way.len())).expect("one of them");
        let fault = Fault::choose(input);
        self.answer_one(token, fault);
    }

    fn answer_one(&mut self, token: u32, fault: Fault) {
        self.moment += 1;
        let Some(callout) = self.under_way.remove(&token) else { return };
        let header = |name: &str| callout.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        let (method, path) = (header(":method").expect("a method"), header(":path").expect("a path"));
        let authorization = header("authorization").map(str::as_bytes);
        let now = self.memory.now.get();
        if fault == Fault::BrokenOff {
            return self.flights.get_mut().answered(token, 0, || None);
        }
        let mut response = match CLUSTERS.iter().position(|cluster| *cluster == callout.cluster) {
            Some(cluster) => self.registries.answer((self.moment, now), cluster, method, path, authorization, fault),
            None => match fault {
                Fault::Status(status) => Response::new(status, "application/json", b"{}"),
                _ => fault.upon(self.registries.give_token(path, authorization, now)),
            },
        };
        if method == "HEAD" {
            response.body.clear();
        }
        let size = if fault == Fault::Overfull { MAX_HELD } else { response.body.len() };
        self.flights
            .get_mut()
            .answered(token, size, || Some(Answered { headers: response.headers, body: Body::from(response.body) }));
    }

    /// Hands out answers, as a tick does.
    fn deliver(&mut self, most: usize) {
        for _ in 0..most {
            let Some((number, outcome)) = self.flights.get_mut().next_delivery() else { return };
            self.moment += 1;
            self.on_callout(number, &outcome);
        }
    }

    /// The registry answers a client's own request.
    fn answer_own(&mut self, input: &mut Input<'_>) {
        let waiting: Vec<usize> =
            (0..self.streams.len()).filter(|number| self.streams[*number].own().is_some()).collect();
        if waiting.is_empty() {
            return;
        }
        let (number, fault) = (waiting[input.below(waiting.len())], Fault::choose(input));
        self.answer_own_of(number, fault);
    }

    fn answer_own_of(&mut self, number: usize, fault: Fault) {
        self.moment += 1;
        let stream = &self.streams[number];
        let Some(Own { method, path, authorization, .. }) = stream.own().cloned() else { return };
        let (cluster, at) = (stream.cluster, (self.moment, self.memory.now.get()));
        let mut response = if fault == Fault::BrokenOff {
            Response::new(503, "text/plain", b"reset")
        } else {
            self.registries.answer(at, cluster, &method, &path, authorization.as_deref(), fault)
        };
        if method == "HEAD" {
            response.body.clear();
        }
        self.respond(number, &response);
    }

    /// The next piece of a manifest that passes.
    fn pass_a_piece(&mut self, input: &mut Input<'_>) {
        let size = input.pick(&[10_000, 1, 65_536, 200_000]);
        let passing = self.streams.iter().position(|stream| matches!(stream.phase, Phase::Transferring { .. }));
        if let Some(number) = passing {
            self.piece(number, size);
        }
    }

    /// Without further faults every request ends.
    fn settle(&mut self) {
        self.calm_down();
        let is_left = |stream: &&Stream| !stream.is_over();
        let left: Vec<&Stream> = self.streams.iter().filter(is_left).collect();
        assert!(left.is_empty(), "no end: {left:?}");
    }

    fn calm_down(&mut self) {
        for _ in 0..64 {
            self.send();
            while let Some(token) = self.under_way.keys().next().copied() {
                self.answer_one(token, Fault::None);
            }
            self.deliver(usize::MAX);
            for number in 0..self.streams.len() {
                self.answer_own_of(number, Fault::None);
                self.piece(number, usize::MAX);
            }
            if self.streams.iter().all(Stream::is_over) {
                return;
            }
        }
    }
}
