//! The cost of a machine type that a header names, beside one that the login names.

use crate::machine::{self, Cores};
use crate::nginx::Nginx;
use crate::report::{self, Limit, Row, Section, marked, micros};
use crate::requests::{Kind, basic};
use crate::rounds::{Comparison, Effort, Side, compare};
use crate::subject::{Cache, Setup, Subject};
use crate::table::{CONNECTIONS, by_tag};
use metahub_testkit::{Failure, Result};

/// A header may cost 2 % of a request.
const LIMIT: f64 = 1.02;
/// More than the table has: the limit is narrow.
const TIMES: usize = 6;

const COLUMNS: [&str; 7] = [
    "request",
    "CPU ratio",
    "limit",
    "login against login",
    "middle half of the rounds",
    "CPU µs, login / header",
    "p50 µs, login / header",
];

/// An Envoy with the filter, which reads the header. Two Envoys differ by more than what is judged, whatever they do,
/// so one is asked in both ways.
struct Both(Subject);

impl Both {
    fn start(nginx: &Nginx, cache: Cache, cores: &Cores) -> Result<Self> {
        Ok(Self(Subject::metahub(nginx.port, Setup { header: true, ..Setup::new(cache) }, cores)?))
    }

    fn compare(&self, kind: impl Fn() -> Kind, effort: Effort) -> Result<Comparison> {
        let (by_login, by_header) = (kind(), kind().authorized(&basic("bench")).with("X-MetaHub-Machine-Type: first"));
        let side = |kind| Side { subject: &self.0, kind };
        compare(&side(&by_login), &side(&by_header), Some(&side(&by_login)), CONNECTIONS, effort)
    }
}

/// Measures each kind of request, in the same rounds with and without the header.
pub(crate) fn measure(effort: Effort, cores: &Cores, strict: bool) -> Result<Section> {
    machine::pin(std::process::id(), cores.rest)?;
    let effort = Effort { rounds: effort.rounds * TIMES, ..effort };
    let nginx = Nginx::start()?;
    let mut rows = Vec::new();
    let mut add = |name: &str, comparison| rows.push(row(name, comparison));

    let both = Both::start(&nginx, Cache::On { tag_ttl: 3600, stale: 0 }, cores)?;
    add("ping", both.compare(|| Kind::same("GET", "/v2/").expecting_length(2), effort)?);
    let blob = nginx.blob(1 << 10)?;
    let path = format!("/v2/bench/app/blobs/sha256:{}", blob.hex);
    add("blob of 1 KiB", both.compare(|| Kind::same("GET", &path).expecting_length(blob.length), effort)?);
    let four = nginx.index(4)?;
    add("manifest by tag, within its ttl", both.compare(|| by_tag("GET", &four, &nginx.image), effort)?);
    drop(both);
    let both = Both::start(&nginx, Cache::REVALIDATED, cores)?;
    let head = || by_tag("HEAD", &four, &nginx.image).expecting_length(0);
    add("HEAD by tag, revalidated", both.compare(head, effort)?);
    cores.release()?;

    let mut text = format!("{} rounds.\n\n", effort.rounds);
    text += &report::head(&COLUMNS);
    text.extend(rows.iter().map(|row| report::line(&cells(row))));
    if strict && rows.iter().any(|row| !is_the_same(row)) {
        let message = "this run does not count: the same requests differ from themselves; is the machine idle?";
        return Err(Failure::new(format!("{text}\n{message}")));
    }
    Ok(Section { name: "sources", text, holds: rows.iter().all(Row::holds), plot: None })
}

fn row(name: &str, comparison: Comparison) -> Row {
    Row { name: name.to_owned(), limit: Limit::AtMost(LIMIT), comparison }
}

/// Whether the same requests differ from themselves by less than what is judged.
fn is_the_same(row: &Row) -> bool {
    row.comparison.floor().is_some_and(|ratio| ratio <= LIMIT && ratio * LIMIT >= 1.0)
}

/// The cells of the table, in the order of [`COLUMNS`].
fn cells(row: &Row) -> [String; 7] {
    let comparison = &row.comparison;
    let (low, high) = (comparison.ratio_at(0.25), comparison.ratio_at(0.75));
    let (login, header) = (&comparison.base, &comparison.measured);
    [
        row.name.clone(),
        marked(&format!("{:.3}", comparison.ratio()), row.holds()),
        row.limit_text(),
        comparison.floor().map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}")),
        format!("{low:.2}–{high:.2}"),
        format!("{} / {}", micros(login.cpu()), micros(header.cpu())),
        format!("{} / {}", micros(login.latency(0.5)), micros(header.latency(0.5))),
    ]
}
