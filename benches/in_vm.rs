//! Selection and reloads as clients meet them: `make bench`, or `cargo bench --bench in_vm` with a built filter.
//!
//! A small HTTP server stands in for the registry: it answers from memory, so that the times are Envoy's and the
//! filter's. Figures are not asserted; docs/performance.md has some with the machine that they were measured on.

#![allow(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used, reason = "a benchmark may panic")]

mod indexes;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indexes::{description, index, padded};
use metahub::digest::Digest;
use metahub::media_type::{OCI_INDEX, OCI_MANIFEST};
use support::envoy::Envoy;
use support::http::Request;
use support::{Failure, Result, port};

/// Requests of each kind, after a few to warm up.
const ROUNDS: usize = 60;
/// Machine types of the large configuration.
const TYPES: usize = 10_000;
const RELOADS: usize = 5;

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
    let child = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","layers":[]}}"#);
    let digest = Digest::of(child.as_bytes()).to_string();
    let target = (digest.as_str(), child.len());
    let lists = [
        ("4 entries", "small", index(4, 4, target)),
        ("1,000 entries", "thousand", index(1_000, 4, target)),
        ("1,000 entries, 20 features", "wide", index(1_000, 20, target)),
        ("4 MiB, 10,000 entries", "long", padded(index(10_000, 4, target))),
        ("4 MiB, 4 entries", "padded", padded(index(4, 4, target))),
    ];
    let mut documents: HashMap<String, (&str, String)> =
        HashMap::from([(digest.clone(), (OCI_MANIFEST, child.clone()))]);
    documents.extend(lists.iter().map(|(_, tag, text)| ((*tag).to_owned(), (OCI_INDEX, text.clone()))));
    let upstream = serve(documents)?;

    let bare = Envoy::before(upstream).without_filter().start()?;
    let config = configuration(upstream, 0, 0);
    let envoy = Envoy::before(upstream).edit_config(move |shipped| replaced(&shipped, &config)).start()?;

    println!("One request, fastest / median of {ROUNDS}, in ms. Bare Envoy passes the same bytes; the last column is");
    println!("HEAD through MetaHub less both of bare Envoy's: copying the index into the VM, parsing, selecting.\n");
    let columns = ["bytes", "MetaHub HEAD", "bare GET index", "bare GET child", "difference"];
    println!(
        "{:<28}{:>10}{:>18}{:>18}{:>18}{:>18}",
        "index", columns[0], columns[1], columns[2], columns[3], columns[4]
    );
    let path = |reference: &str| format!("/v2/bench/manifests/{reference}");
    for (name, tag, text) in &lists {
        let head = times(&envoy, &Request::head(&path(tag)).login("x-first", "x"))?;
        let whole = times(&bare, &Request::get(&path(tag)))?;
        let single = times(&bare, &Request::get(&path(&digest)))?;
        let difference = [0, 1].map(|place| head[place] - whole[place] - single[place]);
        let cell = |pair: [f64; 2]| format!("{:.2} / {:.2}", pair[0], pair[1]);
        let cells = [head, whole, single, difference].map(|pair| format!("{:>18}", cell(pair))).concat();
        println!("{name:<28}{:>10}{cells}", text.len());
    }
    reloads(&envoy, upstream)
}

/// Fastest and median, in milliseconds.
fn times(envoy: &Envoy, request: &Request) -> Result<[f64; 2]> {
    let mut times = Vec::new();
    for round in 0..ROUNDS + 5 {
        let start = Instant::now();
        let answer = envoy.send(request)?;
        let time = start.elapsed();
        if answer.status != 200 {
            return Err(Failure::new(format!("{}: {}", answer.status, answer.text())));
        }
        if round >= 5 {
            times.push(time.as_secs_f64() * 1000.0);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok([times[0], times[times.len() / 2]])
}

/// One answer: the request's start and end, whether it was for a machine type of the new configuration, its status.
type Seen = (Instant, Instant, bool, u16);

/// Replaces the configuration by one of 10,000 machine types, over and over, while two clients pull.
fn reloads(envoy: &Envoy, upstream: u16) -> Result<()> {
    println!("\n{TYPES} machine types of 3 features, two workers, two clients that pull all the time:\n");
    println!(
        "{:<10}{:>16}{:>22}{:>22}{:>12}",
        "reload", "in force after", "worst request before", "worst request while", "requests"
    );
    for generation in 1..=RELOADS {
        let config = replaced(&envoy.config(), &configuration(upstream, TYPES, generation));
        let (stop, seen) = (AtomicBool::new(false), Mutex::new(Vec::<Seen>::new()));
        let failed = AtomicUsize::new(0);
        let mut renamed = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let logins = ["x-first".to_owned(), format!("x-gen{generation}")];
                    while !stop.load(Ordering::Relaxed) {
                        for (position, login) in logins.iter().enumerate() {
                            let start = Instant::now();
                            match envoy.send(&Request::head("/v2/bench/manifests/small").login(login, "x")) {
                                Ok(answer) => {
                                    seen.lock().unwrap().push((start, Instant::now(), position == 1, answer.status));
                                }
                                Err(_) => drop(failed.fetch_add(1, Ordering::Relaxed)),
                            }
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_secs(2));
            renamed = Instant::now();
            let replaced = envoy.replace_config(&config);
            std::thread::sleep(Duration::from_secs(3));
            stop.store(true, Ordering::Relaxed);
            replaced
        })?;
        report(generation, renamed, &seen.into_inner().unwrap(), failed.into_inner())?;
    }
    Ok(())
}

fn report(generation: usize, renamed: Instant, seen: &[Seen], failed: usize) -> Result<()> {
    let wrong = seen.iter().filter(|(_, _, new, status)| !new && *status != 200).count() + failed;
    if wrong > 0 || !seen.iter().any(|(_, _, new, status)| *new && *status == 200) {
        return Err(Failure::new(format!("{wrong} requests failed, or the configuration never came into force")));
    }
    // The last answer that did not know the new machine type.
    let old = seen.iter().filter(|(_, _, new, status)| *new && *status != 200).map(|(_, end, ..)| *end).max();
    let in_force = old.map_or(Duration::ZERO, |old| old.saturating_duration_since(renamed));
    let worst = |during: &dyn Fn(&Seen) -> bool| {
        seen.iter().filter(|seen| during(seen)).map(|(start, end, ..)| *end - *start).max().unwrap_or_default()
    };
    let before = worst(&|(_, end, ..)| *end < renamed);
    let meanwhile = worst(&|(_, end, ..)| *end >= renamed);
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1000.0);
    println!("{generation:<10}{:>16}{:>22}{:>22}{:>12}", ms(in_force), ms(before), ms(meanwhile), seen.len());
    Ok(())
}

/// MetaHub's configuration: `first` with 20 features, `types` others, and one named after the generation.
fn configuration(upstream: u16, types: usize, generation: usize) -> String {
    let mut text = String::from("          machine_types:\n");
    let features = serde_json::json!(description(20).features);
    let _ = writeln!(
        text,
        "            first: {{ features: {features} }}\n            gen{generation}: {{ features: {features} }}"
    );
    for number in 0..types {
        let _ = writeln!(
            text,
            "            t{number}: {{ features: [\"cpu:skylake\", \"nvcap:8.{}\", \"rack:{}\"] }}",
            number % 10,
            number % 100
        );
    }
    let _ = writeln!(
        text,
        "          registries: {{ registry: {{ host: \"127.0.0.1:{upstream}\", authentication: none }} }}"
    );
    text
}

/// A configuration file with another configuration of MetaHub.
fn replaced(file: &str, configuration: &str) -> String {
    let end = file.find("          machine_types:\n").unwrap_or(file.len());
    format!("{}{configuration}", &file[..end])
}

/// Answers by the last part of the path, from memory, on kept-alive connections. Returns the port.
fn serve(documents: HashMap<String, (&'static str, String)>) -> Result<u16> {
    let port = port::free();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let documents = Arc::new(documents);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let documents = Arc::clone(&documents);
            std::thread::spawn(move || answer(&stream, &documents));
        }
    });
    Ok(port)
}

fn answer(stream: &TcpStream, documents: &HashMap<String, (&'static str, String)>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (mut lines, mut out) = (BufReader::new(stream).lines(), stream);
    loop {
        let request = lines.next()?.ok()?;
        while !lines.next()?.ok()?.is_empty() {}
        let reference = request.split(' ').nth(1)?.rsplit('/').next()?;
        let (media_type, body) = documents.get(reference)?;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n", body.len());
        out.write_all(head.as_bytes()).ok()?;
        if !request.starts_with("HEAD ") {
            out.write_all(body.as_bytes()).ok()?;
        }
    }
}
