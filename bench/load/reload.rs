//! Reloads of a large configuration while clients pull: how soon it is in force, and what it does to requests.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::nginx::Nginx;
use crate::report::{self, Section};
use crate::subject::{Authentication, Cache, Setup, before};
use metahub_testkit::envoy::Envoy;
use metahub_testkit::http::Request;
use metahub_testkit::{Failure, Result, wait_for};

/// Machine types of the large configuration.
const TYPES: usize = 10_000;

/// One answer.
struct Seen {
    start: Instant,
    end: Instant,
    status: u16,
    /// Whether it was for the machine type that only the new configuration has.
    is_new: bool,
}

/// The measurements of one reload.
struct Reload {
    in_force: Duration,
    worst_before: Duration,
    worst_meanwhile: Duration,
    requests: usize,
}

/// Replaces the configuration by one of 10,000 machine types, over and over, while two clients pull.
pub(crate) fn measure(reloads: usize) -> Result<Section> {
    let mut nginx = Nginx::start()?;
    let path = format!("/v2/bench/app/manifests/at-{}", nginx.index(4)?.hex);
    // Passwords are not checked here: a login that is not known yet must not count as guessing.
    let setup = Setup { authentication: Authentication::None, ..Setup::new(Cache::REVALIDATED) };
    let envoy = before(nginx.port, setup).concurrency(2).start()?;
    let columns = [
        "reload",
        "configuration",
        "in force after ms",
        "slowest request before, ms",
        "slowest meanwhile, ms",
        "requests",
    ];
    let mut text = format!(
        "{TYPES} machine types, two workers, two clients that pull all the time. From the rename of the file to the \
         last answer that did not know the new machine type; the slowest request of the 2 s before the rename, and \
         from then \
         until 1 s after the new configuration answered first. No request failed.\n\n"
    );
    text += &report::head(&columns);
    for generation in 1..=2 * reloads {
        let setup = Setup { machine_types: TYPES, generation, ..setup };
        let (form, configuration) = if generation <= reloads {
            ("a Struct, as shipped", setup.text(&envoy, nginx.port))
        } else {
            ("JSON in one string", setup.as_one_string(&envoy, nginx.port))
        };
        let reload = reload(&envoy, &configuration, generation, &path)?;
        let ms = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e3);
        text += &report::line(&[
            generation.to_string(),
            form.to_owned(),
            ms(reload.in_force),
            ms(reload.worst_before),
            ms(reload.worst_meanwhile),
            reload.requests.to_string(),
        ]);
    }
    nginx.stop();
    Ok(Section { name: "reload", text, holds: true, plot: None })
}

fn reload(envoy: &Envoy, configuration: &str, generation: usize, path: &str) -> Result<Reload> {
    let (stop, seen, failed) = (AtomicBool::new(false), Mutex::new(Vec::<Seen>::new()), AtomicUsize::new(0));
    let mut renamed = Instant::now();
    let client = || {
        while !stop.load(Ordering::Relaxed) {
            for (login, is_new) in [("x-first".to_owned(), false), (format!("x-gen{generation}"), true)] {
                let start = Instant::now();
                match envoy.send(&Request::head(path).login(&login, "x")) {
                    Ok(answer) => {
                        let answer = Seen { start, end: Instant::now(), status: answer.status, is_new };
                        seen.lock().unwrap().push(answer);
                    }
                    Err(_) => drop(failed.fetch_add(1, Ordering::Relaxed)),
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(client);
        scope.spawn(client);
        std::thread::sleep(Duration::from_secs(2));
        renamed = Instant::now();
        let replaced = envoy.replace_text(configuration);
        let in_force = || seen.lock().unwrap().iter().any(|answer| answer.is_new && answer.status == 200).then_some(());
        let outcome = wait_for("the new configuration to come into force", Duration::from_secs(30), in_force);
        std::thread::sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        replaced.and(outcome)
    })?;
    judge(&seen.into_inner().unwrap(), renamed, failed.into_inner())
}

fn judge(seen: &[Seen], renamed: Instant, failed: usize) -> Result<Reload> {
    let wrong = seen.iter().filter(|answer| !answer.is_new && answer.status != 200).count() + failed;
    if wrong > 0 {
        return Err(Failure::new(format!("{wrong} requests failed")));
    }
    let old = seen.iter().filter(|answer| answer.is_new && answer.status != 200).map(|answer| answer.end).max();
    let worst = |during: &dyn Fn(&&Seen) -> bool| {
        seen.iter().filter(during).map(|answer| answer.end - answer.start).max().unwrap_or_default()
    };
    Ok(Reload {
        in_force: old.map_or(Duration::ZERO, |old| old.saturating_duration_since(renamed)),
        worst_before: worst(&|answer| answer.end < renamed),
        worst_meanwhile: worst(&|answer| answer.end >= renamed),
        requests: seen.len(),
    })
}
