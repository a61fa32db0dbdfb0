//! Measures MetaHub against bare Envoy: `make bench`, or `cargo bench --bench load -- [step…]` with a built filter.
//!
//! | step | what |
//! |---|---|
//! | `table` | CPU of Envoy for a request of each kind, with the filter and without |
//! | `pulls` | whole pulls by skopeo and docker, directly and through MetaHub |
//! | `memory` | memory of Envoy over many images |
//! | `reload` | a reload of 10,000 machine types while clients pull |
//! | `outage` | the upstream goes away under load |
//! | `fleet` | a fleet rolls out |
//!
//! Without a name all steps run. Each writes its section of docs/performance.md or docs/scaling.md; the program fails if
//! a limit is missed. `QUICK=1` takes a few short rounds, for developing: nothing is written then. `ROWS=part` measures
//! only the rows of the table whose names contain that part, and does not write them either.

#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a benchmark may panic"
)]

mod client;
mod content;
mod fleet;
mod generated;
#[path = "../indexes/mod.rs"]
mod indexes;
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
mod subject;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use machine::Cores;
use report::{Row, Section};
use rounds::Effort;
use support::{Failure, Result};
use table::Table;

const STEPS: [&str; 6] = ["table", "pulls", "memory", "reload", "outage", "fleet"];
/// What the compiled filter may be large, in bytes.
const MOST_BYTES: u64 = 500_000;

/// How much is done.
struct Extent {
    effort: Effort,
    pulls: usize,
    requests: u64,
    reloads: usize,
    nodes: u64,
}

const FULL: Extent = Extent {
    effort: Effort { rounds: 21, round: Duration::from_millis(300) },
    pulls: 20,
    requests: 1_000_000,
    reloads: 5,
    nodes: 10_000,
};

const QUICK: Extent = Extent {
    effort: Effort { rounds: 5, round: Duration::from_millis(100) },
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
        let (section, plot) = measure(step, &extent, &cores, rows.clone(), !quick)?;
        if step != "table" {
            println!("{}", section.text);
        }
        if !quick && rows.is_none() {
            let command = format!("`cargo bench --bench load -- {step}`: {circumstances}.");
            pages::write(&section, &command)?;
            if let Some(plot) = plot {
                pages::write_plot(if step == "table" { "performance.svg" } else { "memory.svg" }, &plot)?;
            }
        }
        holds &= section.holds;
    }
    Ok(holds || quick)
}

/// One step's section, and its plot if it has one.
fn measure(
    step: &str,
    extent: &Extent,
    cores: &Cores,
    rows: Option<String>,
    strict: bool,
) -> Result<(Section, Option<String>)> {
    Ok(match step {
        "table" => {
            let (section, plot) = table(extent.effort, cores, rows, strict)?;
            (section, Some(plot))
        }
        "pulls" => (pulls::measure(extent.pulls)?, None),
        "memory" => {
            let (section, plot) = memory::measure(extent.requests)?;
            (section, Some(plot))
        }
        "reload" => (reload::measure(extent.reloads)?, None),
        "outage" => (outage::measure()?, None),
        _ => (fleet::measure(extent.nodes)?, None),
    })
}

fn table(effort: Effort, cores: &Cores, filter: Option<String>, strict: bool) -> Result<(Section, String)> {
    machine::pin(std::process::id(), cores.rest)?;
    print!("{}", report::head(&report::COLUMNS));
    let show = |row: &Row| print!("{}", report::line(&row.cells()));
    let mut table = Table { cores, effort, show: &show, filter, strict, rows: Vec::new() };
    table.measure()?;
    cores.release()?;
    let size = fs::metadata(support::envoy::fresh_wasm()?)?.len();
    let mut text = format!("{} rounds.\n\n![ratios](performance.svg)\n\n", effort.rounds);
    text += &report::head(&report::COLUMNS);
    text.extend(table.rows.iter().map(|row| report::line(&row.cells())));
    let size_line = format!(
        "\nThe compiled filter has {} bytes; the limit is {MOST_BYTES}.\n",
        report::marked(&size.to_string(), size <= MOST_BYTES)
    );
    print!("{size_line}");
    text += &size_line;
    let holds = size <= MOST_BYTES && table.rows.iter().all(Row::holds);
    Ok((Section { name: "table", text, holds }, plot::bars(&table.rows)))
}
