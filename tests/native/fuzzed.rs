//! The fuzz targets with a fixed number of pseudo-random inputs, and with the files of `tests/fixtures`.
//!
//! A failing case is repeated with `cargo run --package metahub-fuzz --bin cases TARGET 1 NUMBER`.

/// Pseudo-random inputs for each target, in order.
fn cases(target: &str, cases: u64) {
    for number in 0..cases {
        println!("case {number} of {target}");
        metahub_fuzz::check(target, &metahub_fuzz::case(target, number));
    }
}

#[test]
fn any_bytes_are_read_safely() {
    for target in metahub_fuzz::TARGETS {
        if target.name != "flow" {
            cases(target.name, 500);
        }
    }
}

#[test]
fn fixtures_and_seeds_are_read_safely() {
    let folders = [("selection", "tests/fixtures/indexes".to_owned())];
    let seeds = metahub_fuzz::TARGETS.map(|target| (target.name, format!("fuzz/seeds/{}", target.name)));
    for (target, folder) in folders.into_iter().chain(seeds) {
        for file in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = file.unwrap().path();
            println!("{}", path.display());
            metahub_fuzz::check(target, &std::fs::read(path).unwrap());
        }
    }
}

/// With all events in any order, no client gets a document that it may not see, and each request has one end.
#[test]
fn the_flow_keeps_its_promises_under_any_events() {
    cases("flow", 300);
}
