//! The events of one worker on their way to the receiver. Requests only queue them; a tick of the worker's root context
//! posts them, so that no request waits for the receiver, or ends with it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::log_limit::is_due;
use crate::config::Config;
use crate::events::{INTERVAL, Outbox, Receiver, Settled, Verdict};
use crate::flow::Counter;
use crate::store::resources::Resources;

/// The host's part in posting events.
pub trait PostHost {
    /// The host's name for a post, by which it announces the answer.
    type Id: Copy + PartialEq;

    /// Posts a body, in the name of the worker; `None` if the host cannot. It is answered after this has returned.
    fn post(&self, receiver: &Receiver, body: &str) -> Option<Self::Id>;
    /// The time since the Unix epoch.
    fn time(&self) -> Option<Duration>;
    /// The store that all workers share, the clock, and randomness.
    fn resources(&self) -> &dyn Resources;
    /// [`Host::count`](super::Host::count).
    fn count(&self, counter: Counter, amount: i64);
}

/// The events of one worker for one receiver. Configurations that name the same receiver share it, so that a reload
/// loses none.
pub struct Poster<I> {
    receiver: Receiver,
    outbox: RefCell<Outbox>,
    /// The post under way.
    posted: Cell<Option<I>>,
}

/// The posters of one worker.
pub struct Posters<I>(RefCell<Vec<Weak<Poster<I>>>>);

impl<I> Default for Posters<I> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<I> Posters<I> {
    /// The poster for the receiver of a configuration; `None` if the configuration has none.
    pub fn of(&self, config: &Config) -> Option<Rc<Poster<I>>> {
        let receiver = config.events()?;
        let mut posters = self.0.borrow_mut();
        posters.retain(|poster| poster.strong_count() > 0);
        if let Some(poster) = posters.iter().filter_map(Weak::upgrade).find(|poster| poster.receiver == *receiver) {
            return Some(poster);
        }
        let poster =
            Rc::new(Poster { receiver: receiver.clone(), outbox: RefCell::default(), posted: Cell::new(None) });
        posters.push(Rc::downgrade(&poster));
        Some(poster)
    }
}

impl<I: Copy + PartialEq> Poster<I> {
    /// The time between two calls of [`Poster::on_tick`].
    pub const TICK: Duration = INTERVAL;

    /// Queues a line; returns whether there was room for it.
    pub fn push(&self, line: String) -> bool {
        self.outbox.borrow_mut().push(line)
    }

    /// Posts a batch if one is due. May be called more often than once in [`Poster::TICK`].
    pub fn on_tick(&self, host: &impl PostHost<Id = I>) {
        let Some(now) = host.time() else { return };
        if self.outbox.borrow().is_overdue(now) {
            self.settle(host, now, None);
        }
        // No borrow may last while the host is called.
        let Some(body) = self.outbox.borrow_mut().next(now).map(str::to_owned) else { return };
        let posted = host.post(&self.receiver, &body);
        self.posted.set(posted);
        if posted.is_none() {
            self.settle(host, now, None);
        }
    }

    /// A callout of this worker is answered; returns whether it was this poster's. `status` reads the answer's, and is
    /// not called otherwise; `None` if there is no answer.
    pub fn answered(&self, host: &impl PostHost<Id = I>, id: I, status: impl FnOnce() -> Option<u16>) -> bool {
        if self.posted.get() != Some(id) {
            return false;
        }
        self.settle(host, host.time().unwrap_or_default(), status());
        true
    }

    /// Counts what is given up if nothing else uses this poster: its configuration ends.
    pub fn end(self: &Rc<Self>, host: &impl PostHost<Id = I>) {
        if Rc::strong_count(self) == 1 {
            count(host, Counter::EventsDropped, self.outbox.borrow_mut().give_up());
        }
    }

    fn settle(&self, host: &impl PostHost<Id = I>, now: Duration, status: Option<u16>) {
        self.posted.set(None);
        let [low, high, ..] = host.resources().random().unwrap_or_default();
        let jitter = u16::from_le_bytes([low, high]);
        let Settled { sent, failed, dropped } = self.outbox.borrow_mut().answered(now, Verdict::of(status), jitter);
        let counts = [(Counter::EventsSent, sent), (Counter::EventsFailed, failed), (Counter::EventsDropped, dropped)];
        counts.into_iter().for_each(|(counter, amount)| count(host, counter, amount));
        if failed > 0 && is_due(host.resources(), Some("events")) {
            self.log(status, dropped);
        }
    }

    /// One line, without the header that the receiver knows MetaHub by.
    fn log(&self, status: Option<u16>, dropped: u64) {
        let Receiver { cluster, host, .. } = &self.receiver;
        let problem = status.map_or("cannot be reached".to_owned(), |status| format!("answered {status}"));
        let next = if dropped > 0 { format!("{dropped} events are dropped") } else { "trying again later".to_owned() };
        log::warn!("events: the receiver {host} (Envoy cluster {cluster:?}) {problem}; {next}");
    }
}

fn count(host: &impl PostHost, counter: Counter, amount: u64) {
    if amount > 0 {
        host.count(counter, i64::try_from(amount).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests;
