//! Every client against the real chain: client → Envoy with the filter → registry.
//!
//! One table of cases ([`cases::CASES`]) runs against all clients; each client has its own `#[test]`, its own Envoy and
//! registry. The last one prints the whole table of results.

mod cases;
mod curl;
mod leftovers;
mod stage;
mod table;

use std::time::{Duration, Instant};

use metahub_testkit::client::Client;
use metahub_testkit::client::containerd::{Containerd, Credentials};
use metahub_testkit::client::curl::{Curl, Version};
use metahub_testkit::client::docker::Docker;
use metahub_testkit::client::oci_client::OciClient;
use metahub_testkit::client::podman::Podman;
use metahub_testkit::client::skopeo::Skopeo;
use metahub_testkit::sandbox::{Sandbox, traces};
use metahub_testkit::skip::reason_to_skip;
use metahub_testkit::{Failure, Result};

#[test]
fn docker() {
    exercise("docker", &Docker::PROGRAMS, true, Docker::start);
}

#[test]
fn containerd() {
    exercise("ctr --user", &Containerd::PROGRAMS, true, || Containerd::start(Credentials::Option));
}

#[test]
fn containerd_with_hosts_toml() {
    exercise("ctr hosts.toml", &Containerd::PROGRAMS, true, || Containerd::start(Credentials::HostsToml));
}

#[test]
fn podman() {
    exercise("podman", &Podman::PROGRAMS, true, Podman::new);
}

#[test]
fn skopeo() {
    exercise("skopeo", &Skopeo::PROGRAMS, true, Skopeo::new);
}

#[test]
fn curl_http1() {
    exercise("curl HTTP/1.1", &Curl::PROGRAMS, false, || Ok(Curl::new(Version::Http1)));
}

#[test]
fn curl_http2() {
    exercise("curl h2c", &Curl::PROGRAMS, false, || Ok(Curl::new(Version::Http2)));
}

#[test]
fn oci_client() {
    exercise("oci-client", &[], false, OciClient::build);
}

/// Starts a client and a stage for it, runs all cases, ends the client and looks for its leftovers.
fn exercise<C: Client>(name: &'static str, programs: &[&str], sandboxed: bool, start: impl FnOnce() -> Result<C>) {
    if let Some(reason) = reason_to_skip(name, programs, sandboxed).unwrap() {
        return table::report(name, Err(format!("skipped: {reason}")), Duration::ZERO);
    }
    let started = Instant::now();
    let stage = stage::start();
    let mut client = start().unwrap();
    let mut results: table::Results = Vec::new();
    for case in &cases::CASES {
        results.push((case.name, (case.check)(&mut client, &stage)));
    }
    let sandbox = client.sandbox().map(Sandbox::name);
    drop(client);
    results.push(("clean", sandbox.map_or(Ok(()), |sandbox| no_traces(&sandbox))));

    let failed: Vec<String> =
        results.iter().filter_map(|(case, result)| Some(format!("{case}: {}", result.as_ref().err()?))).collect();
    table::report(name, Ok(results), started.elapsed());
    assert!(failed.is_empty(), "{name}: {} cases failed\n{}", failed.len(), failed.join("\n"));
}

fn no_traces(sandbox: &str) -> Result<()> {
    let traces = traces(sandbox);
    if traces.is_empty() { Ok(()) } else { Err(Failure::new(traces.join("\n"))) }
}
