//! The table of clients and cases that closes the run.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use metahub_testkit::Result;

/// How many tests report to the table.
const CLIENTS: usize = 8;

/// A client's cases with their results.
pub(crate) type Results = Vec<(&'static str, Result<()>)>;

struct Row {
    client: &'static str,
    results: Option<Results>,
    seconds: f64,
}

static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// Records a client's results and how long they took, or why it was skipped. The last client's report prints the table.
///
/// Written to standard error directly: the test runner hides what passing tests print by macro.
pub(crate) fn report(client: &'static str, results: std::result::Result<Results, String>, took: Duration) {
    let mut rows = ROWS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Err(reason) = &results {
        let _ = writeln!(std::io::stderr(), "\n{client}: {reason}");
    }
    rows.push(Row { client, results: results.ok(), seconds: took.as_secs_f64() });
    if rows.len() == CLIENTS {
        let _ = write!(std::io::stderr(), "\n{}", draw(&rows));
    }
}

fn draw(rows: &[Row]) -> String {
    let cases = rows.iter().find_map(|row| row.results.as_ref()).into_iter().flatten();
    let names: String = cases.map(|(case, _)| format!("{case:>11}")).collect();
    let mut table = format!("{:16}{names}    seconds\n", "client");
    for row in rows {
        let cell = |(_, result): &(_, Result<()>)| format!("{:>11}", if result.is_ok() { "ok" } else { "FAILED" });
        let cells: String = row.results.iter().flatten().map(cell).collect();
        let cells = if row.results.is_some() { cells } else { "    skipped".to_owned() };
        table.push_str(&format!("{:16}{cells}{:>11.1}\n", row.client, row.seconds));
    }
    table
}
