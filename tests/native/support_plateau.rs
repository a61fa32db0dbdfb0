//! `make soak` tells a leak from a plateau.

use metahub_testkit::plateau::{Growth, growth};

#[test]
fn a_leak_is_growth_and_a_plateau_is_none() {
    let rows: [(&str, Vec<u64>, Growth); 7] = [
        ("nothing", vec![], Growth::TooFew),
        ("five rounds", vec![1, 2, 3, 4, 5], Growth::TooFew),
        ("a plateau after warming up", vec![10, 50, 80, 90, 90, 91, 90, 89, 91], Growth::By(0)),
        ("a spike", vec![90, 90, 90, 90, 90, 90, 90, 500, 90], Growth::By(0)),
        ("a leak of 10 a round", (0..9).map(|round| round * 10).collect(), Growth::By(30)),
        ("a leak beside spikes", vec![0, 10, 900, 30, 40, 900, 60, 70, 80], Growth::By(30)),
        ("one more VM that stays", vec![3, 3, 3, 3, 3, 3, 4, 4, 4], Growth::By(1)),
    ];
    for (name, samples, expected) in rows {
        assert_eq!(growth(&samples), expected, "{name}");
    }
}
