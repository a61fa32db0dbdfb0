//! The table of clients and sources.

use std::fmt::Write as _;
use std::io::Write as _;

use super::ways::{self, Authentication, PROGRAMS, Program, REASONS, Reason, SOURCES, Source, Way};
use metahub_testkit::Failure;

/// A client with one kind of authentication.
pub(super) struct Row {
    pub(super) program: Program,
    pub(super) authentication: Authentication,
    /// In the order of [`SOURCES`].
    pub(super) cells: Vec<Cell>,
    pub(super) seconds: f64,
}

/// The outcome for one source.
pub(super) enum Cell {
    /// Each node got its image.
    Right(Way),
    Impossible(Reason),
    Failed(Failure),
}

/// Prints the table and its notes.
///
/// Written to standard error directly: the test runner hides what passing tests print by macro.
pub(super) fn print(rows: &[Row]) {
    let mut table = format!("{:28}", "client");
    for source in SOURCES {
        let _ = write!(table, "{:>18}", source.title());
    }
    table.push_str("   seconds\n");
    for row in rows {
        let _ = write!(table, "{:12}{:16}", row.program.name(), row.authentication.name());
        for (cell, source) in row.cells.iter().zip(SOURCES) {
            let text = match cell {
                Cell::Right(way) if source == Source::Described => way.name().to_owned(),
                Cell::Right(way) => way.words(row.program).replace('`', ""),
                Cell::Impossible(reason) => format!("({})", reason.letter()),
                Cell::Failed(_) => "FAILED".to_owned(),
            };
            let _ = write!(table, "{text:>18}");
        }
        let _ = writeln!(table, "{:>10.1}", row.seconds);
    }
    for reason in REASONS {
        let _ = writeln!(table, "({}) {}", reason.letter(), reason.text());
    }
    let _ = write!(std::io::stderr(), "\n{table}");
}

/// The failed cells.
pub(super) fn failures(rows: &[Row]) -> Vec<String> {
    let cells =
        rows.iter().flat_map(|row| row.cells.iter().zip(SOURCES).map(move |(cell, source)| (row, cell, source)));
    let failed = cells.filter_map(|(row, cell, source)| match cell {
        Cell::Failed(failure) => {
            Some(format!("{}, {}, {}: {failure}", row.program.name(), row.authentication.name(), source.title()))
        }
        _ => None,
    });
    failed.collect()
}

/// The table as docs/nodes.md shows it, in Markdown, with its notes: all kinds of authentication by a login are alike.
pub(super) fn of_the_page() -> String {
    let mut table = String::from("| client |");
    for source in SOURCES {
        let _ = write!(table, " {} |", source.title());
    }
    let _ = writeln!(table, "\n|{}", "---|".repeat(1 + SOURCES.len()));
    let kinds = [(Authentication::Accounts, ""), (Authentication::Anonymous, ", no login")];
    for (program, (authentication, without)) in
        PROGRAMS.into_iter().flat_map(|program| kinds.map(|kind| (program, kind)))
    {
        let _ = write!(table, "| {}{without} |", program.name());
        for source in SOURCES {
            let _ = match (ways::way(program, source, authentication), source) {
                (Ok(way), Source::Described) => write!(table, " {} |", way.name()),
                (Ok(way), _) => write!(table, " {} |", way.words(program)),
                (Err(reason), _) => write!(table, " ({}) |", reason.letter()),
            };
        }
        table.push('\n');
    }
    table.push('\n');
    for reason in REASONS {
        let _ = writeln!(table, "- ({}) {}", reason.letter(), reason.text());
    }
    table
}
