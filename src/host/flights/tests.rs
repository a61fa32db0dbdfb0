use super::*;

fn callout(path: &str) -> Callout {
    Callout { cluster: "registry".to_owned(), headers: vec![(":path", path.to_owned())] }
}

fn answer(body: &[u8]) -> Answered {
    Answered { headers: vec![(":status".to_owned(), b"200".to_vec())], body: body.to_vec().into() }
}

fn send_all(flights: &mut Flights<u32, u32>, from: u32) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some((id, callout)) = flights.next_to_send() {
        flights.sent(id, from + u32::try_from(sent.len()).unwrap());
        sent.push(callout.headers[0].1.clone());
    }
    sent
}

fn deliver_all(flights: &mut Flights<u32, u32>) -> Vec<u32> {
    std::iter::from_fn(|| flights.next_delivery()).map(|(waiting, _)| waiting).collect()
}

#[test]
fn identical_callouts_are_sent_once_and_answered_in_order() {
    let mut flights = Flights::default();
    for waiting in 0..5000 {
        flights.join(callout(if waiting % 2 == 0 { "even" } else { "odd" }), waiting, flights.now()).unwrap();
    }
    assert_eq!(send_all(&mut flights, 7), ["even", "odd"]);
    assert!(!flights.is_busy(), "all is sent, nothing is answered");
    flights.answered(8, 3, || Some(answer(b"odd")));
    flights.answered(7, 4, || Some(answer(b"even")));
    assert!(flights.is_busy());
    let (first, outcome) = flights.next_delivery().unwrap();
    let (second, other) = flights.next_delivery().unwrap();
    assert_eq!((first, second), (1, 3));
    let (Outcome::Answered(one), Outcome::Answered(another)) = (outcome, other) else { panic!() };
    assert!(Rc::ptr_eq(&one, &another), "not copied");
    assert_eq!(deliver_all(&mut flights), (5..5000).step_by(2).chain((0..5000).step_by(2)).collect::<Vec<_>>());
    assert!(!flights.is_busy());
    assert_eq!(flights.held(), 0);
    assert!(flights.by_callout.is_empty() && flights.by_id.is_empty() && flights.flights.is_empty());
}

#[test]
fn an_answer_is_for_those_who_asked_before_it_came() {
    let mut flights = Flights::default();
    let early = flights.now();
    flights.join(callout("tag"), 1, early).unwrap();
    assert_eq!(send_all(&mut flights, 1), ["tag"]);
    flights.answered(1, 1, || Some(answer(b"x")));
    // One request waited for something else meanwhile, a token for example; the other is new.
    flights.join(callout("tag"), 2, early).unwrap();
    flights.join(callout("tag"), 3, flights.now()).unwrap();
    assert_eq!(deliver_all(&mut flights), [1, 2], "the answer came before the third's request");
    assert_eq!(send_all(&mut flights, 2), ["tag"]);
    flights.join(callout("tag"), 4, early).unwrap();
    flights.answered(2, 1, || Some(answer(b"x")));
    assert_eq!(deliver_all(&mut flights), [3, 4]);
    flights.join(callout("tag"), 5, early).unwrap();
    assert_eq!(send_all(&mut flights, 3), ["tag"], "that answer was delivered to all and is gone");
    flights.answered(3, 1, || Some(answer(b"z")));
    assert_eq!(deliver_all(&mut flights), [5]);
    assert!(flights.by_callout.is_empty());
}

#[test]
fn what_waits_is_bounded() {
    let mut flights = Flights::default();
    let long = "x".repeat(90 * 1024);
    let most = u32::try_from(MAX_HELD / (PER_WAITING + COPIES * long.len())).unwrap();
    let mut fits =
        |waiting: &u32| flights.join(callout(&format!("{waiting}{long}")), *waiting, Moment::default()).is_ok();
    let waiting = u32::try_from((0..2 * most).take_while(&mut fits).count()).unwrap();
    assert!((most - 2..=most).contains(&waiting), "{waiting} of {most}");
    assert!(flights.held() <= MAX_HELD);
    // An answer for which there is no room is not even read.
    send_all(&mut flights, 0);
    flights.answered(0, 4 * 1024 * 1024, || panic!("there is no room"));
    assert!(matches!(flights.next_delivery(), Some((0, Outcome::Overfull))));
    (1..waiting).for_each(|token| flights.answered(token, 0, || None));
    assert!(matches!(flights.next_delivery(), Some((1, Outcome::BrokeOff))));
    deliver_all(&mut flights);
    assert_eq!(flights.held(), 0);
}

#[test]
fn five_thousand_fit() {
    let mut flights = Flights::<_, u32>::default();
    for waiting in 0..16_000 {
        flights.join(callout(&"x".repeat(1000)), waiting, Moment::default()).unwrap();
    }
}

#[test]
fn what_cannot_be_sent_has_broken_off() {
    let mut flights = Flights::default();
    flights.join(callout("a"), 1, Moment::default()).unwrap();
    let (id, _) = flights.next_to_send().unwrap();
    flights.not_sent(id, Outcome::BrokeOff);
    assert!(matches!(flights.next_delivery(), Some((1, Outcome::BrokeOff))));
    flights.answered(99, 0, || panic!("nobody asked"));
    assert!(flights.next_delivery().is_none());
}

#[test]
fn an_answer_is_held_until_all_have_it() {
    let mut flights = Flights::default();
    (0..2).for_each(|waiting| flights.join(callout("tag"), waiting, Moment::default()).unwrap());
    send_all(&mut flights, 0);
    let requests = flights.held();
    flights.answered(0, 1000, || Some(answer(b"x")));
    flights.next_delivery().unwrap();
    assert_eq!(flights.held(), requests + 1000);
    assert_eq!(deliver_all(&mut flights), [1]);
    assert_eq!(flights.held(), 0);
}
