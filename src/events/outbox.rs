//! The events that one worker has to post: lines that wait, and one batch that is posted until the receiver has it.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

/// The most lines that wait.
pub const MAX_EVENTS: usize = 512;
/// The most bytes of lines that wait.
pub const MAX_BYTES: usize = 256 * 1024;
/// The most lines of one batch.
pub const BATCH_EVENTS: usize = 100;
/// The most bytes of one batch. A longer line is not taken.
pub const BATCH_BYTES: usize = 64 * 1024;
/// The least time between two posts.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// The time after which no answer comes any more. Envoy's own limit is shorter, but an answer goes astray with the root
/// context that has posted, if a reload replaces it.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How often a batch is posted at most. With [`MAX_PAUSE`] that takes about an hour, after which its events are due
/// again anyway.
pub const MAX_ATTEMPTS: u32 = 20;
/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// The receiver's answer to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has the batch.
    Accepted,
    /// It will never take this batch.
    Refused,
    /// It could not be reached, or could not take the batch now.
    Failed,
}

impl Verdict {
    /// The verdict of an answer with this status; `None` where there is no answer. 400, 413 and 422 are about the
    /// batch. All else may be over soon: a receiver that is being deployed, a secret that is being rotated.
    #[must_use]
    pub const fn of(status: Option<u16>) -> Self {
        match status {
            Some(200..=299) => Self::Accepted,
            Some(400 | 413 | 422) => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// The consequences of an answer, in numbers to be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Events that the receiver has.
    pub sent: u64,
    /// Posts that failed.
    pub failed: u64,
    /// Events that are given up.
    pub dropped: u64,
}

/// Lines that are posted together.
#[derive(Debug)]
struct Batch {
    body: String,
    events: u64,
    attempts: u32,
}

#[derive(Debug, Default)]
enum State {
    /// No batch is made.
    #[default]
    Empty,
    /// A batch waits for its next attempt.
    Failed(Batch),
    /// A batch was posted at this time, and is not answered.
    Posted(Batch, Duration),
}

/// Time that has to pass.
#[derive(Debug, Default)]
struct Pause {
    since: Duration,
    length: Duration,
}

impl Pause {
    /// Whether it is over. A clock that was set back ends it.
    fn is_over(&self, now: Duration) -> bool {
        now.checked_sub(self.since).is_none_or(|passed| passed >= self.length)
    }
}

/// The events of one worker for one receiver. All times are since the Unix epoch.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<String>,
    /// The length of all lines in `queue`.
    bytes: usize,
    state: State,
    pause: Pause,
}

impl Outbox {
    /// Takes up a line; returns whether there was room for it.
    pub fn push(&mut self, line: String) -> bool {
        let fits = line.len() <= BATCH_BYTES && self.queue.len() < MAX_EVENTS && self.bytes + line.len() <= MAX_BYTES;
        if fits {
            self.bytes += line.len();
            self.queue.push_back(line);
        }
        fits
    }

    /// The batch that is to be posted now, if there is one; it counts as posted.
    pub fn next(&mut self, now: Duration) -> Option<&str> {
        if !self.pause.is_over(now) {
            return None;
        }
        let mut batch = match mem::take(&mut self.state) {
            State::Failed(batch) => batch,
            State::Empty => self.batch()?,
            posted @ State::Posted(..) => {
                self.state = posted;
                return None;
            }
        };
        batch.attempts += 1;
        self.pause = Pause { since: now, length: INTERVAL };
        self.state = State::Posted(batch, now);
        if let State::Posted(batch, _) = &self.state { Some(&batch.body) } else { None }
    }

    /// Whether the answer to what was posted should be here and is not.
    #[must_use]
    pub fn is_overdue(&self, now: Duration) -> bool {
        matches!(self.state, State::Posted(_, since) if Pause { since, length: ANSWER_WITHIN }.is_over(now))
    }

    /// The batch that was posted has this verdict. `jitter` is a random number, so that the receiver does not get the
    /// batches of all workers at once when it is back.
    pub fn answered(&mut self, now: Duration, verdict: Verdict, jitter: u16) -> Settled {
        let batch = match mem::take(&mut self.state) {
            State::Posted(batch, _) => batch,
            state => {
                self.state = state;
                return Settled::default();
            }
        };
        let events = batch.events;
        match verdict {
            Verdict::Accepted => Settled { sent: events, ..Settled::default() },
            Verdict::Failed if batch.attempts < MAX_ATTEMPTS => {
                self.pause = Pause { since: now, length: pause(batch.attempts, jitter) };
                self.state = State::Failed(batch);
                Settled { failed: 1, ..Settled::default() }
            }
            Verdict::Failed | Verdict::Refused => Settled { sent: 0, failed: 1, dropped: events },
        }
    }

    /// Gives up everything; returns how many events that were.
    pub fn give_up(&mut self) -> u64 {
        let batch = match mem::take(&mut self.state) {
            State::Empty => 0,
            State::Failed(batch) | State::Posted(batch, _) => batch.events,
        };
        self.bytes = 0;
        batch + mem::take(&mut self.queue).len() as u64
    }

    /// Takes lines out of the queue, as many as one batch may have.
    fn batch(&mut self) -> Option<Batch> {
        let mut body = String::new();
        let mut events = 0;
        while (events as usize) < BATCH_EVENTS
            && let Some(line) = self.queue.pop_front_if(|line| body.len() + line.len() <= BATCH_BYTES)
        {
            body.push_str(&line);
            events += 1;
        }
        self.bytes = self.bytes.saturating_sub(body.len());
        (events > 0).then_some(Batch { body, events, attempts: 0 })
    }
}

/// The pause after so many attempts: it doubles from 2 s on, up to [`MAX_PAUSE`], and between half of that and all of
/// it is taken.
fn pause(attempts: u32, jitter: u16) -> Duration {
    let longest = Duration::from_secs(2).saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(MAX_PAUSE);
    let part = longest / 2 * u32::from(jitter) / u32::from(u16::MAX);
    (longest / 2 + part).max(INTERVAL)
}

#[cfg(test)]
mod tests;
