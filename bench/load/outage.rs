//! The upstream goes away under load and comes back: what clients get meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::client::{self, Answer, Request, Session};
use crate::nginx::Nginx;
use crate::report::{self, Section};
use crate::requests::{basic, wire};
use crate::subject::{Cache, LOGIN, Setup, Subject};
use metahub_testkit::{Result, http};

const CONNECTIONS: usize = 8;
/// How long the upstream is there, is gone, and is there again.
const PHASE: Duration = Duration::from_secs(2);
/// How long after a change answers may still belong to the time before it.
const MARGIN: Duration = Duration::from_millis(500);

/// A configuration, and the status that its clients must get while the upstream is gone.
const CASES: [(&str, Cache, u16); 3] = [
    ("`tag_ttl: 0s`", Cache::REVALIDATED, 503),
    ("`tag_ttl: 1h`", Cache::On { tag_ttl: 3600, stale: 0 }, 200),
    ("`tag_ttl: 0s`, `serve_stale_on_error: 1h`", Cache::On { tag_ttl: 0, stale: 3600 }, 200),
];

/// Asks until a moment in time, and remembers when it got which answer.
struct Asking<'a> {
    until: Instant,
    path: &'a str,
    authorization: String,
    answers: Vec<(Instant, u16)>,
}

impl Session for Asking<'_> {
    fn next(&mut self) -> Option<Request> {
        (Instant::now() < self.until).then(|| wire("GET", self.path, &self.authorization))
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        self.answers.push((Instant::now(), answer.status));
        Ok(())
    }
}

/// Stops the upstream under load, once for each configuration.
pub(crate) fn measure() -> Result<Section> {
    let columns = ["configuration", "before", "upstream gone", "must be", "slowest request, ms", "upstream back"];
    let mut text = format!(
        "{CONNECTIONS} clients ask for one tag all the time; answers by status (`status` × count). The upstream's port \
         refuses connections for {} s. A 503 is `UNAVAILABLE` in the form of the registry API.\n\n",
        PHASE.as_secs()
    );
    text += &report::head(&columns);
    let mut holds = true;
    for (name, cache, must) in &CASES {
        let (cells, case_holds) = case(name, *cache, *must)?;
        text += &report::line(&cells);
        holds &= case_holds;
    }
    Ok(Section { name: "outage", text, holds, plot: None })
}

fn case(name: &str, cache: Cache, must: u16) -> Result<([String; 6], bool)> {
    let mut nginx = Nginx::start()?;
    let path = format!("/v2/bench/app/manifests/at-{}", nginx.index(4)?.hex);
    let metahub = Subject::anywhere(nginx.port, Setup::new(cache))?;
    let start = Instant::now();
    let (gone, back, end) = (start + PHASE, start + PHASE * 2, start + PHASE * 3);
    let authorization = basic(LOGIN.0);
    let asking = || Asking { until: end, path: &path, authorization: authorization.clone(), answers: Vec::new() };
    let mut clients: Vec<Asking<'_>> = (0..CONNECTIONS).map(|_| asking()).collect();
    let port = metahub.port();
    let (body, latencies) = std::thread::scope(|scope| {
        let sessions: Vec<&mut Asking<'_>> = clients.iter_mut().collect();
        let load = scope.spawn(move || {
            client::run(sessions.into_iter().map(|session| (port, session as &mut dyn Session)).collect())
        });
        std::thread::sleep(gone.saturating_duration_since(Instant::now()));
        nginx.stop();
        std::thread::sleep((gone + PHASE / 2).saturating_duration_since(Instant::now()));
        let answer = http::Request::get(&path).login(LOGIN.0, LOGIN.1).send(port)?;
        std::thread::sleep(back.saturating_duration_since(Instant::now()));
        nginx.start_again()?;
        let outcome = load.join().expect("the load does not panic")?;
        Ok::<_, metahub_testkit::Failure>((answer.text(), outcome.latencies))
    })?;
    let phase = |from: Instant, until: Instant| {
        let mut counts = BTreeMap::new();
        for (time, status) in clients.iter().flat_map(|client| &client.answers) {
            if *time >= from && *time < until {
                *counts.entry(*status).or_insert(0) += 1;
            }
        }
        counts
    };
    let phases = [phase(start, gone), phase(gone + MARGIN, back), phase(back + MARGIN, end)];
    let only = |counts: &BTreeMap<u16, i32>, status: u16| counts.len() == 1 && counts.contains_key(&status);
    let holds = only(&phases[0], 200)
        && only(&phases[1], must)
        && only(&phases[2], 200)
        && (must != 503 || body.contains("\"UNAVAILABLE\""));
    let words = phases.map(|counts| {
        counts.iter().map(|(status, count)| format!("{status} × {count}")).collect::<Vec<_>>().join(", ")
    });
    let slowest = latencies.into_iter().max().unwrap_or_default().as_secs_f64() * 1e3;
    let [before, meanwhile, after] = words;
    let must = report::marked(&must.to_string(), holds);
    Ok(([name.to_owned(), before, meanwhile, must, format!("{slowest:.0}"), after], holds))
}
