//! Parsing and selecting, timed: `cargo bench --bench selection`.
//!
//! Prints the fastest of many runs. Targets: 1 ms natively for selecting from 1,000 entries for a type of 20 features.

mod indexes;

use std::hint::black_box;
use std::time::{Duration, Instant};

use indexes::{description, index, padded};
use metahub::feature::FeatureRules;
use metahub::index::Index;
use metahub::machine_type::MachineType;
use metahub::select::{Selection, select};

/// What the entries point to.
const TARGET: (&str, usize) = ("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 1000);

fn main() {
    let rules = FeatureRules::default();
    let types = [machine("4 features", 4, &rules), machine("20 features", 20, &rules)];
    println!("{:<28}{:>12}{:>12}{:>16}{:>16}", "index", "bytes", "parse", "select 4 f.", "select 20 f.");
    for entries in [4, 100, 1_000] {
        row(&format!("{entries} entries"), &index(entries, 4, TARGET), &types);
    }
    row("1,000 entries, 20 features", &index(1_000, 20, TARGET), &types);
    row("4 MiB, 10,000 entries", &padded(index(10_000, 4, TARGET)), &types);
    row("4 MiB, 4 entries", &padded(index(4, 4, TARGET)), &types);
    let description = description(20);
    let time = fastest(|| (0..1_000).filter(|_| MachineType::new("t", &description, &rules).is_ok()).count());
    println!("1,000 machine types of 20 features: {time:?}");
    let machine = fastest(|| MachineType::new("t", &description, &rules).map(|machine| machine.fingerprint()));
    println!("one machine type with fingerprint: {machine:?}");
}

fn machine(name: &'static str, features: usize, rules: &FeatureRules) -> (&'static str, MachineType) {
    match MachineType::new("bench", &description(features), rules) {
        Ok(machine) => (name, machine),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1)
        }
    }
}

fn row(name: &str, text: &str, types: &[(&str, MachineType)]) {
    let index = match Index::parse(text.as_bytes()) {
        Ok(index) => index,
        Err(error) => {
            eprintln!("{name}: {error}");
            std::process::exit(1)
        }
    };
    let parse = fastest(|| Index::parse(black_box(text.as_bytes())));
    print!("{name:<28}{:>12}{:>12}", text.len(), format!("{parse:.1?}"));
    for (_, machine) in types {
        let time =
            fastest(|| matches!(black_box(select(black_box(&index), machine)), Selection::NotAnImageIndex));
        print!("{:>16}", format!("{time:.1?}"));
    }
    println!();
}

/// The fastest of many runs, at least 11 and for 200 ms: what else the machine does only ever adds time.
fn fastest<T>(mut run: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 11 || start.elapsed() < Duration::from_millis(200) {
        let start = Instant::now();
        black_box(run());
        times.push(start.elapsed());
    }
    times.sort();
    times.first().copied().unwrap_or_default()
}
