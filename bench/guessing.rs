//! Measures how much clients that guess passwords cost the others: `cargo bench -p metahub-bench --bench guessing` with
//! a built filter.
//!
//! There is one Envoy worker, so that all clients share it. A client with a remembered login pings all the time, and
//! others log in for the first time, each from its own address. Guessers send wrong passwords for unused names, over a
//! few connections or over many at once, from one address or from many. Figures are not asserted; docs/guessing.md has
//! some.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Builder, Envoy};
use metahub_testkit::http::Request;
use metahub_testkit::http::connection::Connection;
use metahub_testkit::port;
use metahub_testkit::{Failure, Result};

/// The budget of wrong passwords is one of ten seconds: this holds a whole one.
const WINDOW: Duration = Duration::from_secs(12);
/// Clients that log in for the first time in that time.
const LOGINS: u8 = 48;

fn main() -> ExitCode {
    // `cargo test --all-targets` runs benchmarks with no `--bench`; there is nothing to test in here.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    println!("A remembered client's pings through one worker for {} s, while others guess:\n", WINDOW.as_secs());
    let columns = [
        "cost",
        "connections",
        "addresses",
        "looked at",
        "refused (429)",
        "first logins",
        "median ping",
        "worst ping",
        "Envoy's CPU",
    ];
    println!("{}", columns.map(|column| format!("{column:>15}")).concat());
    for cost in [5, 7, 10] {
        for (connections, addresses) in [(0, 0), (4, 1), (200, 1), (200, 200)] {
            measure(cost, connections, addresses)?;
        }
    }
    Ok(())
}

/// `connections` clients at so many addresses that each send one wrong password after the other.
fn measure(cost: u32, connections: u8, addresses: u8) -> Result<()> {
    let envoy = envoy(cost)?;
    let mut own = Connection::open(envoy.port())?;
    for _ in 0..20 {
        ping(&mut own)?;
    }
    let guesser = |number: u8| Connection::open_from(Ipv4Addr::new(127, 0, 2, number % addresses), envoy.port());
    let guessers: Vec<Connection> = (0..connections).map(guesser).collect::<Result<_>>()?;
    let (stop, guesses) = (AtomicBool::new(false), Guesses::default());
    let before = envoy.cpu_time()?;
    let (mut times, logins) = std::thread::scope(|scope| {
        for mut guesser in guessers {
            let (stop, guesses) = (&stop, &guesses);
            scope.spawn(move || while !stop.load(Ordering::Relaxed) && guesses.send(&mut guesser).is_some() {});
        }
        let logins = scope.spawn(|| first_logins(envoy.port()));
        let times = pings(&mut own);
        stop.store(true, Ordering::Relaxed);
        let logins = logins.join().map_err(|_| Failure::new("the first logins"))?;
        Ok::<_, Failure>((times?, logins?))
    })?;
    times.sort();
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let cells = [
        cost.to_string(),
        connections.to_string(),
        addresses.to_string(),
        guesses.looked_at.into_inner().to_string(),
        guesses.limited.into_inner().to_string(),
        format!("{logins} of {LOGINS}"),
        ms(times[times.len() / 2]),
        ms(times[times.len() - 1]),
        format!("{:.2} s", (envoy.cpu_time()? - before).as_secs_f64()),
    ];
    println!("{}", cells.map(|cell| format!("{cell:>15}")).concat());
    Ok(())
}

/// How many first logins succeed, each from its own address and with its own account, all over the time.
fn first_logins(port: u16) -> Result<usize> {
    let mut accepted = 0;
    for number in 0..LOGINS {
        std::thread::sleep(WINDOW / (u32::from(LOGINS) + 1));
        let mut connection = Connection::open_from(Ipv4Addr::new(127, 0, 1, number), port)?;
        let request = Request::get("/v2/").login(&format!("login{number}"), "remembered");
        accepted += usize::from(connection.send(&request)?.status == 200);
    }
    Ok(accepted)
}

/// The outcomes of the guesses.
#[derive(Default)]
struct Guesses {
    sent: AtomicUsize,
    looked_at: AtomicUsize,
    limited: AtomicUsize,
}

impl Guesses {
    /// Sends a wrong password for an unused name; `None` if there is no answer.
    fn send(&self, connection: &mut Connection) -> Option<()> {
        let name = format!("name{}", self.sent.fetch_add(1, Ordering::Relaxed));
        let answer = connection.send(&Request::get("/v2/").login(&name, "guess")).ok()?;
        match answer.status {
            401 => drop(self.looked_at.fetch_add(1, Ordering::Relaxed)),
            429 => {
                self.limited.fetch_add(1, Ordering::Relaxed);
                // Only the cost of checking is of interest, because refusing costs next to nothing.
                std::thread::sleep(Duration::from_millis(500));
            }
            _ => return None,
        }
        Some(())
    }
}

/// How long each ping took.
fn pings(connection: &mut Connection) -> Result<Vec<Duration>> {
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < WINDOW {
        let sent = Instant::now();
        ping(connection)?;
        times.push(sent.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(times)
}

fn ping(connection: &mut Connection) -> Result<()> {
    let answer = connection.send(&Request::get("/v2/").login("remembered", "remembered"))?;
    if answer.status == 200 { Ok(()) } else { Err(Failure::new(format!("{}: {}", answer.status, answer.text()))) }
}

/// Envoy with one worker and the accounts `remembered` and `login0` to `login47`, whose password, the same for all, has
/// this cost. Nothing is behind it: pings need nothing.
fn envoy(cost: u32) -> Result<Envoy> {
    let hash = bcrypt::hash("remembered", cost).map_err(|error| Failure::new(error.to_string()))?;
    let accounts = move |config: &mut Value| {
        let names = (0..LOGINS).map(|number| format!("login{number}")).chain(["remembered".to_owned()]);
        let account = json!({ "password": hash, "machine_type": "type1" });
        config.set("accounts", names.map(|name| (name, account.clone())).collect::<Map<_, _>>());
    };
    Builder::before(port::free()).concurrency(1).config(accounts).start()
}
