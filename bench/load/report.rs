//! Figures as people read them, and whether they are within their limits.

use std::time::Duration;

use crate::rounds::Comparison;

/// A measured part of the documentation.
pub(crate) struct Section {
    /// The name in its markers.
    pub(crate) name: &'static str,
    /// Markdown.
    pub(crate) text: String,
    /// Whether all its limits hold.
    pub(crate) holds: bool,
    /// A plot that the text shows: its file's name, and the SVG.
    pub(crate) plot: Option<(&'static str, String)>,
}

/// The limit of a row's ratio.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// Shown, not judged.
    None,
    AtMost(f64),
    /// Either may be dearer than the other by this factor at most.
    Close(f64),
    /// As [`Limit::Close`], and otherwise no row of the run counts: both are the same program.
    Same(f64),
}

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) limit: Limit,
    pub(crate) comparison: Comparison,
}

impl Row {
    /// Whether the limit holds.
    pub(crate) fn holds(&self) -> bool {
        let ratio = self.comparison.ratio();
        match self.limit {
            Limit::None => true,
            Limit::AtMost(limit) => ratio <= limit,
            Limit::Close(factor) | Limit::Same(factor) => ratio <= factor && ratio * factor >= 1.0,
        }
    }

    pub(crate) fn limit_text(&self) -> String {
        match self.limit {
            Limit::None => "–".to_owned(),
            Limit::AtMost(limit) => format!("{limit:.2}"),
            Limit::Close(factor) | Limit::Same(factor) => format!("1 ± {:.2}", factor - 1.0),
        }
    }

    /// The cells of the table, in the order of [`COLUMNS`].
    pub(crate) fn cells(&self) -> [String; 9] {
        let Comparison { base, measured, .. } = &self.comparison;
        let (ratio, low, high) =
            (self.comparison.ratio(), self.comparison.ratio_at(0.25), self.comparison.ratio_at(0.75));
        let pair = |part| format!("{} / {}", micros(base.latency(part)), micros(measured.latency(part)));
        [
            self.name.clone(),
            marked(&format!("{ratio:.2}"), self.holds()),
            self.limit_text(),
            self.comparison.floor().map_or_else(|| "–".to_owned(), |floor| format!("{floor:.2}")),
            format!("{low:.2}–{high:.2}"),
            format!("{} / {}", micros(base.cpu()), micros(measured.cpu())),
            format!("{:.0} / {:.0}", base.rate(), measured.rate()),
            pair(0.50),
            pair(0.99),
        ]
    }
}

/// The table's columns; pairs are bare Envoy's figure and that with the filter.
pub(crate) const COLUMNS: [&str; 9] = [
    "request",
    "CPU ratio",
    "limit",
    "host calls alone",
    "middle half of the rounds",
    "CPU µs",
    "requests/s",
    "p50 µs",
    "p99 µs",
];

/// Microseconds, with as many digits as mean something.
pub(crate) fn micros(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 100.0 { format!("{micros:.1}") } else { format!("{micros:.0}") }
}

/// A figure with a mark when it misses its limit.
pub(crate) fn marked(figure: &str, holds: bool) -> String {
    if holds { figure.to_owned() } else { format!("**{figure} ✗**") }
}

/// A line of a Markdown table.
pub(crate) fn line<T: AsRef<str>>(cells: &[T]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a Markdown table.
pub(crate) fn head(columns: &[&str]) -> String {
    line(columns) + &line(&vec!["---"; columns.len()])
}
