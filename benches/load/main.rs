//! Measures MetaHub against bare Envoy: `make bench`, or `cargo bench --bench load -- [step…]` with a built filter.
//!
//! `QUICK=1` takes a few short rounds, for developing; its figures are not written to the documentation and no limit is
//! judged. `ROWS=part` measures only the rows of the table whose names contain that part.

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
mod generated;
#[path = "../indexes/mod.rs"]
mod indexes;
mod machine;
mod nginx;
mod report;
mod requests;
mod rounds;
mod subject;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use machine::Cores;
use report::Row;
use rounds::Effort;
use support::Result;
use table::Table;

fn main() -> ExitCode {
    // `cargo test --all-targets` runs benchmarks with no `--bench`; there is nothing to test in here.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let quick = std::env::var_os("QUICK").is_some_and(|value| !value.is_empty());
    let effort = if quick {
        Effort { rounds: 5, round: Duration::from_millis(100) }
    } else {
        Effort { rounds: 21, round: Duration::from_millis(300) }
    };
    let cores = Cores::choose()?;
    println!("{}\n", machine::description()?);
    machine::pin(std::process::id(), cores.rest)?;
    print!("{}", report::head(&report::COLUMNS));
    let show = |row: &Row| print!("{}", report::line(&row.cells()));
    let mut table = Table { cores, effort, show: &show, filter: std::env::var("ROWS").ok(), rows: Vec::new() };
    table.measure()?;
    Ok(table.rows.iter().all(Row::holds))
}
