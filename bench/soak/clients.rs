//! Real container clients, which pull and run.

use crate::stage::{MACHINES, Stage};
use metahub_testkit::bench::{REPOSITORY, line};
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::curl::{Curl, Version};
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::oci_client::OciClient;
use metahub_testkit::client::podman::Podman;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::client::{Client, Login};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::{Failure, Result};

/// The clients that this machine has, with their daemons.
pub(crate) struct Clients(Vec<(&'static str, Box<dyn Client>)>);

impl Clients {
    pub(crate) fn start() -> Result<Self> {
        let mut clients = Self(Vec::new());
        clients.add("docker", &Docker::PROGRAMS, true, Docker::start)?;
        clients.add("ctr --user", &Containerd::PROGRAMS, true, || Containerd::start(Credentials::Option))?;
        clients.add("ctr hosts.toml", &Containerd::PROGRAMS, true, || Containerd::start(Credentials::HostsToml))?;
        clients.add("podman", &Podman::PROGRAMS, true, Podman::new)?;
        clients.add("skopeo", &Skopeo::PROGRAMS, true, Skopeo::new)?;
        clients.add("curl HTTP/1.1", &Curl::PROGRAMS, false, || Ok(Curl::new(Version::Http1)))?;
        clients.add("curl h2c", &Curl::PROGRAMS, false, || Ok(Curl::new(Version::Http2)))?;
        clients.add("oci-client", &[], false, OciClient::build)?;
        Ok(clients)
    }

    /// Starts a client, or says why it does not take part; with `CI=true` all must.
    fn add<C: Client + 'static>(
        &mut self,
        name: &'static str,
        programs: &[&str],
        sandboxed: bool,
        start: impl FnOnce() -> Result<C>,
    ) -> Result<()> {
        if reason_to_skip(name, programs, sandboxed)?.is_none() {
            self.0.push((name, Box::new(start()?)));
        }
        Ok(())
    }

    /// Each client pulls as one of the machine types, another one in each round.
    pub(crate) fn pull(&mut self, round: usize, stage: &Stage) -> Result<()> {
        let host = format!("127.0.0.1:{}", stage.envoy.port());
        for (number, (name, client)) in self.0.iter_mut().enumerate() {
            let (machine, features) = MACHINES[(round + number) % MACHINES.len()];
            let failed = |what: &str| Failure::new(format!("{name} as {machine}: {what}"));
            let user = format!("qnib-{machine}");
            client.log_in(&host, &Login::new(&user, &user)).map_err(|failure| failed(&failure.to_string()))?;
            let pulled = client.pull(&format!("{host}/{REPOSITORY}:latest"));
            let pulled = pulled.map_err(|failure| failed(&failure.to_string()))?;
            if pulled.digest != stage.bench.digest(features) {
                return Err(failed(&format!("pulled {}", pulled.digest)));
            }
            if let Some(printed) = pulled.printed.filter(|printed| *printed != line(features)) {
                return Err(failed(&printed));
            }
        }
        Ok(())
    }
}
