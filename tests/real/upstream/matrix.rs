//! Every client against every kind of registry: the right image, or none.
//!
//! One row for each client and kind, one column for each outcome. A refusal must fail the client, at its login (if that
//! asks the registry) and at the pull with the same credentials, and must say why in the client's words.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Instant;

use super::kinds::{KEPT, Kind, Kinds};
use super::pulls::{self, Layers};
use metahub_testkit::bench::{REPOSITORY, line};
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::podman::Podman;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client, Login};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::{Failure, Result};

const COLUMNS: [&str; 4] = ["right", "password", "type", "repository"];
/// The machine type of a right login, and the image that it must get.
const MACHINE: (&str, &[&str]) = ("type2", &["cpu:skylake"]);
/// Words of the clients' errors for a 403; docker, podman and skopeo show its code.
const DENIED: [&str; 3] = ["denied", "403 Forbidden", "status 403"];

struct Row {
    name: String,
    cells: Vec<(&'static str, Result<()>)>,
    seconds: f64,
}

#[test]
fn every_client_and_every_kind_of_registry() {
    let kinds = Kinds::set();
    let layers = Mutex::new(Layers::set());
    let rows = std::thread::scope(|scope| {
        let stages = (&kinds, &layers);
        let clients = [
            scope.spawn(move || exercise("docker", &Docker::PROGRAMS, stages, Docker::start)),
            scope.spawn(move || {
                exercise("ctr --user", &Containerd::PROGRAMS, stages, || Containerd::start(Credentials::Option))
            }),
            scope.spawn(move || {
                exercise("ctr hosts.toml", &Containerd::PROGRAMS, stages, || Containerd::start(Credentials::HostsToml))
            }),
            scope.spawn(move || exercise("podman", &Podman::PROGRAMS, stages, Podman::new)),
            scope.spawn(move || exercise("skopeo", &Skopeo::PROGRAMS, stages, Skopeo::new)),
        ];
        let rows = clients.map(|client| client.join().unwrap()).into_iter().flatten();
        // The rows with other columns last.
        let (matrix, tokens): (Vec<Row>, Vec<Row>) = rows.partition(|row| row.cells[0].0 == COLUMNS[0]);
        matrix.into_iter().chain(tokens).collect::<Vec<Row>>()
    });
    let _ = write!(std::io::stderr(), "\n{}", draw(&rows));
    let cells = rows.iter().flat_map(|row| row.cells.iter().map(move |(column, result)| (row, column, result)));
    let failed: Vec<String> = cells
        .filter_map(|(row, column, result)| Some(format!("{}, {column}: {}", row.name, result.as_ref().err()?)))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    kinds.assert_sound();
}

fn exercise<C: Client>(
    name: &str,
    programs: &[&str],
    (kinds, layers): (&Kinds, &Mutex<Layers>),
    start: impl FnOnce() -> Result<C>,
) -> Vec<Row> {
    if reason_to_skip(name, programs, true).unwrap().is_some() {
        return Vec::new();
    }
    let mut client = start().unwrap();
    let mut rows: Vec<Row> = Vec::new();
    for kind in &kinds.kinds {
        let started = Instant::now();
        let cells = vec![
            (COLUMNS[0], right(&mut client, kinds, kind)),
            (COLUMNS[1], wrong_password(&mut client, kind)),
            (COLUMNS[2], forbidden_type(&mut client, kind)),
            (COLUMNS[3], forbidden(&mut client, kind, &Kinds::login(MACHINE.0), KEPT, &DENIED)),
        ];
        let name = format!("{name:16}{}", kind.name);
        rows.push(Row { name, cells, seconds: started.elapsed().as_secs_f64() });
    }
    // One after the other: they change what the token service does.
    let layers = layers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let started = Instant::now();
    // Slow pulls for two clients that fetch layers in their own ways, with and without a daemon.
    let slowly = ["docker", "skopeo"].contains(&name);
    let columns = pulls::COLUMNS.iter().filter(|column| slowly || !column.slow);
    let cells = columns.map(|column| (column.name, (column.check)(&mut client, &layers))).collect();
    rows.push(Row { name: format!("{name:16}tokens"), cells, seconds: started.elapsed().as_secs_f64() });
    rows
}

fn right(client: &mut dyn Client, kinds: &Kinds, kind: &Kind) -> Result<()> {
    client.log_in(&kind.front, &Kinds::login(MACHINE.0))?;
    let pulled = client.pull(&format!("{}/{REPOSITORY}:latest", kind.front))?;
    let expected = (kinds.bench.digest(MACHINE.1), line(MACHINE.1));
    let printed = pulled.printed.clone().unwrap_or_else(|| expected.1.clone());
    if (&pulled.digest, &printed) == (&expected.0, &expected.1) {
        return Ok(());
    }
    Err(Failure::new(format!("{pulled:?}, expected {expected:?}")))
}

/// Right after a right one.
fn wrong_password(client: &mut dyn Client, kind: &Kind) -> Result<()> {
    let login = Login::new(&Kinds::login(MACHINE.0).user, "hunter2-wrong");
    if client.logs_in() {
        fails("the login", client.log_in(&kind.front, &login), client.refused())?;
    }
    client.keep(&kind.front, &login)?;
    fails("the pull", client.pull(&format!("{}/{REPOSITORY}:latest", kind.front)), client.refused())
}

/// MetaHub denies the machine type. A registry with users takes a suffix that is not a machine type for a part of the
/// account's name, and has no such account.
fn forbidden_type(client: &mut dyn Client, kind: &Kind) -> Result<()> {
    let words = [&DENIED, client.refused()].concat();
    forbidden(client, kind, &kind.forbidden, REPOSITORY, &words)
}

fn forbidden(client: &mut dyn Client, kind: &Kind, login: &Login, repository: &str, words: &[&str]) -> Result<()> {
    client.keep(&kind.front, login)?;
    fails("the pull", client.pull(&format!("{}/{repository}:latest", kind.front)), words)
}

fn fails<T: std::fmt::Debug>(what: &str, outcome: Result<T>, words: &[&str]) -> Result<()> {
    let error = match outcome {
        Ok(got) => return Err(Failure::new(format!("{what} succeeded: {got:?}"))),
        Err(error) => error.to_string(),
    };
    if words.iter().any(|word| error.contains(word)) {
        return Ok(());
    }
    Err(Failure::new(format!("{what} failed with none of {words:?}: {error}")))
}

fn draw(rows: &[Row]) -> String {
    let mut table = String::new();
    let mut columns: Vec<&str> = Vec::new();
    for row in rows {
        let names: Vec<&str> = row.cells.iter().map(|(column, _)| *column).collect();
        if names != columns {
            columns = names;
            let heads: String = columns.iter().map(|column| format!("{column:>12}")).collect();
            let _ = writeln!(table, "{:16}{:12}{heads}     seconds", "client", "registry");
        }
        let cell = |(_, result): &(&str, Result<()>)| format!("{:>12}", if result.is_ok() { "ok" } else { "FAILED" });
        let cells: String = row.cells.iter().map(cell).collect();
        let _ = writeln!(table, "{:28}{cells}{:>12.1}", row.name, row.seconds);
    }
    table
}
