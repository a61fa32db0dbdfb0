//! Every client, by every source of a machine type that it can carry, with every kind of authentication: the image of
//! its own machine, or none.
//!
//! Each client is on two nodes of different machine types, which share one secret unless that carries the machine type;
//! they pull in turns.

mod hubs;
mod nodes;
mod table;
mod ways;
mod without_settings;

use std::time::Instant;

use self::hubs::{Hub, Hubs};
use self::nodes::{MACHINES, Node};
use self::table::{Cell, Row};
use self::ways::{PROGRAMS, Program, SOURCES, Source, Way};
use metahub_testkit::bench::FEATURES;
use metahub_testkit::sandbox::Sandbox;
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::{Failure, Result};

/// The nodes pull in this order.
const TURNS: [usize; 3] = [0, 1, 0];

#[test]
fn every_client_by_every_source_with_every_authentication() {
    let present = PROGRAMS
        .into_iter()
        .filter(|program| reason_to_skip(program.name(), nodes::needs(*program), true).unwrap().is_none());
    let pairs: Vec<(Program, [Sandbox; 2])> =
        present.map(|program| (program, [nodes::node(program.name()), nodes::node(program.name())])).collect();
    let telling = |pair: &[Sandbox; 2]| {
        let machines = MACHINES.map(|(machine, _)| machine);
        pair.iter().map(nodes::telling).zip(machines).collect::<Vec<_>>()
    };
    let hubs = Hubs::set(&pairs.iter().flat_map(|(_, pair)| telling(pair)).collect::<Vec<_>>());
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let hubs = &hubs;
        let clients = pairs.into_iter().map(|(program, pair)| scope.spawn(move || exercise(program, pair, hubs)));
        let clients: Vec<_> = clients.collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    table::print(&rows);
    assert_eq!(table::failures(&rows), Vec::<String>::new());
    hubs.assert_sound();
}

/// A client's rows of the table: one for each kind of authentication.
fn exercise(program: Program, sandboxes: [Sandbox; 2], hubs: &Hubs) -> Vec<Row> {
    let mut nodes = sandboxes.map(|sandbox| Node::start(program, sandbox).unwrap());
    let row = |hub: &Hub| {
        let started = Instant::now();
        let cell = |source: Source| match ways::way(program, source, hub.authentication) {
            Ok(way) => match take_turns(&mut nodes, (hubs, hub), way, source) {
                Ok(()) => Cell::Right(way),
                Err(failure) => Cell::Failed(failure),
            },
            Err(reason) => match nodes[0].prove(reason) {
                Ok(()) => Cell::Impossible(reason),
                Err(failure) => Cell::Failed(failure),
            },
        };
        let cells = SOURCES.map(cell).into();
        Row { program, authentication: hub.authentication, cells, seconds: started.elapsed().as_secs_f64() }
    };
    hubs.hubs.iter().map(row).collect()
}

fn take_turns(nodes: &mut [Node; 2], (hubs, hub): (&Hubs, &Hub), way: Way, source: Source) -> Result<()> {
    for (turn, number) in TURNS.into_iter().enumerate() {
        let (machine, features) = MACHINES[number];
        let digest = match source {
            Source::Described => nodes[number].pull(hub, way, &way.notation(features[0]))?,
            _ => nodes[number].pull(hub, way, machine)?,
        };
        if digest != hubs.bench.digest(features) {
            let images = FEATURES.iter().zip(&hubs.bench.images);
            let other = images.filter(|(_, image)| image.manifest.digest() == digest).map(|(features, _)| features);
            let other: Vec<_> = other.collect();
            return Err(Failure::new(format!("{machine} got {digest} in turn {turn}, the image {other:?}")));
        }
    }
    Ok(())
}

#[test]
fn the_page_has_these_files_and_this_table() {
    // Its notes are wrapped.
    let page = include_str!("../../../docs/nodes.md").replace("\n  ", " ");
    let file = |text: String| format!("```toml\n{}```", text.replace("http://", "https://"));
    let hub = "metahub.example";
    let texts = [
        file(nodes::hosts_toml(hub, "", Some("gpu1"))),
        file(nodes::hosts_toml(hub, "/machines/gpu1", None)),
        file(nodes::registries_conf(hub, &format!("{hub}/machines/gpu1"))),
        table::of_the_page(),
    ];
    for text in texts {
        assert!(page.contains(&text), "docs/nodes.md lacks:\n{text}");
    }
}
