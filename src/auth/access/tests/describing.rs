//! New descriptions: their budget at its bound, and what is known.

use std::cell::Cell;

use super::super::budget::DESCRIPTIONS;
use super::*;
use crate::hardware::feature::FeatureRules;
use crate::machine_type::described::Notation;
use crate::machine_type::{Fingerprint, MachineType};

/// Different for each number.
fn fingerprint(number: u32) -> Fingerprint {
    let text = format!("cpu=icelake,number={number}");
    MachineType::described(&text, Notation::Plain, &FeatureRules::default()).unwrap().fingerprint()
}

/// Seconds to wait and whether a line is due; `None` if it is let in.
fn describe(memory: &Map, number: u32, address: &str) -> Option<(u64, bool)> {
    let limit = admit(memory, fingerprint(number), &|| address.parse().ok()).err()?;
    assert_eq!(limit.scope, Scope::Descriptions);
    Some((limit.retry_after, limit.is_due))
}

#[test]
fn a_client_has_a_budget_of_new_descriptions() {
    let memory = Map::default();
    (0..DESCRIPTIONS).for_each(|number| assert_eq!(describe(&memory, number, "10.0.0.1"), None));
    memory.now.set(4);
    assert_eq!(describe(&memory, DESCRIPTIONS, "10.0.0.1"), Some((6, true)));
    assert_eq!(describe(&memory, DESCRIPTIONS, "10.0.0.1"), Some((6, false)), "one line a window");
    assert_eq!(describe(&memory, DESCRIPTIONS + 1, "10.0.0.1"), Some((6, false)));
    (0..DESCRIPTIONS).for_each(|number| assert_eq!(describe(&memory, number, "10.0.0.1"), None, "known"));
    assert_eq!(describe(&memory, DESCRIPTIONS, "10.0.0.2"), None, "another client");
    assert_eq!(describe(&memory, DESCRIPTIONS, "10.0.0.1"), None, "known by another client");
    memory.now.set(10);
    assert_eq!(describe(&memory, DESCRIPTIONS + 1, "10.0.0.1"), None, "the window is over");
}

#[test]
fn only_new_descriptions_ask_for_the_address() {
    let (memory, asked) = (Map::default(), Cell::new(0));
    for _ in 0..3 {
        let address = || {
            asked.set(asked.get() + 1);
            None
        };
        assert_eq!(admit(&memory, fingerprint(1), &address), Ok(()));
    }
    assert_eq!(asked.get(), 1);
}

/// Wrong passwords and descriptions are counted apart.
#[test]
fn descriptions_use_up_no_logins() {
    let (memory, config) = (Map::default(), config(&["one"]));
    (0..=DESCRIPTIONS).for_each(|number| {
        describe(&memory, number, "10.0.0.1");
    });
    assert_eq!(attempt(&memory, &config, "user", "wrong"), REJECTED);
}

#[test]
fn the_memory_of_descriptions_is_bounded_and_keeps_a_fleets() {
    let memory = Map::default();
    (0..100).for_each(|number| assert_eq!(describe(&memory, number, "10.0.0.1"), None, "a fleet of 100 kinds"));
    for number in 0..5_000 {
        describe(&memory, 1_000_000 + number, &format!("10.1.{}.{}", number / 250, number % 250));
    }
    memory.now.set(20);
    (0..DESCRIPTIONS).for_each(|number| {
        describe(&memory, 2_000_000 + number, "10.0.0.1");
    });
    (0..100).for_each(|number| assert_eq!(describe(&memory, number, "10.0.0.1"), None, "still known"));
    let slots = |memory: &Map| -> Vec<usize> {
        let values = memory.values.borrow();
        values.iter().filter(|(key, _)| key.starts_with("metahub.described.")).map(|(_, value)| value.len()).collect()
    };
    for number in 0..20_000 {
        memory.now.set(30 + u64::from(number));
        describe(&memory, 3_000_000 + number, "10.0.0.1");
    }
    let slots = slots(&memory);
    assert!(slots.len() <= 1024 && slots.iter().all(|length| *length <= 256), "{}", slots.len());
}

/// Clients at many addresses make up as many machines as there is room for, while a fleet asks now and then.
#[test]
fn what_is_in_use_stays_known() {
    const FLEET: u32 = 20;
    let memory = Map::default();
    (0..FLEET).for_each(|number| assert_eq!(describe(&memory, number, "10.0.0.1"), None));
    (0..DESCRIPTIONS).for_each(|number| assert_eq!(describe(&memory, 2_000_000 + number, "10.0.0.2"), None));
    for number in 1..=16_384 {
        let made_up = 1_000_000 + number;
        assert_eq!(describe(&memory, made_up, &format!("10.1.{}.{}", number / 25_600, number / 100 % 256)), None);
        if number % 1_024 == 0 {
            let ask = |number| describe(&memory, number, "10.0.0.2");
            (0..FLEET).for_each(|number| assert_eq!(ask(number), None, "its client has no budget left"));
        }
    }
}

#[test]
fn a_description_is_let_in_without_randomness_and_when_others_are_faster() {
    let mute = Map { mute: true, ..Map::default() };
    (0..2 * DESCRIPTIONS).for_each(|number| assert_eq!(describe(&mute, number, "10.0.0.1"), None));
    let memory = Map::default();
    assert_eq!(describe(&memory, 1, "10.0.0.1"), None);
    memory.lost.set(u32::MAX);
    assert_eq!(describe(&memory, 2, "10.0.0.1"), None);
}
