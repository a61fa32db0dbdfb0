//! The shipped Envoy before three registries: one that is stopped and started, one that misbehaves, and one that works.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use metahub::oci::digest::Digest;

use crate::faulty_registry;
use metahub_testkit::bench::{Bench, REPOSITORY};
use metahub_testkit::config::Edit as _;
use metahub_testkit::envoy::{Speaks, add_registry};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::registry::Registry;
use metahub_testkit::server::Server;
use metahub_testkit::stage::{self, stage};
use metahub_testkit::{Failure, Result, wait_for};

/// The machine types that pull, with the features of the image that each must get.
pub(crate) const MACHINES: [(&str, &[&str]); 3] =
    [("type1", &["cpu:broadwell"]), ("type2", &["cpu:skylake"]), ("type3", &["cpu:broadwell", "nvcap:5.2"])];
/// The machine type that reloads change.
pub(crate) const CHANGING: usize = 0;
/// The host names of the two registries that are not the shipped one.
pub(crate) const STEADY: &str = "steady.test";
pub(crate) const FAULTY: &str = "faulty.test";
/// How soon nothing is under way any more.
const REST: Duration = Duration::from_secs(60);

/// All processes.
pub(crate) struct Stage {
    base: stage::Stage,
    _steady: Registry,
    _faulty: Server,
}

impl Deref for Stage {
    type Target = stage::Stage;

    fn deref(&self) -> &stage::Stage {
        &self.base
    }
}

impl DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut stage::Stage {
        &mut self.base
    }
}

impl Stage {
    pub(crate) fn set() -> Result<Self> {
        let bench = Arc::new(Bench::build());
        let steady = Registry::start()?;
        bench.push(&steady)?;
        let faulty = Server::start(move |request| faulty_registry::serve(request, &bench))?;
        let ports = [("steady", steady.port()), ("faulty", faulty.port())];
        let config = move |config: &mut Value| {
            for (name, port) in ports {
                let registry = json!({ "host": format!("127.0.0.1:{port}"), "authentication": "accounts" });
                config.add(&format!("registries.{name}"), registry);
            }
        };
        let bootstrap = move |bootstrap: &mut Value| {
            for (name, port) in ports {
                add_registry(bootstrap, name, port, Speaks::Http1);
            }
        };
        let base = stage().config(config).bootstrap(bootstrap).start()?;
        Ok(Self { base, _steady: steady, _faulty: faulty })
    }

    /// The image that a machine must get, as bytes.
    pub(crate) fn image(&self, machine: usize) -> &[u8] {
        &self.bench.image(MACHINES[machine].1).manifest.bytes
    }

    /// Asks for the demo's tag, or for another one of its index, as one of the machines.
    pub(crate) fn pull(&self, machine: usize, tag: &str) -> Result<()> {
        let answer = self.envoy.send(&as_machine(Request::get(&manifest(tag)), machine))?;
        self.is_right(machine, &answer)
    }

    /// Whether this is the image of the machine.
    pub(crate) fn is_right(&self, machine: usize, answer: &Response) -> Result<()> {
        let digest = Digest::of(&answer.body).to_string();
        if answer.status == 200 && answer.body == self.image(machine) && said(answer) == Some(&digest) {
            return Ok(());
        }
        Err(unexpected(MACHINES[machine].0, answer))
    }

    /// Waits until nothing is under way but the steady clients' requests, which are one at a time each.
    pub(crate) fn rest(&self) -> Result<()> {
        let at_rest = wait_for("Envoy at rest", REST, || {
            let (clients, upstream) = self.under_way().ok()?;
            (clients <= 2 && upstream <= 2).then_some(())
        });
        at_rest.map_err(|failure| Failure::new(format!("{failure}: {:?} are under way", self.under_way())))
    }

    /// Requests under way: of clients, and to registries, callouts included.
    pub(crate) fn under_way(&self) -> Result<(u64, u64)> {
        let clients = self.envoy.stat("http.clients.downstream_rq_active", "")?;
        Ok((clients, self.envoy.stat("cluster.", ".upstream_rq_active")?))
    }
}

/// The path of a tag of the demo's index.
pub(crate) fn manifest(tag: &str) -> String {
    format!("/v2/{REPOSITORY}/manifests/{tag}")
}

/// With the login of a machine; its password is its name.
pub(crate) fn as_machine(request: Request, machine: usize) -> Request {
    let user = format!("qnib-{}", MACHINES[machine].0);
    request.login(&user, &user)
}

pub(crate) fn unexpected(what: &str, answer: &Response) -> Failure {
    Failure::new(format!("{what}: {} {:.300}", answer.status, answer.text()))
}

fn said(answer: &Response) -> Option<&str> {
    answer.header("docker-content-digest")
}
