//! Parsing, selecting and hashing, timed: `cargo bench -p metahub-bench --bench selection`.
//!
//! Prints the fastest of many runs, and the memory that parsing takes. Target: 1 ms natively for selecting from 1,000
//! entries for a type of 20 features.

use std::hint::black_box;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metahub::hardware::feature::FeatureRules;
use metahub::machine_type::MachineType;
use metahub::oci::digest::Digest;
use metahub::oci::index::{Index, MAX_BYTES};
use metahub::select::OnNoMatch;
use metahub::select::explanation::{Explanation, Image};
use metahub::select::{Selection, missing_variants, select};
use metahub_bench::indexes::{description, index, lists, padded};

/// The image that the entries point to.
const TARGET: (&str, usize) = ("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 1000);

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != MEMORY).skip(1);
    if let Some(entries) = arguments.next().and_then(|entries| entries.parse().ok()) {
        return println!("{}", peak_of(entries));
    }
    let rules = FeatureRules::default();
    let types = [machine("4 features", 4, &rules), machine("20 features", 20, &rules)];
    println!(
        "{:<28}{:>12}{:>12}{:>12}{:>16}{:>16}{:>14}",
        "index", "bytes", "sha256", "parse", "select 4 f.", "select 20 f.", "missing 20 f."
    );
    for entries in [4, 100, 1_000] {
        row(&format!("{entries} entries"), &index(entries, 4, TARGET), &types);
    }
    row("1,000 entries, 20 features", &index(1_000, 20, TARGET), &types);
    for alternatives in [1, 2, 8, 32] {
        row(&format!("1,000 lists of {alternatives}"), &lists(1_000, alternatives, TARGET), &types);
    }
    row("4 MiB, 10,000 entries", &padded(index(10_000, 4, TARGET), MAX_BYTES), &types);
    row("4 MiB, 4 entries", &padded(index(4, 4, TARGET), MAX_BYTES), &types);
    let description = description(20);
    let time = fastest(|| (0..1_000).filter(|_| MachineType::new("t", &description, &rules).is_ok()).count());
    println!("1,000 machine types of 20 features: {time:?}");
    let machine = fastest(|| MachineType::new("t", &description, &rules).map(|machine| machine.fingerprint()));
    println!("one machine type with fingerprint: {machine:?}\n");
    explanations(&rules);
    println!("{:<28}{:>12}{:>26}", "entries, 4 features each", "bytes", "memory beyond the bytes");
    for entries in [0, 2_500, 5_000, 10_000] {
        let bytes = index(entries.max(1), 4, TARGET).len();
        println!("{entries:<28}{bytes:>12}{:>22} KiB", memory(entries).unwrap_or_default());
    }
}

/// The first page of `explain`, which says most, with as many machine types as a configuration has at most.
fn explanations(rules: &FeatureRules) {
    let alike = description(20);
    let machine_types: Vec<Arc<MachineType>> = (0..10_000)
        .filter_map(|number| {
            let mut description = alike.clone();
            description.features.push(format!("rack:{number}"));
            Some(Arc::new(MachineType::new(&format!("t{number:05}"), &description, rules).ok()?))
        })
        .collect();
    println!("explain for 10,000 machine types, first page:");
    for entries in [4, 1_000, 10_000] {
        let Ok(index) = Index::parse(index(entries, 4, TARGET).as_bytes()) else { continue };
        let index = Rc::new(index);
        let image = || Image {
            name: "bench:latest".to_owned(),
            media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
            digest: Digest::of(b""),
            index: Some(Rc::clone(&index)),
            observed: false,
        };
        let page =
            || Explanation::new(image(), &machine_types, None, OnNoMatch::Refuse).page("image=bench").to_string();
        let (time, bytes) = (fastest(page), page().len());
        println!("{:<28}{bytes:>12}{:>12}", format!("{entries} entries"), format!("{time:.1?}"));
    }
    println!();
}

/// The argument with which this program measures itself.
const MEMORY: &str = "--memory";

/// The memory that parsing an index of this many entries needs at most, in KiB, less that of parsing nothing: of a
/// process that does only that.
fn memory(entries: usize) -> Option<u64> {
    let peak = |entries: usize| -> Option<u64> {
        let output = Command::new(std::env::current_exe().ok()?).args([MEMORY, &entries.to_string()]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    Some(peak(entries)?.saturating_sub(peak(0)?))
}

/// The growth of this process's peak while it parses, in KiB; Linux only.
fn peak_of(entries: usize) -> u64 {
    let text = index(entries.max(1), 4, TARGET);
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default()
    };
    let before = peak();
    black_box(Index::parse(text.as_bytes()).is_ok());
    peak().saturating_sub(before)
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
    let hash = fastest(|| Digest::of(black_box(text.as_bytes())));
    print!("{name:<28}{:>12}{:>12}{:>12}", text.len(), format!("{hash:.1?}"), format!("{parse:.1?}"));
    for (_, machine) in types {
        let time = fastest(|| matches!(black_box(select(black_box(&index), machine)), Selection::NotAnImageIndex));
        print!("{:>16}", format!("{time:.1?}"));
    }
    let missing = types.last().map(|(_, machine)| fastest(|| missing_variants(black_box(&index), machine).len()));
    println!("{:>14}", format!("{:.1?}", missing.unwrap_or_default()));
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
