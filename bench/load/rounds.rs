//! One row of the table: Envoys asked in turn, and what each request cost them.

use std::time::{Duration, Instant};

use crate::client::{self, Outcome, Session};
use crate::requests::{Kind, Progress, Repeating};
use crate::statistics::{median, position, quantile};
use crate::subject::Subject;
use metahub_testkit::Result;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Rounds that count; one more goes before them.
    pub(crate) rounds: usize,
    /// The approximate duration of one Envoy's round.
    pub(crate) round: Duration,
    /// How long each Envoy is asked beforehand. V8 compiles code that runs often a second time, in the background:
    /// without the warm-up the first 2,500 requests of a rare kind would be charged with it.
    pub(crate) warm_up: Duration,
}

/// One of the Envoys of a row, and its requests.
pub(crate) struct Side<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) kind: &'a Kind,
}

/// The measurements of one Envoy.
pub(crate) struct Figures {
    /// Of each round, in its order: CPU of the Envoy process for one request.
    cpu: Vec<Duration>,
    rates: Vec<f64>,
    latencies: Vec<Duration>,
}

/// The measurements of a row: the Envoy that is compared with, the one that is measured, and perhaps one with a filter
/// that only makes host calls.
pub(crate) struct Comparison {
    pub(crate) base: Figures,
    pub(crate) measured: Figures,
    ratios: Ratios,
    floor: Option<(Figures, Ratios)>,
}

/// Of each round, one Envoy's CPU for a request divided by the base's; in ascending order.
struct Ratios(Vec<f64>);

/// A side with its count of requests.
struct Runner<'a> {
    side: &'a Side<'a>,
    progress: Progress,
    connections: usize,
    /// Requests of a round.
    count: u64,
    figures: Figures,
}

/// Asks them in turn. Each round begins with another one, so that each follows each of the others and none of three
/// follows itself: an Envoy that has just run finds its code in the caches and is up to 8 % cheaper.
pub(crate) fn compare(
    base: &Side<'_>,
    measured: &Side<'_>,
    floor: Option<&Side<'_>>,
    connections: usize,
    effort: Effort,
) -> Result<Comparison> {
    let begin = |side| Runner::calibrated(side, connections, effort);
    let (mut base, mut measured) = (begin(base)?, begin(measured)?);
    let mut floor = floor.map(begin).transpose()?;
    for round in 0..=effort.rounds {
        let mut runners: Vec<_> = [&mut base, &mut measured].into_iter().chain(&mut floor).collect();
        let first = round % runners.len();
        runners.rotate_left(first);
        for runner in runners {
            // The first round warms up.
            runner.run(round > 0)?;
        }
    }
    let (base, measured) = (base.figures, measured.figures);
    let ratios = Ratios::of(&measured, &base);
    let floor = floor.map(|Runner { figures, .. }| {
        let ratios = Ratios::of(&figures, &base);
        (figures, ratios)
    });
    Ok(Comparison { base, measured, ratios, floor })
}

impl<'a> Runner<'a> {
    /// Warms up, and finds out how many requests take about as long as a round.
    fn calibrated(side: &'a Side<'a>, connections: usize, Effort { round: time, warm_up, .. }: Effort) -> Result<Self> {
        let figures = Figures { cpu: Vec::new(), rates: Vec::new(), latencies: Vec::new() };
        let least = connections as u64 * 2;
        let mut runner = Self { side, progress: Progress::new(), connections, count: least, figures };
        let begin = Instant::now();
        while begin.elapsed() < warm_up {
            runner.load()?;
        }
        loop {
            let elapsed = runner.load()?.elapsed;
            if elapsed * 2 > time {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
                let fitting = (runner.count as f64 * time.as_secs_f64() / elapsed.as_secs_f64()) as u64;
                runner.count = fitting.max(least);
                return Ok(runner);
            }
            runner.count *= 2;
        }
    }

    /// A round; its figures are kept if it counts.
    fn run(&mut self, counts: bool) -> Result<()> {
        let before = self.side.subject.cpu_time()?;
        let outcome = self.load()?;
        let cpu = self.side.subject.cpu_time()?.saturating_sub(before);
        if counts {
            self.figures.cpu.push(cpu.div_f64(self.count as f64));
            self.figures.rates.push(self.count as f64 / outcome.elapsed.as_secs_f64());
            self.figures.latencies.extend(outcome.latencies);
        }
        Ok(())
    }

    fn load(&self) -> Result<Outcome> {
        self.progress.add(self.count);
        let repeating = || Repeating { kind: self.side.kind, progress: &self.progress };
        let mut sessions: Vec<Repeating<'_>> = (0..self.connections).map(|_| repeating()).collect();
        let port = self.side.subject.port();
        client::run(sessions.iter_mut().map(|session| (port, session as &mut dyn Session)).collect())
    }
}

impl Figures {
    /// CPU of the Envoy process for one request: the median of the rounds.
    pub(crate) fn cpu(&self) -> Duration {
        quantile(&self.cpu, 0.5)
    }

    /// Requests per second: the median of the rounds.
    pub(crate) fn rate(&self) -> f64 {
        median(&mut self.rates.clone())
    }

    /// The latency that this part of all requests did not exceed.
    pub(crate) fn latency(&self, part: f64) -> Duration {
        quantile(&self.latencies, part)
    }
}

impl Comparison {
    /// The median of the rounds' ratios.
    pub(crate) fn ratio(&self) -> f64 {
        self.ratios.at(0.5)
    }

    /// The ratio that this part of the rounds did not exceed.
    pub(crate) fn ratio_at(&self, part: f64) -> f64 {
        self.ratios.at(part)
    }

    /// The median of the ratios of the filter that only makes host calls.
    pub(crate) fn floor(&self) -> Option<f64> {
        self.floor.as_ref().map(|(_, ratios)| ratios.at(0.5))
    }

    /// The figures that are measured beside MetaHub's, if there are any.
    pub(crate) fn beside(&self) -> Option<&Figures> {
        self.floor.as_ref().map(|(figures, _)| figures)
    }
}

impl Ratios {
    fn of(figures: &Figures, base: &Figures) -> Self {
        let pairs = figures.cpu.iter().zip(&base.cpu);
        let mut ratios: Vec<f64> = pairs.map(|(one, base)| one.as_secs_f64() / base.as_secs_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        Self(ratios)
    }

    fn at(&self, part: f64) -> f64 {
        self.0.get(position(self.0.len(), part)).copied().unwrap_or_default()
    }
}
