//! Memory of an Envoy that sees far more images than its cache can hold.

use crate::client::{self, Answer, Request, Session};
use crate::generated::Generated;
use crate::plot;
use crate::report::{self, Section};
use crate::requests::{basic, wire};
use crate::subject::{Cache, LOGIN, Setup, Subject};
use metahub_testkit::{Failure, Result};

/// Distinct images.
const IMAGES: u64 = 100_000;
/// Every second request is for one of these, the others go through all images in turn.
const POPULAR: u64 = 1_000;
/// How often memory is looked at.
const SAMPLES: u64 = 40;
/// From this part of the requests on memory must not grow: every image but a few has been asked for once by then.
const FULL: f64 = 0.25;
/// By how much it may vary then.
const LIMIT: f64 = 1.03;
const CONNECTIONS: usize = 16;

/// The requests of all connections.
struct Walk {
    number: std::cell::Cell<u64>,
    goal: std::cell::Cell<u64>,
    authorization: String,
}

struct Walker<'a>(&'a Walk);

impl Session for Walker<'_> {
    fn next(&mut self) -> Option<Request> {
        let number = self.0.number.get();
        if number >= self.0.goal.get() {
            return None;
        }
        self.0.number.set(number + 1);
        let half = number / 2;
        let image = if number.is_multiple_of(2) { half % IMAGES } else { half % POPULAR };
        Some(wire("GET", &format!("/v2/bench/{image}/manifests/latest"), &self.0.authorization))
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        if answer.status == 200 { Ok(()) } else { Err(Failure::new(format!("status {}", answer.status))) }
    }
}

/// Sends `requests` requests and watches Envoy's memory.
pub(crate) fn measure(requests: u64) -> Result<Section> {
    let upstream = Generated::start(4)?;
    let metahub = Subject::anywhere(upstream.port, Setup::new(Cache::REVALIDATED))?;
    let walk = Walk { number: 0.into(), goal: 0.into(), authorization: basic(LOGIN.0) };
    let mut curve = vec![(0.0, metahub.resident()? as f64)];
    for sample in 1..=SAMPLES {
        walk.goal.set(requests * sample / SAMPLES);
        let mut walkers: Vec<Walker<'_>> = (0..CONNECTIONS).map(|_| Walker(&walk)).collect();
        client::run(walkers.iter_mut().map(|walker| (metahub.port(), walker as &mut dyn Session)).collect())?;
        curve.push((walk.number.get() as f64, metahub.resident()? as f64));
    }
    let asked = upstream.take_counts();
    let settled: Vec<f64> =
        curve.iter().filter(|(count, _)| *count >= requests as f64 * FULL).map(|(_, bytes)| *bytes).collect();
    let first = settled.first().copied().unwrap_or_default();
    let most = settled.iter().copied().fold(0.0, f64::max);
    let growth = most / first;
    let mib = |bytes: f64| format!("{:.1}", bytes / f64::from(1 << 20));
    let columns =
        ["requests", "images", "MiB before", "MiB with a full cache", "MiB at most after that", "growth", "limit"];
    let mut text = report::head(&columns);
    text += &report::line(&[
        requests.to_string(),
        IMAGES.min(requests / 2).to_string(),
        mib(curve[0].1),
        mib(first),
        mib(most),
        report::marked(&format!("{growth:.3}"), growth <= LIMIT),
        format!("{LIMIT:.2}"),
    ]);
    text += &format!(
        "\nResident memory of the whole Envoy process. Every second request is for one of {POPULAR} images, the others \
         go round all of them. The upstream was asked for {} manifests (GET) and {} times for a digest (HEAD).\n\n\
         ![memory](memory.svg)\n",
        asked.manifest_gets, asked.manifest_heads
    );
    let points: Vec<(f64, f64)> = curve.iter().map(|(count, bytes)| (*count, bytes / f64::from(1 << 20))).collect();
    let plot = plot::curve("resident memory of Envoy, MiB", "requests", &points);
    Ok(Section { name: "memory", text, holds: growth <= LIMIT, plot: Some(("memory.svg", plot)) })
}
