//! TLS in front of test servers that do not speak it: a bare Envoy that shows the test certificate.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::envoy::{address, binary, plain_cluster};
use super::http::Request;
use super::process::Process;
use super::temp::TempDir;
use super::{Result, certificates, port};

/// The request header in which the server behind hears which name the client asked for (SNI).
pub const SNI: &str = "x-test-sni";

/// A registry's answer about a repository that the caller may not see.
const DENIED: &str = r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;

/// A running front.
pub struct TlsFront {
    _process: Process,
    _directory: TempDir,
    ports: Vec<u16>,
}

impl TlsFront {
    /// Starts a front for the servers on these ports.
    pub fn before(servers: &[u16]) -> Result<Self> {
        Self::keeping("/kept-from-nobody/", servers)
    }

    /// A front that answers 403 to all requests whose path begins with `kept`.
    pub fn keeping(kept: &str, servers: &[u16]) -> Result<Self> {
        let directory = TempDir::new("tls-front")?;
        let ports: Vec<u16> = servers.iter().map(|_| port::free()).collect();
        let admin = port::free();
        let config = directory.join("front.json");
        std::fs::write(&config, configuration(admin, kept, &ports, servers)?.to_string())?;
        let mut command = Command::new(binary()?);
        command.arg("--config-path").arg(&config).args(["--concurrency", "1", "--disable-hot-restart"]);
        command.args(["--log-level", "warn", "--drain-time-s", "1"]);
        let mut process = Process::spawn("tls-front", &command, &directory.join("log"))?;
        process.wait_until_ready(Duration::from_secs(30), || {
            Request::get("/ready").send(admin).is_ok_and(|response| response.status == 200)
        })?;
        Ok(Self { _process: process, _directory: directory, ports })
    }

    /// The port with TLS before the server of this number.
    pub fn port(&self, server: usize) -> u16 {
        self.ports[server]
    }
}

fn configuration(admin: u16, kept: &str, ports: &[u16], servers: &[u16]) -> Result<Value> {
    let certificates = certificates::folder()?;
    let listeners = ports.iter().zip(servers).map(|(port, server)| listener(*port, *server, kept, certificates));
    let clusters = servers.iter().map(|server| plain_cluster(&server.to_string(), *server));
    Ok(json!({
        "admin": { "address": address(admin) },
        "static_resources": {
            "listeners": listeners.collect::<Vec<_>>(),
            "clusters": clusters.collect::<Vec<_>>(),
        },
    }))
}

/// TLS on `port`, and everything but what is kept from there to the cluster with the server's name.
fn listener(port: u16, server: u16, kept: &str, certificates: &Path) -> Value {
    let extension = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
    let tls = json!({
        "@type": extension("transport_sockets.tls.v3.DownstreamTlsContext"),
        "common_tls_context": {
            "alpn_protocols": ["http/1.1"],
            "tls_certificates": [{
                "certificate_chain": { "filename": certificates.join("server.crt") },
                "private_key": { "filename": certificates.join("server.key") },
            }],
        },
    });
    let denied = json!({
        "match": { "prefix": kept },
        "direct_response": { "status": 403, "body": { "inline_string": DENIED } },
        "response_headers_to_add": [{ "header": { "key": "content-type", "value": "application/json" } }],
    });
    let host = json!({
        "name": "all",
        "domains": ["*"],
        "request_headers_to_add": [{ "header": { "key": SNI, "value": "%REQUESTED_SERVER_NAME%" } }],
        "routes": [
            denied,
            { "match": { "prefix": "/" }, "route": { "cluster": server.to_string(), "timeout": "0s" } },
        ],
    });
    let manager = json!({
        "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "front",
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": extension("filters.http.router.v3.Router") },
        }],
        "route_config": { "virtual_hosts": [host] },
    });
    json!({
        "name": port.to_string(),
        "address": address(port),
        // Reads the name that is asked for.
        "listener_filters": [{
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": { "@type": extension("filters.listener.tls_inspector.v3.TlsInspector") },
        }],
        "filter_chains": [{
            "transport_socket": { "name": "envoy.transport_sockets.tls", "typed_config": tls },
            "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }],
        }],
    })
}
