//! The CPU time of the filter in the VM of a real Envoy: large indexes, many machine types, long answers.
//!
//! All times are CPU of Envoy's one worker; the main thread, which reads configuration files, and V8's compiler threads
//! do not hold up requests and are not in them.

use std::time::Duration;

use crate::client::{self, Answer, Request, Session};
use crate::machine::{self, Cores};
use crate::nginx::Nginx;
use crate::report::{self, Section, marked};
use crate::requests::{basic, wire};
use crate::statistics::{median, quantile};
use crate::subject::{Authentication, Cache, LOGIN, Setup, Subject};
use metahub_testkit::http;
use metahub_testkit::{Failure, Result, wait_for};

/// Machine types of a configuration, where it has many.
const TYPES: usize = 10_000;

/// Samples that do not count, before all others.
const WARM: usize = 8;

/// A line of the table.
struct Row {
    name: String,
    /// Of each sample, in its order.
    times: Vec<Duration>,
    limit: Option<Duration>,
}

impl Row {
    fn new(name: &str, times: Vec<Duration>) -> Self {
        Self { name: name.to_owned(), times, limit: None }
    }

    fn at_most(self, milliseconds: u64) -> Self {
        Self { limit: Some(Duration::from_millis(milliseconds)), ..self }
    }

    fn holds(&self) -> bool {
        self.limit.is_none_or(|limit| quantile(&self.times, 0.5) <= limit)
    }

    fn line(&self) -> String {
        let at = |part| ms(quantile(&self.times, part));
        report::line(&[
            self.name.clone(),
            marked(&at(0.5), self.holds()),
            self.limit.map_or_else(|| "–".to_owned(), |limit| limit.as_millis().to_string()),
            format!("{}–{}", at(0.25), at(0.75)),
        ])
    }
}

fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.1}") }
}

/// One client that sends requests one after the other, and what each answer must be.
struct Asking<'a> {
    subject: &'a Subject,
    request: Box<dyn Fn(usize) -> Request + 'a>,
    status: u16,
    /// The length of each answer's body, where it is always the same.
    length: Option<u64>,
    sent: usize,
    goal: usize,
    /// Of each sample: the worker's CPU for one request.
    times: Vec<Duration>,
}

impl<'a> Asking<'a> {
    /// `request` gets a number that only grows.
    fn new(subject: &'a Subject, request: impl Fn(usize) -> Request + 'a) -> Self {
        let (request, times) = (Box::new(request), Vec::new());
        Self { subject, request, status: 200, length: None, sent: 0, goal: 0, times }
    }

    fn expecting(self, status: u16, length: Option<u64>) -> Self {
        Self { status, length, ..self }
    }

    /// The worker's CPU for one of this many requests.
    fn sample(&mut self, count: usize) -> Result<Duration> {
        let subject = self.subject;
        self.goal = self.sent + count;
        let before = subject.worker_time()?;
        client::run(vec![(subject.port(), self as &mut dyn Session)])?;
        Ok(subject.worker_time()?.saturating_sub(before).div_f64(count as f64))
    }
}

impl Session for Asking<'_> {
    fn next(&mut self) -> Option<Request> {
        if self.sent == self.goal {
            return None;
        }
        self.sent += 1;
        Some((self.request)(self.sent - 1))
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        if answer.status == self.status && self.length.is_none_or(|length| answer.length == length) {
            return Ok(());
        }
        let head = String::from_utf8_lossy(answer.head);
        Err(Failure::new(format!("expected {}, got {} bytes with\n{head}", self.status, answer.length)))
    }
}

/// Asks in turn, after some requests that do not count: V8 compiles on while code runs.
fn alternate(askings: &mut [Asking<'_>], samples: usize, count: usize) -> Result<()> {
    for asking in &mut *askings {
        asking.sample(count * WARM)?;
    }
    for _ in 0..samples {
        for asking in &mut *askings {
            let time = asking.sample(count)?;
            asking.times.push(time);
        }
    }
    Ok(())
}

/// Sample by sample, what the one took more than the other.
fn difference(one: &[Duration], other: &[Duration]) -> Vec<Duration> {
    one.iter().zip(other).map(|(one, other)| one.saturating_sub(*other)).collect()
}

/// Measures everything, with this many samples of each figure.
pub(crate) fn measure(samples: usize, cores: &Cores) -> Result<Section> {
    machine::pin(std::process::id(), cores.rest)?;
    let nginx = Nginx::start()?;
    let mut rows = large_index(&nginx, cores, samples)?;
    rows.extend(selection(&nginx, cores, samples)?);
    rows.extend(configurations(&nginx, cores, samples)?);
    rows.extend(explain(&nginx, cores, samples)?);
    let mut text = format!("CPU of Envoy's worker, median of {samples} samples.\n\n");
    text += &report::head(&["what", "CPU ms", "limit", "middle half of the samples"]);
    text.extend(rows.iter().map(Row::line));
    text += "\n";
    text += &memory(&nginx, cores, samples.min(5))?;
    cores.release()?;
    Ok(Section { name: "vm", text, holds: rows.iter().all(Row::holds), plot: None })
}

fn get(reference: &str, login: &str) -> Request {
    wire("GET", &format!("/v2/bench/app/manifests/{reference}"), &basic(login))
}

/// The largest index that is read, by tag. Envoy receives it for that; what it takes for this alone is the difference
/// between passing it on and sending it from memory.
fn large_index(nginx: &Nginx, cores: &Cores, samples: usize) -> Result<Vec<Row>> {
    let index = nginx.largest_index(10_000)?;
    let metahub = Subject::metahub(nginx.port, Setup::new(Cache::Off), cores)?;
    let bare = Subject::bare(nginx.port, cores)?;
    let sending = Subject::sending(&nginx.path(&index), cores)?;
    let (tag, digest) = (format!("at-{}", index.hex), format!("sha256:{}", index.hex));
    let whole = Some(index.length);
    let mut askings = [
        Asking::new(&metahub, |_| get(&tag, LOGIN.0)).expecting(200, Some(nginx.image.length)),
        Asking::new(&bare, |_| get(&digest, LOGIN.0)).expecting(200, whole),
        Asking::new(&sending, |_| wire("GET", "/file", &basic(LOGIN.0))).expecting(200, whole),
    ];
    alternate(&mut askings, samples, 8)?;
    let [ours, passing, sending] = askings.map(|asking| asking.times);
    let receiving = difference(&passing, &sending);
    let filter = difference(&ours, &receiving);
    Ok(vec![
        Row::new("index of 4 MiB, 10,000 entries, by tag, no cache: the whole answer", ours),
        Row::new("a. the same index by digest through bare Envoy, received and sent", passing),
        Row::new("b. the same, sent only, as a file of Envoy's own", sending),
        Row::new("the whole answer less receiving (a − b): what the filter takes", filter).at_most(25),
    ])
}

/// Almost only selection: the index is in the cache, and its result for the machine type is not known yet.
fn selection(nginx: &Nginx, cores: &Cores, samples: usize) -> Result<Vec<Row>> {
    const REQUESTS: usize = 100;
    let index = nginx.index(1_000)?;
    let distinct = (samples + WARM) * REQUESTS;
    let setup = Setup { distinct, authentication: Authentication::None, ..Setup::new(Cache::REVALIDATED) };
    let metahub = Subject::metahub(nginx.port, setup, cores)?;
    let tag = format!("at-{}", index.hex);
    let image = Some(nginx.image.length);
    let mut askings = [
        Asking::new(&metahub, |number| get(&tag, &format!("x-m{number}"))).expecting(200, image),
        Asking::new(&metahub, |_| get(&tag, "x-foreign")).expecting(404, None),
        Asking::new(&metahub, |_| get(&tag, "x-first")).expecting(200, image),
    ];
    alternate(&mut askings, samples, REQUESTS)?;
    let [new, foreign, known] = askings.map(|asking| asking.times);
    Ok(vec![
        Row::new("index of 1,000 entries, from the cache, a new machine type of 20 features", new).at_most(2),
        Row::new("the same, a machine type that nothing fits", foreign),
        Row::new("the same, a known machine type", known),
    ])
}

/// From the rename of a configuration's file until it is in force.
fn configurations(nginx: &Nginx, cores: &Cores, samples: usize) -> Result<Vec<Row>> {
    let setup = Setup { authentication: Authentication::None, ..Setup::new(Cache::Shipped) };
    let path = format!("/v2/bench/app/manifests/at-{}", nginx.index(4)?.hex);
    let mut rows = Vec::new();
    for (form, is_shipped) in [("a Struct, as shipped", true), ("JSON in one string", false)] {
        // On one core: its main thread reads the configuration too, and what counts as another core may be the same
        // one's second thread, which makes both slower.
        let metahub = Subject::metahub(nginx.port, setup, cores)?;
        let mut times = Vec::new();
        for generation in 1..=samples + 1 {
            let setup = Setup { machine_types: TYPES, generation, ..setup };
            let text = if is_shipped {
                setup.text(&metahub.envoy, nginx.port)
            } else {
                setup.as_one_string(&metahub.envoy, nginx.port)
            };
            let before = quiet(&metahub)?;
            if !metahub.envoy.reload_text(&text)? {
                return Err(Failure::new(metahub.envoy.log()));
            }
            times.push(quiet(&metahub)?.saturating_sub(before));
            let request = http::Request::head(&path).login(&format!("x-gen{generation}"), "x");
            if metahub.envoy.send(&request)?.status != 200 {
                return Err(Failure::new(metahub.envoy.log()));
            }
        }
        let first = times.remove(0);
        rows.push(Row::new(&format!("configuration of 10,000 machine types, {form}"), times).at_most(40));
        rows.push(Row::new("the same, first in a new Envoy", vec![first]));
    }
    Ok(rows)
}

/// Waits until the worker has nothing more to do, and returns the CPU that it has used.
fn quiet(subject: &Subject) -> Result<Duration> {
    let mut last = subject.worker_time()?;
    let mut looks = 0;
    wait_for("the worker to be idle", Duration::from_secs(10), || {
        std::thread::sleep(Duration::from_millis(20));
        let now = subject.worker_time().ok()?;
        looks = if now.saturating_sub(last) < Duration::from_micros(200) { looks + 1 } else { 0 };
        last = now;
        (looks == 10).then_some(now)
    })
}

/// The longest answers that there are.
fn explain(nginx: &Nginx, cores: &Cores, samples: usize) -> Result<Vec<Row>> {
    let index = nginx.index(1_000)?;
    let setup = Setup { distinct: TYPES, authentication: Authentication::None, ..Setup::new(Cache::Off) };
    let metahub = Subject::metahub(nginx.port, setup, cores)?;
    let path = format!("/metahub/v1/explain?image=bench/app:at-{}", index.hex);
    let answer = metahub.envoy.send(&http::Request::get(&path).login("x-first", "x"))?;
    let page: serde_json::Value =
        serde_json::from_str(&answer.text()).map_err(|error| Failure::new(error.to_string()))?;
    let next = page["next"].as_str().ok_or_else(|| Failure::new("all machine types fit into one answer"))?;
    let mut askings = [&path, next].map(|path| Asking::new(&metahub, |_| wire("GET", path, &basic("x-first"))));
    alternate(&mut askings, samples, 20)?;
    let [first, second] = askings.map(|asking| asking.times);
    Ok(vec![
        Row::new("first page of explain, 1,000 entries, 10,000 machine types", first),
        Row::new("its second page", second),
    ])
}

/// The memory that an index leaves behind: the resident memory of a new Envoy for each, before and after its first
/// large index.
fn memory(nginx: &Nginx, cores: &Cores, samples: usize) -> Result<String> {
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let mut text = report::head(&["index", "entries", "MiB more than after a tiny one", "for each MiB of it"]);
    let tiny = format!("at-{}", nginx.index(4)?.hex);
    for size in [1, 2, 4] {
        let entries = 2_500 * size;
        let index = nginx.index_of(entries, size << 20)?;
        let mut growths = Vec::new();
        for _ in 0..samples {
            let metahub = Subject::metahub(nginx.port, Setup::new(Cache::Off), cores)?;
            let pull = |tag: &str| -> Result<u64> {
                let mut asking = Asking::new(&metahub, |_| get(tag, LOGIN.0)).expecting(200, Some(nginx.image.length));
                asking.sample(1)?;
                metahub.resident()
            };
            let before = pull(&tiny)?;
            growths.push(mib(pull(&format!("at-{}", index.hex))?.saturating_sub(before) as f64));
        }
        let growth = median(&mut growths);
        let each = growth / mib(index.length as f64);
        text +=
            &report::line(&[format!("{size} MiB"), entries.to_string(), format!("{growth:.1}"), format!("{each:.1}")]);
    }
    Ok(text)
}
