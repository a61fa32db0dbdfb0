use super::*;

const START: Duration = Duration::from_secs(1_790_000_000);

fn line(number: usize) -> String {
    format!("{{\"number\":{number}}}\n")
}

fn after(seconds: u64) -> Duration {
    START + Duration::from_secs(seconds)
}

fn with(lines: usize) -> Outbox {
    let mut outbox = Outbox::default();
    (0..lines).for_each(|number| assert!(outbox.push(line(number))));
    outbox
}

#[test]
fn what_waits_is_posted_together_one_batch_at_a_time() {
    let mut outbox = with(3);
    assert_eq!(outbox.next(START).unwrap(), [line(0), line(1), line(2)].concat());
    assert!(outbox.push(line(3)));
    assert_eq!(outbox.next(after(10)), None, "one is under way");
    let settled = outbox.answered(after(10), Verdict::Accepted, 0);
    assert_eq!(settled, Settled { sent: 3, failed: 0, dropped: 0 });
    assert_eq!(outbox.next(after(10)).unwrap(), line(3));
    outbox.answered(after(10), Verdict::Accepted, 0);
    assert_eq!(outbox.next(after(20)), None, "nothing is left");
    assert_eq!(outbox.give_up(), 0);
}

#[test]
fn there_is_one_post_a_second_at_most() {
    let mut outbox = with(BATCH_EVENTS + 1);
    assert_eq!(outbox.next(START).unwrap().lines().count(), BATCH_EVENTS);
    outbox.answered(START, Verdict::Accepted, 0);
    let almost = START + Duration::from_millis(999);
    assert_eq!(outbox.next(almost), None);
    assert!(outbox.next(after(1)).is_some());
    // Nor more where batches are refused.
    outbox.push(line(0));
    outbox.answered(after(1), Verdict::Refused, 0);
    assert_eq!(outbox.next(after(1)), None);
}

#[test]
fn what_waits_is_bounded_in_lines_and_bytes() {
    let mut outbox = with(MAX_EVENTS);
    assert!(!outbox.push(line(0)));
    assert_eq!(outbox.give_up(), MAX_EVENTS as u64);

    let mut outbox = Outbox::default();
    assert!(!outbox.push("x".repeat(BATCH_BYTES + 1)), "a line that no batch can hold");
    let long = "x".repeat(BATCH_BYTES / 2 + 1);
    let taken = (0..100).filter(|_| outbox.push(long.clone())).count();
    assert_eq!(taken, MAX_BYTES / long.len());
    // Two of them do not fit in one batch.
    assert_eq!(outbox.next(START).map(str::len), Some(long.len()));
    assert!(outbox.push(long.clone()), "what is posted makes room");
    assert!(!outbox.push(long));
}

#[test]
fn a_batch_that_failed_is_tried_again_after_longer_and_longer_pauses() {
    let mut outbox = with(2);
    let (mut now, mut pauses) = (START, Vec::new());
    let body = outbox.next(now).unwrap().to_owned();
    loop {
        // No jitter: the shortest pause.
        let settled = outbox.answered(now, Verdict::Failed, 0);
        assert_eq!((settled.sent, settled.failed), (0, 1));
        if settled.dropped > 0 {
            assert_eq!(settled.dropped, 2);
            break;
        }
        assert!(outbox.push(line(9)) || pauses.len() > 9, "others wait behind it");
        let failed = now;
        while outbox.next(now).is_none() {
            now += Duration::from_millis(500);
        }
        assert!(!outbox.is_overdue(now));
        pauses.push((now - failed).as_millis());
        if let State::Posted(batch, _) = &outbox.state {
            assert_eq!(batch.body, body);
        }
    }
    assert_eq!(pauses.len(), MAX_ATTEMPTS as usize - 1);
    assert_eq!(pauses[..9], [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 150_000]);
    assert!(pauses[9..].iter().all(|pause| *pause == 150_000));
    assert_eq!(outbox.next(now + Duration::from_secs(1)).unwrap(), line(9).repeat(pauses.len()));
}

#[test]
fn pauses_are_between_half_and_all_of_their_length() {
    let jitters = [0, 1, 1000, u16::MAX / 2, u16::MAX];
    for attempts in 1..=MAX_ATTEMPTS {
        let pauses = jitters.map(|jitter| pause(attempts, jitter));
        assert!(pauses.is_sorted(), "{attempts}");
        assert_eq!(pauses[4], pauses[0] * 2, "{attempts}");
        assert!(pauses[4] <= MAX_PAUSE && pauses[0] >= INTERVAL, "{attempts}");
    }
    // About an hour in all, whatever the jitter: then the events are due again.
    let all: Duration = (1..MAX_ATTEMPTS).map(|attempts| pause(attempts, u16::MAX)).sum();
    assert!((1800..4200).contains(&all.as_secs()), "{all:?}");
}

#[test]
fn what_the_receiver_says_about_the_batch_itself_is_final() {
    let rows = [
        (Some(200), Verdict::Accepted),
        (Some(202), Verdict::Accepted),
        (Some(204), Verdict::Accepted),
        (Some(400), Verdict::Refused),
        (Some(413), Verdict::Refused),
        (Some(422), Verdict::Refused),
        (Some(302), Verdict::Failed),
        (Some(401), Verdict::Failed),
        (Some(404), Verdict::Failed),
        (Some(429), Verdict::Failed),
        (Some(500), Verdict::Failed),
        (Some(503), Verdict::Failed),
        (None, Verdict::Failed),
    ];
    for (status, verdict) in rows {
        assert_eq!(Verdict::of(status), verdict, "{status:?}");
    }
    let mut outbox = with(5);
    outbox.next(START);
    let settled = outbox.answered(START, Verdict::Refused, 0);
    assert_eq!(settled, Settled { sent: 0, failed: 1, dropped: 5 });
}

#[test]
fn an_answer_that_does_not_come_is_missed() {
    let mut outbox = with(1);
    assert!(!outbox.is_overdue(after(100)));
    outbox.next(START);
    assert!(!outbox.is_overdue(after(19)) && outbox.is_overdue(after(20)));
    outbox.answered(after(20), Verdict::Failed, 0);
    assert_eq!(outbox.answered(after(21), Verdict::Accepted, 0), Settled::default(), "too late");
    assert!(outbox.next(after(22)).is_some());
}

#[test]
fn a_clock_that_was_set_back_stops_nothing() {
    let mut outbox = with(1);
    outbox.next(START);
    assert!(outbox.is_overdue(Duration::from_secs(5)));
    outbox.answered(START, Verdict::Failed, u16::MAX);
    assert!(outbox.next(Duration::from_secs(5)).is_some());
}

#[test]
fn everything_is_given_up_at_once() {
    let mut outbox = with(2);
    outbox.next(START);
    outbox.push(line(2));
    assert_eq!(outbox.give_up(), 3);
    assert_eq!(outbox.answered(START, Verdict::Accepted, 0), Settled::default());
    assert!(outbox.push("x".repeat(BATCH_BYTES)), "it holds nothing any more");
}
