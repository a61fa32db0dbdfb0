//! Parsing and selecting, timed: `cargo bench --bench selection`.
//!
//! Prints the fastest of many runs. Targets: 1 ms natively for selecting from 1,000 entries for a type of 20 features.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use metahub::feature::FeatureRules;
use metahub::index::{Index, MAX_BYTES};
use metahub::machine_type::{Description, MachineType};
use metahub::select::select;

fn main() {
    let rules = FeatureRules::default();
    let types = [machine("4 features", 4, &rules), machine("20 features", 20, &rules)];
    println!("{:<28}{:>12}{:>12}{:>16}{:>16}", "index", "bytes", "parse", "select 4 f.", "select 20 f.");
    for entries in [4, 100, 1_000] {
        row(&format!("{entries} entries"), &index(entries, 4), &types);
    }
    row("1,000 entries, 20 features", &index(1_000, 20), &types);
    row("4 MiB, 10,000 entries", &padded(index(10_000, 4)), &types);
    row("4 MiB, 4 entries", &padded(index(4, 4)), &types);
    let description = description(20);
    let time = fastest(|| (0..1_000).filter(|_| MachineType::new("t", &description, &rules).is_ok()).count());
    println!("1,000 machine types of 20 features: {time:?}");
    let machine = fastest(|| MachineType::new("t", &description, &rules).map(|machine| machine.fingerprint()));
    println!("one machine type with fingerprint: {machine:?}");
}

fn description(features: usize) -> Description {
    let mut words = vec!["cpu:icelake".to_owned(), "nvcap:8.6".to_owned(), "cpu:granite".to_owned()];
    words.extend((words.len()..features).map(|number| format!("feature{number}:value{number}")));
    Description { features: words, ..Description::default() }
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

/// An index all of whose entries fit the larger machine, so that nothing is cut short.
fn index(entries: usize, features: usize) -> String {
    let mut text = String::from(r#"{"schemaVersion":2,"manifests":["#);
    let cpus = ["cpu:nehalem", "cpu:haswell", "cpu:skylake", "cpu:x86_64_v3"];
    for number in 0..entries {
        let cpu = cpus.get(number % cpus.len()).copied().unwrap_or_default();
        let comma = if number == 0 { "" } else { "," };
        let mut list = format!(r#""{cpu}","nvcap:8.{}""#, number % 7);
        for feature in 3..features.max(3) + 1 {
            let _ = write!(list, r#","feature{feature}:value{feature}""#);
        }
        let _ = write!(
            text,
            r#"{comma}{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{number:064x}",
            "size":{number},"platform":{{"architecture":"amd64","os":"linux","features":[{list}]}}}}"#
        );
    }
    text.push_str("]}");
    text
}

/// The index with annotations up to the largest size that is parsed.
fn padded(mut text: String) -> String {
    text.pop();
    let tail = r#"","b":1}}"#;
    text.push_str(r#","annotations":{"a":""#);
    text.extend(std::iter::repeat_n('x', MAX_BYTES.saturating_sub(text.len() + tail.len())));
    text.push_str(tail);
    text
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
            fastest(|| black_box(select(black_box(&index), machine)) == metahub::select::Selection::NotAnImageIndex);
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
