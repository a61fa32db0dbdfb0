//! Plots as SVG: bars of ratios with their limits, and a curve.

use std::fmt::Write as _;

use crate::report::{Limit, Row};

const WIDTH: f64 = 860.0;
/// Where the bars begin; names stand before it.
const LEFT: f64 = 340.0;
const RIGHT: f64 = 70.0;
const LINE: f64 = 26.0;
const TOP: f64 = 44.0;

/// The ratios of all rows that have a limit, as bars; each with a mark at its limit.
pub(crate) fn bars(rows: &[Row]) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| !matches!(row.limit, Limit::None)).collect();
    let most = rows.iter().map(|row| row.comparison.ratio()).fold(2.6, f64::max);
    let scale = |ratio: f64| ratio / most * (WIDTH - LEFT - RIGHT);
    let height = TOP + LINE * rows.len() as f64 + 16.0;
    let mut svg = begin(height, "CPU of Envoy for a request, bare Envoy = 1 (mark: limit)");
    let one = LEFT + scale(1.0);
    let _ = writeln!(
        svg,
        r##"<line x1="{one:.1}" y1="{TOP}" x2="{one:.1}" y2="{:.1}" stroke="#999" stroke-dasharray="4 3"/>"##,
        height - 12.0
    );
    for (position, row) in rows.into_iter().enumerate() {
        let limit = match row.limit {
            Limit::AtMost(limit) | Limit::Close(limit) | Limit::Same(limit) => limit,
            Limit::None => continue,
        };
        let (y, ratio) = (TOP + LINE * position as f64, row.comparison.ratio());
        let fill = if row.holds() { "#3b7dd8" } else { "#d1495b" };
        let _ = writeln!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>
<rect x="{LEFT}" y="{:.1}" width="{:.1}" height="16" fill="{fill}"/>
<text x="{:.1}" y="{:.1}">{ratio:.2}</text>"#,
            LEFT - 8.0,
            y + 17.0,
            row.name,
            y + 5.0,
            scale(ratio),
            LEFT + scale(ratio.max(limit)) + 6.0,
            y + 17.0
        );
        let x = LEFT + scale(limit);
        let _ = writeln!(
            svg,
            r##"<line x1="{x:.1}" y1="{:.1}" x2="{x:.1}" y2="{:.1}" stroke="#222" stroke-width="2"/>"##,
            y + 2.0,
            y + 24.0
        );
    }
    svg + "</svg>\n"
}

/// A curve from zero upwards.
pub(crate) fn curve(title: &str, unit: &str, points: &[(f64, f64)]) -> String {
    const LEFT: f64 = 60.0;
    const HEIGHT: f64 = 260.0;
    const BOTTOM: f64 = 40.0;
    let largest = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(0.0, f64::max);
    let (right, top) = (largest(|point| point.0).max(1.0), largest(|point| point.1).max(1.0) * 1.1);
    let x = |value: f64| LEFT + value / right * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP);
    let mut svg = begin(HEIGHT, title);
    for part in 0..=4 {
        let (value, count) = (top * f64::from(part) / 4.0, right * f64::from(part) / 4.0);
        let _ = writeln!(
            svg,
            r##"<line x1="{LEFT}" y1="{0:.1}" x2="{1:.1}" y2="{0:.1}" stroke="#ddd"/>
<text x="{2:.1}" y="{3:.1}" text-anchor="end">{value:.0}</text>
<text x="{4:.1}" y="{5:.1}" text-anchor="middle">{count:.0}</text>"##,
            y(value),
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(value) + 4.0,
            x(count),
            HEIGHT - BOTTOM + 18.0
        );
    }
    let line: Vec<String> = points.iter().map(|(count, value)| format!("{:.1},{:.1}", x(*count), y(*value))).collect();
    let _ = writeln!(svg, r##"<polyline points="{}" fill="none" stroke="#3b7dd8" stroke-width="2"/>"##, line.join(" "));
    let _ = writeln!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{unit}</text>"#, WIDTH - RIGHT, HEIGHT - 6.0);
    svg + "</svg>\n"
}

/// White behind everything, because pages may be dark.
fn begin(height: f64, title: &str) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"
 font-family="sans-serif" font-size="13" fill="#222">
<rect width="{WIDTH}" height="{height}" fill="#fff"/>
<text x="16" y="26" font-size="15">{title}</text>
"##
    )
}
