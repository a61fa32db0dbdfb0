use std::rc::Weak;

use super::*;
use crate::host::log_lines::collect;

/// A host that counts the calls into it. A request that waits is a number, and some have gone.
#[derive(Default)]
struct Fake {
    sent: RefCell<Vec<String>>,
    refuses: Option<NotSent<&'static str>>,
    ticking: Cell<bool>,
    /// Milliseconds; each delivery takes `slow` of them.
    now: Cell<u64>,
    slow: u64,
    gone: Option<fn(u32) -> bool>,
    delivered: RefCell<Vec<u32>>,
    statuses: RefCell<Vec<Option<u64>>>,
    /// Here a stream asks for "next" when it has an answer to something else.
    follow_up: RefCell<Weak<Callouts<Fake>>>,
}

impl Sender for Fake {
    type Waiting = u32;
    type Id = usize;
    type Error = &'static str;

    fn send(&self, callout: &Callout) -> Result<usize, NotSent<&'static str>> {
        if let Some(refusal) = self.refuses {
            return Err(refusal);
        }
        self.sent.borrow_mut().push(callout.cluster.clone());
        Ok(self.sent.borrow().len())
    }

    fn set_ticking(&self, ticking: bool) -> bool {
        assert_ne!(self.ticking.replace(ticking), ticking, "it is so already");
        true
    }

    fn time(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.now.get()))
    }

    fn deliver(&self, waiting: u32, outcome: &Outcome) -> bool {
        if self.gone.is_some_and(|gone| gone(waiting)) {
            return false;
        }
        self.now.set(self.now.get() + self.slow);
        self.delivered.borrow_mut().push(waiting);
        let status = match outcome {
            Outcome::Answered(answered) => answered.headers().number(":status"),
            Outcome::BrokeOff | Outcome::Overfull => None,
        };
        self.statuses.borrow_mut().push(status);
        if let Some(callouts) = self.follow_up.take().upgrade() {
            callouts.join(self, callout("next"), waiting, callouts.now()).unwrap();
        }
        true
    }
}

fn callout(cluster: &str) -> Callout {
    Callout { cluster: cluster.to_owned(), headers: vec![(":path", "/".to_owned())] }
}

fn answer(_size: usize) -> Option<(Vec<(String, Vec<u8>)>, Vec<u8>)> {
    Some((vec![(":status".to_owned(), b"200".to_vec())], b"x".to_vec()))
}

/// Lets this many requests wait for one answer, which is asked for.
fn crowd(host: &Fake, size: u32) -> Callouts<Fake> {
    let callouts = Callouts::default();
    (0..size).for_each(|waiting| callouts.join(host, callout("a"), waiting, callouts.now()).unwrap());
    assert!(host.ticking.get() && host.sent.borrow().is_empty(), "a stream cannot send it");
    callouts.on_tick(host);
    assert_eq!((host.sent.borrow().len(), host.ticking.get()), (1, false));
    callouts
}

#[test]
fn a_crowd_has_its_answer_in_batches() {
    let host = Fake::default();
    let callouts = crowd(&host, 150);
    callouts.answered(&host, 1, 1, answer);
    let mut batches = vec![host.delivered.borrow().len()];
    while host.ticking.get() {
        callouts.on_tick(&host);
        batches.push(host.delivered.borrow().len());
    }
    assert_eq!(batches, [64, 128, 150]);
    assert_eq!(*host.delivered.borrow(), (0..150).collect::<Vec<_>>());
}

#[test]
fn a_batch_ends_when_its_time_is_over() {
    let host = Fake { slow: 3, ..Fake::default() };
    let callouts = crowd(&host, 10);
    callouts.answered(&host, 1, 1, answer);
    assert_eq!(host.delivered.borrow().len(), 4, "the last begins after 9 ms");
    callouts.on_tick(&host);
    assert_eq!(host.delivered.borrow().len(), 8);
    assert!(host.ticking.get());
    // A clock that is set back ends a batch too, and does not hold up those that follow.
    host.now.set(1);
    callouts.on_tick(&host);
    assert!(host.delivered.borrow().len() == 10 && !host.ticking.get());
}

#[test]
fn clients_that_have_gone_take_no_place_in_a_batch() {
    let host = Fake { gone: Some(|waiting| waiting % 2 == 0), ..Fake::default() };
    let callouts = crowd(&host, 128);
    callouts.answered(&host, 1, 1, answer);
    assert_eq!((host.delivered.borrow().len(), host.ticking.get()), (64, true));
    callouts.on_tick(&host);
    assert_eq!((host.delivered.borrow().len(), host.ticking.get()), (64, false));
}

#[test]
fn what_a_delivery_leads_to_is_sent_with_the_next_tick() {
    for size in [1, SMALL + 1] {
        let host = Fake::default();
        let callouts = Rc::new(Callouts::default());
        callouts.join(&host, callout("first"), 1, callouts.now()).unwrap();
        callouts.on_tick(&host);
        *host.follow_up.borrow_mut() = Rc::downgrade(&callouts);
        callouts.answered(&host, 1, size, answer);
        // Within the callback of an answer Envoy is not done with that request. A large answer is delivered by a tick.
        assert!(host.ticking.get() && *host.sent.borrow() == ["first"], "{size}");
        callouts.on_tick(&host);
        assert_eq!(*host.sent.borrow(), ["first", "next"], "{size}");
        assert!(!host.ticking.get(), "nothing is left to do");
    }
}

#[test]
fn large_answers_and_those_behind_others_wait_for_a_tick() {
    let host = Fake::default();
    let callouts = Callouts::default();
    for (waiting, cluster) in [(1, "a"), (2, "b"), (3, "c")] {
        callouts.join(&host, callout(cluster), waiting, callouts.now()).unwrap();
    }
    callouts.on_tick(&host);
    callouts.answered(&host, 2, SMALL, answer);
    assert_eq!(*host.delivered.borrow(), [2], "at once");
    callouts.answered(&host, 3, SMALL + 1, answer);
    callouts.answered(&host, 1, 1, answer);
    assert!(host.delivered.borrow().len() == 1 && host.ticking.get());
    callouts.on_tick(&host);
    assert_eq!(*host.delivered.borrow(), [2, 3, 1]);
    assert!(!host.ticking.get());
}

#[test]
fn no_more_is_read_of_an_answer_than_tells_that_it_is_too_large() {
    let host = Fake::default();
    let (callouts, read) = (crowd(&host, 1), Cell::new(0));
    let take = |size| {
        read.set(size);
        answer(size)
    };
    callouts.answered(&host, 1, usize::MAX, take);
    assert_eq!(read.get(), MAX_MANIFEST + 1);
}

#[test]
fn a_stream_may_ask_for_something_while_an_answer_is_read() {
    let host = Fake::default();
    let callouts = crowd(&host, 1);
    callouts.answered(&host, 1, 1, |size| {
        callouts.join(&host, callout("b"), 7, callouts.now()).unwrap();
        answer(size)
    });
    assert_eq!(*host.delivered.borrow(), [0]);
    callouts.on_tick(&host);
    assert_eq!(*host.sent.borrow(), ["a", "b"]);
}

#[test]
fn an_answer_without_room_is_not_read() {
    let host = Fake::default();
    let callouts = Callouts::default();
    let long = "x".repeat(1024 * 1024);
    let fits = |waiting: &u32| callouts.join(&host, callout(&long), *waiting, callouts.now()).is_ok();
    assert!((0..1000).take_while(fits).count() > 10);
    callouts.on_tick(&host);
    callouts.answered(&host, 1, MAX_MANIFEST, |_| panic!("there is no room"));
    while host.ticking.get() {
        callouts.on_tick(&host);
    }
    assert!(host.statuses.borrow().len() > 10 && host.statuses.borrow().iter().all(Option::is_none));
}

#[test]
fn what_cannot_be_sent_is_logged_and_tells_a_busy_cluster_from_none() {
    for (refusal, status) in [(NotSent::Busy("busy"), Some(503)), (NotSent::Impossible("none"), None)] {
        let host = Fake { refuses: Some(refusal), ..Fake::default() };
        let callouts = Callouts::default();
        callouts.join(&host, callout("a"), 1, callouts.now()).unwrap();
        let ((), lines) = collect(|| callouts.on_tick(&host));
        assert_eq!(*host.statuses.borrow(), [status], "{refusal:?}");
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(line.level == log::Level::Error && line.text.contains("its cluster \"a\""), "{line:?}");
    }
}

#[test]
fn each_callout_may_be_sent_once_more_by_envoy() {
    let callout = callout("a");
    let sent: Vec<_> = headers(&callout).collect();
    assert_eq!(sent.first(), Some(&(":path", "/")));
    assert!(sent.contains(&("x-envoy-max-retries", "1")), "{sent:?}");
}
