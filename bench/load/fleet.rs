//! A whole fleet rolls out: every node pulls every image at once, through two Envoys or directly.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{self, Answer, Request, Session};
use crate::generated::{Counts, Generated, Image};
use crate::report::{self, Section};
use crate::requests::{basic, wire};
use crate::subject::{Cache, NODES, Setup, Subject};
use metahub_testkit::{Failure, Result};

const IMAGES: u64 = 50;
const ENVOYS: usize = 2;
/// Nodes that pull at the same moment.
const CONNECTIONS: usize = 200;
/// How long the upstream takes to answer the GET of a manifest: as long as a registry across a network, so that many
/// nodes ask before the first of them is answered.
const DELAY: Duration = Duration::from_millis(20);
/// A roll-out that takes longer is cut short; the figures are those of the pulls that were begun.
const PATIENCE: Duration = Duration::from_secs(55);
/// Docker Hub's published limits for six hours: anonymous pulls from one address, and pulls of one free account. GET of
/// a manifest counts, HEAD does not.
const DOCKER_HUB: [(&str, u64); 2] = [("anonymous", 100), ("free account", 200)];

/// The pulls of those nodes that one Envoy serves (or of all, directly): each node pulls an image before any node pulls
/// the next one.
struct Queue {
    taken: Cell<u64>,
    end: Instant,
    nodes: u64,
    images: u64,
    /// Nodes are numbered `first`, `first + step`, …
    first: u64,
    step: u64,
}

impl Queue {
    /// Image and node of the next pull.
    fn take(&self) -> Option<(u64, u64)> {
        let (taken, nodes) = (self.taken.get(), self.nodes / self.step);
        if taken >= nodes * self.images || Instant::now() >= self.end {
            return None;
        }
        self.taken.set(taken + 1);
        Some((taken / nodes, self.first + taken % nodes * self.step))
    }
}

/// The stage of a pull.
enum Stage {
    Idle,
    /// The tag was asked for with HEAD.
    Head,
    /// The index was asked for by digest; only without MetaHub.
    Index,
    /// The image was asked for by digest.
    Image,
}

/// A node after the other on one connection, as docker and containerd pull: HEAD of the tag, GET of what it names.
struct Node<'a> {
    queue: &'a Queue,
    upstream: &'a Generated,
    logins: &'a [String],
    through_metahub: bool,
    stage: Stage,
    image: u64,
    machine_type: usize,
    digest: String,
}

impl Node<'_> {
    fn manifest(&self, method: &str, reference: &str) -> Request {
        let path = format!("/v2/bench/{}/manifests/{reference}", self.image);
        wire(method, &path, &self.logins[self.machine_type])
    }

    fn wanted(&self, image: &Arc<Image>) -> String {
        image.children[self.machine_type].digest.clone()
    }
}

impl Session for Node<'_> {
    fn next(&mut self) -> Option<Request> {
        Some(match self.stage {
            Stage::Idle => {
                let (image, node) = self.queue.take()?;
                self.image = image;
                self.machine_type = usize::try_from(node).unwrap_or_default() % NODES;
                self.stage = Stage::Head;
                self.manifest("HEAD", "latest")
            }
            Stage::Head | Stage::Index | Stage::Image => self.manifest("GET", &self.digest),
        })
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        let digest = answer.header("docker-content-digest").unwrap_or_default();
        let image = self.upstream.image(self.image);
        let expected = match self.stage {
            Stage::Head if !self.through_metahub => image.index.digest.clone(),
            Stage::Index => image.index.digest.clone(),
            Stage::Idle | Stage::Head | Stage::Image => self.wanted(&image),
        };
        if answer.status != 200 || digest != expected {
            let head = String::from_utf8_lossy(answer.head);
            return Err(Failure::new(format!("node{}: expected {expected}, got\n{head}", self.machine_type)));
        }
        (self.stage, self.digest) = match self.stage {
            Stage::Head if self.through_metahub => (Stage::Image, expected),
            Stage::Head => (Stage::Index, expected),
            Stage::Index => (Stage::Image, self.wanted(&image)),
            Stage::Idle | Stage::Image => (Stage::Idle, String::new()),
        };
        Ok(())
    }
}

/// The cost of a roll-out.
struct Rollout {
    name: String,
    pulls: u64,
    counts: Counts,
    elapsed: Duration,
    /// CPU of both Envoys together.
    cpu: Option<Duration>,
}

/// Plays the fleet with this many nodes.
pub(crate) fn measure(nodes: u64) -> Result<Section> {
    let upstream = Generated::start(NODES)?;
    let envoys: Vec<Subject> =
        (0..ENVOYS).map(|_| Subject::anywhere(upstream.port, Setup::new(Cache::REVALIDATED))).collect::<Result<_>>()?;
    let logins: Vec<String> = (0..NODES).map(|number| basic(&format!("bench-node{number}"))).collect();
    let play = |name: &str, ports: &[u16], nodes: u64, images: u64| {
        let through_metahub = ports != [upstream.port];
        upstream.set_delay(if through_metahub { DELAY } else { Duration::ZERO });
        let cpu = || envoys.iter().map(Subject::cpu_time).sum::<Result<Duration>>();
        let (_, before, start) = (upstream.take_counts(), cpu()?, Instant::now());
        let pulls = roll_out(&upstream, ports, &logins, nodes, images)?;
        let cpu = if through_metahub { Some(cpu()?.saturating_sub(before)) } else { None };
        let counts = upstream.take_counts();
        Ok::<_, Failure>(Rollout { name: name.to_owned(), pulls, counts, elapsed: start.elapsed(), cpu })
    };
    let ports: Vec<u16> = envoys.iter().map(Subject::port).collect();
    let rollouts = [
        play("directly", &[upstream.port], nodes, IMAGES)?,
        play("through two Envoys with MetaHub", &ports, nodes, IMAGES)?,
        play("again, a tenth of the nodes, nothing changed", &ports, nodes / 10, IMAGES)?,
    ];
    Ok(section(&rollouts, nodes))
}

/// Pulls, and says how many pulls that were.
fn roll_out(upstream: &Generated, ports: &[u16], logins: &[String], nodes: u64, images: u64) -> Result<u64> {
    let end = Instant::now() + PATIENCE;
    let queue =
        |first: usize| Queue { taken: 0.into(), end, nodes, images, first: first as u64, step: ports.len() as u64 };
    let queues: Vec<Queue> = (0..ports.len()).map(queue).collect();
    let node = |connection: usize| Node {
        queue: &queues[connection % ports.len()],
        upstream,
        logins,
        through_metahub: ports != [upstream.port],
        stage: Stage::Idle,
        image: 0,
        machine_type: 0,
        digest: String::new(),
    };
    let mut clients: Vec<Node<'_>> = (0..CONNECTIONS).map(node).collect();
    let port = |connection: usize| ports[connection % ports.len()];
    let sessions = clients.iter_mut().enumerate();
    client::run(sessions.map(|(number, session)| (port(number), session as &mut dyn Session)).collect())?;
    Ok(queues.iter().map(|queue| queue.taken.get()).sum())
}

fn section(rollouts: &[Rollout], nodes: u64) -> Section {
    let mut text = format!(
        "{nodes} nodes of {NODES} machine types pull {IMAGES} images (an entry for each machine type), \
         {CONNECTIONS} at a time, all of them one image before any of them the next. A pull is HEAD of the tag and GET \
         by digest, as docker and containerd do; blobs are left out, they are the same either way. The upstream \
         answers the GET of a manifest \
         {} ms late where MetaHub asks.\n\n",
        DELAY.as_millis()
    );
    let mut columns = vec!["", "pulls", "manifest GETs upstream", "manifest HEADs upstream", "Envoy CPU µs per pull"];
    let hub = DOCKER_HUB.map(|(who, allowance)| format!("six hours of Docker Hub, {who} ({allowance})"));
    columns.extend(hub.iter().map(String::as_str));
    text += &report::head(&columns);
    for rollout in rollouts {
        let cpu = rollout.cpu.map(|cpu| cpu.div_f64(rollout.pulls as f64));
        let mut cells = vec![
            rollout.name.clone(),
            rollout.pulls.to_string(),
            rollout.counts.manifest_gets.to_string(),
            rollout.counts.manifest_heads.to_string(),
            cpu.map_or_else(|| "–".to_owned(), report::micros),
        ];
        cells.extend(DOCKER_HUB.map(|(_, allowance)| rollout.counts.manifest_gets.div_ceil(allowance).to_string()));
        text += &report::line(&cells);
        println!("{}: {:.0} s", rollout.name, rollout.elapsed.as_secs_f64());
    }
    Section { name: "fleet", text, holds: true, plot: None }
}
