//! Every fault of upstream in every phase: the documented answer in the documented time, no wrong image, a next request
//! that is not affected, and no dead VM.

mod documents;
mod framing;
mod headers;
mod http2;
mod phase;
mod sound;
mod statuses;
mod timing;
mod tokens;
mod verdict;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use self::phase::{PHASES, Phase};
use self::sound::{Content, Sound, closing};
use self::verdict::Verdict;
use super::observe::assert_unharmed;
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{http_of_cluster, manager};
use metahub_testkit::http::Request;
use metahub_testkit::http::herd::{Herd, Outcome, allow_files};
use metahub_testkit::server::{Act, Received};
use metahub_testkit::stage::{self, stage};

/// An immediate answer comes within this time on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(40);

/// This many explanations are asked for together: fewer than may be under way on one worker.
const EXPLANATIONS: usize = 12;

// Rows that are often the same: tag, HEAD, index, child, nested, token, verify, blob, explain.
/// All is well in every phase.
const FINE: &str = "200 200 200 200 200 200 200 200 200";
/// There is no answer, or it is not HTTP.
const BROKEN: &str = "503 503 503 503 503 503 503 5xx 503";
/// The answer's head is fine; its body ends too early. An answer to HEAD has none.
const CUT: &str = "503 200 503 503 503 503 503 cut 503";
/// An answer with other bytes than the right ones. Where only the status counts they do not matter.
const OTHER_BYTES: &str = "502 200 502 502 502 503 200 =200 502";

/// One fault, and the verdict for each phase.
struct Fault {
    name: String,
    acts: Box<dyn Fn(Sound) -> Vec<Act> + Send + Sync>,
    verdicts: Vec<Verdict>,
    within: Duration,
}

/// A fault that takes no time. `verdicts` has a word for each of [`PHASES`]; see [`Verdict`].
fn fault(name: impl Into<String>, verdicts: &str, acts: impl Fn(Sound) -> Vec<Act> + Send + Sync + 'static) -> Fault {
    let (name, verdicts) = (name.into(), verdicts.split_whitespace().map(Verdict::read).collect::<Vec<_>>());
    assert_eq!(verdicts.len(), PHASES.len(), "{name}");
    Fault { name, acts: Box::new(acts), verdicts, within: SOON }
}

/// Wrong bytes, and then the connection is closed.
fn bytes(name: impl Into<String>, verdicts: &str, bytes: impl Fn(Sound) -> Vec<u8> + Send + Sync + 'static) -> Fault {
    fault(name, verdicts, move |sound| closing(bytes(sound)))
}

/// A whole answer that is not the right one.
fn answer(name: impl Into<String>, verdicts: &str, answer: impl Fn(Sound) -> Sound + Send + Sync + 'static) -> Fault {
    bytes(name, verdicts, move |sound| answer(sound).bytes())
}

/// Envoy before a registry that follows a table.
struct Stage {
    base: stage::Stage,
    registry: Arc<Registry>,
    /// This many requests are sent at the same time.
    at_once: usize,
}

stands_on_base!(Stage);

/// The behaviour of a stage's upstream, and the faults that requests have met.
struct Registry {
    content: Content,
    faults: Vec<Fault>,
    armed: AtomicBool,
    met: Mutex<BTreeSet<(usize, usize)>>,
}

impl Registry {
    fn new(faults: Vec<Fault>) -> Arc<Self> {
        let (armed, met) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Self { content: Content::build(), faults, armed, met })
    }

    /// The sound answer to a request, or the answer with the fault that is meant for it.
    fn acts(&self, request: &Received, stream: u32, whole: impl Fn(&Sound) -> Vec<Act>) -> Vec<Act> {
        let sound = self.content.sound(request).on(stream);
        match Phase::of(request, &self.content) {
            Some((number, phase)) if self.armed.load(Ordering::SeqCst) => {
                self.met.lock().unwrap().insert((number, phase as usize));
                (self.faults[number].acts)(sound)
            }
            _ => whole(&sound),
        }
    }
}

impl Stage {
    fn set(faults: Vec<Fault>) -> Self {
        let registry = Registry::new(faults);
        let theirs = Arc::clone(&registry);
        let whole = |sound: &Sound| closing(sound.bytes());
        Self::start(registry, |stage| stage.server(move |request| theirs.acts(request, 0, whole)), usize::MAX)
    }

    /// The same over HTTP/2, for the registry itself; `whole` sends a sound answer.
    fn over_http2(faults: Vec<Fault>, whole: fn(&Sound) -> Vec<Act>) -> Self {
        let registry = Registry::new(faults);
        let theirs = Arc::clone(&registry);
        let serve = move |request: &Received, stream| theirs.acts(request, stream, whole);
        let one_stream_at_a_time = |bootstrap: &mut Value| {
            // So that a fault that ends a connection ends only one request.
            let options = http_of_cluster(bootstrap, "registry").at_mut("http2_protocol_options");
            options.add("max_concurrent_streams", 1);
        };
        // A connection that ends at its beginning takes with it all requests that wait for one.
        Self::start(registry, |stage| stage.http2_server(serve).bootstrap(one_stream_at_a_time), 1)
    }

    /// One registry that checks nothing, one that wants tokens, and one that checks passwords itself, on one port.
    fn start(registry: Arc<Registry>, serving: impl FnOnce(stage::Builder) -> stage::Builder, at_once: usize) -> Self {
        allow_files(10_000).unwrap();
        let tokens = json!({ "cluster": "tokens", "realm": "http://tokens.test/token", "service": "s" });
        let configuration = json!({
            "cache": { "bytes": "512MiB" },
            "machine_types": { "type1": { "features": ["cpu:broadwell"] } },
            "registries": {
                "registry": { "authentication": "none" },
                "checked": { "authentication": "upstream" },
                "tokened": { "authentication": "none", "token_service": tokens },
            },
        });
        // With the shipped file's time-outs for a manifest and for silence, this test would wait too long.
        let impatient = |bootstrap: &mut Value| {
            let manager = manager(bootstrap);
            manager.set("stream_idle_timeout", "20s");
            for (host, route) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)] {
                manager.set(&format!("route_config.virtual_hosts.{host}.routes.{route}.route.timeout"), "18s");
            }
        };
        let stage = stage().configuration(configuration).cluster("tokens").bootstrap(impatient);
        Self { base: serving(stage).start().unwrap(), registry, at_once }
    }

    /// The phases in which each fault is to be met.
    fn cases(&self) -> Vec<(usize, Phase)> {
        let all = (0..self.registry.faults.len()).flat_map(|number| PHASES.map(|phase| (number, phase)));
        all.filter(|(number, phase)| self.verdict(*number, *phase) != &Verdict::NotAsked).collect()
    }

    fn verdict(&self, number: usize, phase: Phase) -> &Verdict {
        &self.registry.faults[number].verdicts[phase as usize]
    }

    fn ask(&self, cases: &[(usize, Phase)]) -> Vec<Outcome> {
        let ask = |cases: &[(usize, Phase)]| {
            let requests = cases.iter().map(|(number, phase)| phase.request(*number, &self.registry.content));
            Herd::run(self.envoy.port(), &requests.collect::<Vec<Request>>(), PATIENCE).unwrap()
        };
        // Explanations under way are bounded, so few of them are asked for together; each outcome in its case's place.
        let mut order: Vec<usize> = (0..cases.len()).collect();
        order.sort_by_key(|place| cases[*place].1 == Phase::Explain);
        let others = cases.iter().filter(|(_, phase)| *phase != Phase::Explain).count();
        let (first, explanations) = order.split_at(order.len().min(others + EXPLANATIONS));
        let mut outcomes: Vec<Option<Outcome>> = cases.iter().map(|_| None).collect();
        for places in first.chunks(self.at_once).chain(explanations.chunks(self.at_once.min(EXPLANATIONS))) {
            let part: Vec<(usize, Phase)> = places.iter().map(|place| cases[*place]).collect();
            for (place, outcome) in places.iter().zip(ask(&part)) {
                outcomes[*place] = Some(outcome);
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    /// All faults in all their phases, and then the same requests again, without any.
    fn check(&self) {
        let cases = self.cases();
        let known: Vec<(usize, Phase)> = cases.iter().copied().filter(|(_, phase)| *phase == Phase::Head).collect();
        let mut wrong = self.judge(&known, &self.ask(&known), "before", &|_, _| &Verdict::Right);
        self.registry.armed.store(true, Ordering::SeqCst);
        let outcomes = self.ask(&cases);
        self.registry.armed.store(false, Ordering::SeqCst);
        wrong.extend(self.judge(&cases, &outcomes, "", &|number, phase| self.verdict(number, phase)));
        let met = self.registry.met.lock().unwrap().clone();
        let missed = cases.iter().filter(|(number, phase)| !met.contains(&(*number, *phase as usize)));
        wrong.extend(
            missed.map(|(number, phase)| format!("{} {phase:?}: was not met", self.registry.faults[*number].name)),
        );
        wrong.extend(self.judge(&cases, &self.ask(&cases), "after", &|_, _| &Verdict::Right));
        eprintln!("{} faults, {} cases", self.registry.faults.len(), cases.len());
        assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
        assert_unharmed(&self.envoy);
    }

    /// The problems of outcomes, a line for each wrong one.
    fn judge<'a>(
        &self,
        cases: &[(usize, Phase)],
        outcomes: &[Outcome],
        when: &str,
        verdict: &dyn Fn(usize, Phase) -> &'a Verdict,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for ((number, phase), outcome) in cases.iter().zip(outcomes) {
            let fault = &self.registry.faults[*number];
            if let Err(problem) = verdict(*number, *phase).judge(*phase, outcome, &self.registry.content) {
                wrong.push(format!("{} {phase:?} {when}: {problem}", fault.name));
            }
            let limit = if when.is_empty() { fault.within } else { SOON };
            if outcome.after > limit {
                wrong.push(format!("{} {phase:?} {when}: after {:?}, not {limit:?}", fault.name, outcome.after));
            }
        }
        wrong
    }
}

fn check(faults: Vec<Fault>) {
    Stage::set(faults).check();
}
