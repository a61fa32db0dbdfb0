//! One row of the table: two Envoys asked in turn, and what each request cost them.

use std::time::Duration;

use crate::client::{self, Outcome, Session};
use crate::report::median;
use crate::requests::{Kind, Progress, Repeating};
use crate::subject::Subject;
use crate::support::Result;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Rounds that count; one more goes before them.
    pub(crate) rounds: usize,
    /// What a round of one Envoy takes, about.
    pub(crate) round: Duration,
}

/// One of the two Envoys of a row, and what it is asked.
pub(crate) struct Side<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) kind: Kind,
}

/// What one Envoy showed.
pub(crate) struct Figures {
    /// Of each round, in its order: CPU of the Envoy process for one request.
    cpu: Vec<Duration>,
    rates: Vec<f64>,
    latencies: Vec<Duration>,
}

/// What a row showed: the Envoy that is compared with, and the one that is measured.
pub(crate) struct Comparison {
    pub(crate) base: Figures,
    pub(crate) measured: Figures,
    /// Of each round, the measured one's CPU for a request divided by the other's; in ascending order.
    ratios: Vec<f64>,
}

/// A side with its count of requests.
struct Runner<'a> {
    side: &'a Side<'a>,
    progress: Progress,
    connections: usize,
    figures: Figures,
}

/// Asks both in turn. The order within a round alternates, so that neither is always the one that comes second.
pub(crate) fn compare(base: &Side<'_>, measured: &Side<'_>, connections: usize, effort: Effort) -> Result<Comparison> {
    let mut base = Runner::new(base, connections);
    let mut measured = Runner::new(measured, connections);
    let (base_count, count) = (base.calibrate(effort.round)?, measured.calibrate(effort.round)?);
    let mut ratios = Vec::new();
    for round in 0..=effort.rounds {
        let (ours, theirs) = if round % 2 == 0 {
            let theirs = base.run(base_count)?;
            (measured.run(count)?, theirs)
        } else {
            (measured.run(count)?, base.run(base_count)?)
        };
        if round > 0 {
            ratios.push(ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64());
            base.figures.add(theirs);
            measured.figures.add(ours);
        }
    }
    ratios.sort_by(f64::total_cmp);
    Ok(Comparison { base: base.figures, measured: measured.figures, ratios })
}

/// A round of one side.
struct Round {
    cpu: Duration,
    rate: f64,
    latencies: Vec<Duration>,
}

impl<'a> Runner<'a> {
    fn new(side: &'a Side<'a>, connections: usize) -> Self {
        let figures = Figures { cpu: Vec::new(), rates: Vec::new(), latencies: Vec::new() };
        Self { side, progress: Progress::new(), connections, figures }
    }

    /// How many requests take about that long; warms up on the way.
    fn calibrate(&self, time: Duration) -> Result<u64> {
        let least = self.connections as u64 * 2;
        let mut count = least;
        loop {
            let elapsed = self.load(count)?.elapsed;
            if elapsed * 2 > time {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
                let count = (count as f64 * time.as_secs_f64() / elapsed.as_secs_f64()) as u64;
                return Ok(count.max(least));
            }
            count *= 2;
        }
    }

    fn run(&self, count: u64) -> Result<Round> {
        let before = self.side.subject.cpu_time()?;
        let outcome = self.load(count)?;
        let cpu = self.side.subject.cpu_time()?.saturating_sub(before);
        let rate = count as f64 / outcome.elapsed.as_secs_f64();
        Ok(Round { cpu: cpu.div_f64(count as f64), rate, latencies: outcome.latencies })
    }

    fn load(&self, count: u64) -> Result<Outcome> {
        self.progress.add(count);
        let repeating = || Repeating { kind: &self.side.kind, progress: &self.progress };
        let mut sessions: Vec<Repeating<'_>> = (0..self.connections).map(|_| repeating()).collect();
        let port = self.side.subject.port();
        client::run(sessions.iter_mut().map(|session| (port, session as &mut dyn Session)).collect())
    }
}

impl Figures {
    fn add(&mut self, round: Round) {
        self.cpu.push(round.cpu);
        self.rates.push(round.rate);
        self.latencies.extend(round.latencies);
    }

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
        self.ratio_at(0.5)
    }

    /// The ratio that this part of the rounds did not exceed.
    pub(crate) fn ratio_at(&self, part: f64) -> f64 {
        self.ratios.get(position(self.ratios.len(), part)).copied().unwrap_or_default()
    }
}

/// The time that this part of all did not exceed.
pub(crate) fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(position(times.len(), part)).copied().unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the count")]
fn position(count: usize, part: f64) -> usize {
    (count.saturating_sub(1) as f64 * part).round() as usize
}
