//! What upstream can do wrong × where it can: the documented answer in the documented time, no wrong image, the next
//! request as if nothing had been, and no VM dead.

mod documents;
mod framing;
mod headers;
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

use self::phase::{PHASES, Phase};
use self::sound::{Content, Sound, closing};
use self::verdict::Verdict;
use super::observe::assert_unharmed;
use crate::support::envoy::{Envoy, replace};
use crate::support::http::Request;
use crate::support::http::herd::{Herd, Outcome, allow_files};
use crate::support::mock_registry::{Act, MockRegistry};
use crate::support::registries::{Upstream, with_cluster, with_configuration, with_registry};

/// What comes at once, comes within this on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(40);

// Rows that are often the same: tag, HEAD, index, child, nested, token, verify, blob, explain.
/// Everything is as it should be.
const FINE: &str = "200 200 200 200 200 200 200 200 200";
/// There is no answer, or none that HTTP knows.
const BROKEN: &str = "503 503 503 503 503 503 503 5xx 503";
/// The answer's head is fine; its body ends too early. An answer to HEAD has none.
const CUT: &str = "503 200 503 503 503 503 503 cut 503";
/// An answer, but not with the bytes that should come. Where only the status counts they do not matter.
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

/// Bytes that are not what they should be, and then the connection is closed.
fn bytes(name: impl Into<String>, verdicts: &str, bytes: impl Fn(Sound) -> Vec<u8> + Send + Sync + 'static) -> Fault {
    fault(name, verdicts, move |sound| closing(bytes(sound)))
}

/// A whole answer that is another one than it should be.
fn answer(name: impl Into<String>, verdicts: &str, answer: impl Fn(Sound) -> Sound + Send + Sync + 'static) -> Fault {
    bytes(name, verdicts, move |sound| answer(sound).bytes())
}

/// Envoy before a registry that does what a table says.
struct Stage {
    envoy: Envoy,
    content: Arc<Content>,
    armed: Arc<AtomicBool>,
    met: Arc<Mutex<BTreeSet<(usize, usize)>>>,
    faults: Arc<Vec<Fault>>,
    _upstream: MockRegistry,
}

impl Stage {
    fn set(faults: Vec<Fault>) -> Self {
        allow_files(10_000).unwrap();
        let (faults, content) = (Arc::new(faults), Arc::new(Content::build()));
        let (armed, met) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<BTreeSet<_>>>::default());
        let theirs = (Arc::clone(&faults), Arc::clone(&content), Arc::clone(&armed), Arc::clone(&met));
        let upstream = MockRegistry::start(move |request| {
            let (faults, content, armed, met) = &theirs;
            let sound = content.sound(request);
            match Phase::of(request, content) {
                Some((number, phase)) if armed.load(Ordering::SeqCst) => {
                    met.lock().unwrap().insert((number, phase as usize));
                    (faults[number].acts)(sound)
                }
                _ => closing(sound.bytes()),
            }
        })
        .unwrap();
        let envoy = envoy(upstream.port());
        Self { envoy, content, armed, met, faults, _upstream: upstream }
    }

    /// The phases in which each fault is to be met.
    fn cases(&self) -> Vec<(usize, Phase)> {
        let all = (0..self.faults.len()).flat_map(|number| PHASES.map(|phase| (number, phase)));
        all.filter(|(number, phase)| self.verdict(*number, *phase) != &Verdict::NotAsked).collect()
    }

    fn verdict(&self, number: usize, phase: Phase) -> &Verdict {
        &self.faults[number].verdicts[phase as usize]
    }

    fn ask(&self, cases: &[(usize, Phase)]) -> Vec<Outcome> {
        let requests: Vec<Request> =
            cases.iter().map(|(number, phase)| phase.request(*number, &self.content)).collect();
        Herd::run(self.envoy.port(), &requests, PATIENCE).unwrap()
    }

    /// All faults in all their phases, and then the same requests again, without any.
    fn check(&self) {
        let cases = self.cases();
        let known: Vec<(usize, Phase)> = cases.iter().copied().filter(|(_, phase)| *phase == Phase::Head).collect();
        let mut wrong = self.judge(&known, &self.ask(&known), "before", &|_, _| &Verdict::Right);
        self.armed.store(true, Ordering::SeqCst);
        let outcomes = self.ask(&cases);
        self.armed.store(false, Ordering::SeqCst);
        wrong.extend(self.judge(&cases, &outcomes, "", &|number, phase| self.verdict(number, phase)));
        let met = self.met.lock().unwrap().clone();
        let missed = cases.iter().filter(|(number, phase)| !met.contains(&(*number, *phase as usize)));
        wrong.extend(missed.map(|(number, phase)| format!("{} {phase:?}: was not met", self.faults[*number].name)));
        wrong.extend(self.judge(&cases, &self.ask(&cases), "after", &|_, _| &Verdict::Right));
        eprintln!("{} faults, {} cases", self.faults.len(), cases.len());
        assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
        assert_unharmed(&self.envoy);
    }

    /// What is wrong with outcomes, a line for each that is.
    fn judge<'a>(
        &self,
        cases: &[(usize, Phase)],
        outcomes: &[Outcome],
        when: &str,
        verdict: &dyn Fn(usize, Phase) -> &'a Verdict,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for ((number, phase), outcome) in cases.iter().zip(outcomes) {
            let fault = &self.faults[*number];
            if let Err(problem) = verdict(*number, *phase).judge(*phase, outcome, &self.content) {
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

/// One registry that checks nothing, one that wants tokens, and one that checks passwords itself, on one port.
fn envoy(port: u16) -> Envoy {
    let configuration = format!(
        "cache: {{ bytes: 512MiB }}\n\
         machine_types: {{ type1: {{ features: [\"cpu:broadwell\"] }} }}\n\
         registries:\n  \
           registry: {{ host: \"127.0.0.1:{port}\", authentication: none }}\n  \
           checked: {{ host: \"127.0.0.1:{port}\", authentication: upstream }}\n  \
           tokened:\n    host: \"127.0.0.1:{port}\"\n    authentication: none\n    \
             token_service: {{ cluster: tokens, realm: \"http://tokens.test/token\", service: s }}\n"
    );
    let edit = move |bootstrap: String| {
        // What the shipped file gives the registry for a manifest, and silence in general, would be waited for here.
        let bootstrap = replace(&bootstrap, "timeout: 60s,", "timeout: 18s,", 1);
        let mut bootstrap = replace(&bootstrap, "stream_idle_timeout: 300s", "stream_idle_timeout: 20s", 1);
        for name in ["checked", "tokened"] {
            bootstrap = with_registry(&bootstrap, name, port, Upstream::Http1);
        }
        with_cluster(&bootstrap, "tokens", port, Upstream::Http1)
    };
    let builder = Envoy::before(port).edit_config(move |config| with_configuration(&config, &configuration));
    builder.edit_bootstrap(edit).start().unwrap()
}

fn check(faults: Vec<Fault>) {
    Stage::set(faults).check();
}
