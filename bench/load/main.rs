//! Measures MetaHub against bare Envoy: `make bench`, or `cargo bench -p metahub-bench --bench load -- [step…]` with a
//! built filter.
//!
//! | step | what |
//! |---|---|
//! | `table` | CPU of Envoy for a request of each kind, with the filter and without |
//! | `sources` | CPU for a machine type that a header names, beside one that the login names |
//! | `vm` | what the filter takes for large indexes, many machine types and long answers |
//! | `pulls` | whole pulls by skopeo and docker, directly and through MetaHub |
//! | `memory` | memory of Envoy over many images |
//! | `reload` | a reload of 10,000 machine types while clients pull |
//! | `outage` | the upstream goes away under load |
//! | `herd` | thousands of clients wait for one answer |
//! | `fleet` | a fleet rolls out |
//!
//! Without a name all steps run. Each writes its section of docs/performance.md or docs/scaling.md; the program fails
//! if a limit is missed. `QUICK=1` takes a few short rounds, for developing: nothing is written then. `ROWS=part;part`
//! measures only the rows of the table whose names contain one of the parts, and does not write them either. With
//! `AGAINST=FILE`, another build of the filter is measured in the same rounds, in the place of the host calls alone:
//! the column shows what that one costs. Nothing is written.

mod client;
mod content;
mod fleet;
mod floor;
mod generated;
mod herd;
mod machine;
mod memory;
mod nginx;
mod outage;
mod pages;
mod plot;
mod pulls;
mod reload;
mod report;
mod requests;
mod rounds;
mod sources;
mod statistics;
mod subject;
mod table;
mod vm;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use machine::Cores;
use metahub_testkit::{Failure, Result};
use report::{Row, Section, micros};
use rounds::{Effort, Figures};
use table::Table;

const STEPS: [&str; 9] = ["table", "sources", "vm", "pulls", "memory", "reload", "outage", "herd", "fleet"];
/// The largest size of the compiled filter, in bytes.
const MOST_BYTES: u64 = 1_000_000;

/// How much is done.
struct Extent {
    effort: Effort,
    samples: usize,
    pulls: usize,
    requests: u64,
    reloads: usize,
    nodes: u64,
}

const FULL: Extent = Extent {
    effort: Effort { rounds: 81, round: Duration::from_millis(75), warm_up: Duration::from_secs(2) },
    samples: 31,
    pulls: 20,
    requests: 1_000_000,
    reloads: 5,
    nodes: 10_000,
};

const QUICK: Extent = Extent {
    effort: Effort { rounds: 15, round: Duration::from_millis(40), warm_up: Duration::from_millis(40) },
    samples: 3,
    pulls: 3,
    requests: 20_000,
    reloads: 1,
    nodes: 200,
};

fn main() -> ExitCode {
    // `cargo test --all-targets` runs benchmarks with no `--bench`; there is nothing to test in here.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a limit is missed: see the marks");
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (quick, rows) = (set("QUICK").is_some(), set("ROWS"));
    let against = set("AGAINST");
    let extent = if quick { QUICK } else { FULL };
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(unknown) = named.iter().find(|name| !STEPS.contains(&name.as_str())) {
        return Err(Failure::new(format!("no step {unknown:?}; there are {}", STEPS.join(", "))));
    }
    let circumstances = machine::description()?;
    println!("{circumstances}");
    let cores = Cores::choose()?;
    let mut holds = true;
    for step in STEPS.into_iter().filter(|step| named.is_empty() || named.iter().any(|name| name == step)) {
        println!("\n## {step}\n");
        let section = measure(step, &extent, &cores, rows.as_deref(), !quick)?;
        println!("{}", section.text);
        if !quick && rows.is_none() && against.is_none() {
            pages::write(
                &section,
                &format!("`cargo bench -p metahub-bench --bench load -- {step}`: {circumstances}."),
            )?;
        }
        holds &= section.holds;
    }
    Ok(holds || quick)
}

fn measure(step: &str, extent: &Extent, cores: &Cores, rows: Option<&str>, strict: bool) -> Result<Section> {
    match step {
        "table" => table(extent.effort, cores, rows, strict),
        "sources" => sources::measure(extent.effort, cores, strict),
        "vm" => vm::measure(extent.samples, cores),
        "pulls" => pulls::measure(extent.pulls),
        "memory" => memory::measure(extent.requests),
        "reload" => reload::measure(extent.reloads),
        "outage" => outage::measure(),
        "herd" => herd::measure(),
        _ => fleet::measure(extent.nodes),
    }
}

/// Shows each row when it is there, because the table takes minutes.
fn table(effort: Effort, cores: &Cores, rows: Option<&str>, strict: bool) -> Result<Section> {
    machine::pin(std::process::id(), cores.rest)?;
    let show = |row: &Row| {
        let figures = |figures: &Figures| format!("{:.0}/s, p50 {} µs", figures.rate(), micros(figures.latency(0.5)));
        let measured = figures(&row.comparison.measured);
        let beside = row.comparison.beside().map(figures).unwrap_or_default();
        eprintln!("{}: {} {measured} (beside it {} {beside})", row.name, row.cells()[1], row.cells()[3]);
    };
    let parts = rows.map(|rows| rows.split(';').collect());
    let mut table = Table { cores, effort, show: &show, parts, strict, rows: Vec::new() };
    table.measure()?;
    cores.release()?;
    let size = fs::metadata(metahub_testkit::envoy::fresh_wasm()?)?.len();
    let mut text = format!("{} rounds.\n\n![ratios](performance.svg)\n\n", effort.rounds);
    text += &report::head(&report::COLUMNS);
    text.extend(table.rows.iter().map(|row| report::line(&row.cells())));
    text += &format!(
        "\nThe compiled filter has {} bytes; the limit is {MOST_BYTES}.\n",
        report::marked(&size.to_string(), size <= MOST_BYTES)
    );
    let holds = size <= MOST_BYTES && table.rows.iter().all(Row::holds);
    Ok(Section { name: "table", text, holds, plot: Some(("performance.svg", plot::bars(&table.rows))) })
}
