//! The changes that tests make to the shipped envoy.yaml, as a value ([`crate::config`]).

use std::path::Path;

use serde_json::{Value, json};

use super::Ports;
use crate::Result;
use crate::certificates;
use crate::config::Edit as _;

/// How Envoy speaks to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Http1,
    /// HTTP/2 without TLS. Envoy's encoder uses no dynamic table, so that a server needs none.
    H2c,
}

/// The listener's HTTP connection manager.
pub fn manager(bootstrap: &mut Value) -> &mut Value {
    bootstrap.at_mut("static_resources.listeners.0.filter_chains.0.filters.0.typed_config")
}

/// The cluster of this name.
pub fn cluster<'a>(bootstrap: &'a mut Value, name: &str) -> &'a mut Value {
    named(bootstrap.at_mut("static_resources.clusters"), name)
}

/// Which HTTP a cluster speaks, and how.
pub fn http_of_cluster<'a>(bootstrap: &'a mut Value, name: &str) -> &'a mut Value {
    let options = cluster(bootstrap, name).at_mut("typed_extension_protocol_options");
    options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].at_mut("explicit_http_config")
}

/// A TCP address on this machine.
pub(crate) fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

/// A cluster on this machine about which nothing else is said.
pub(crate) fn plain_cluster(name: &str, port: u16) -> Value {
    let endpoint = json!({ "endpoint": { "address": address(port) } });
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "2s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
    })
}

/// Adds a cluster on this machine about which nothing else is said.
pub fn add_plain_cluster(bootstrap: &mut Value, name: &str, port: u16) {
    bootstrap.push("static_resources.clusters", plain_cluster(name, port));
}

/// Adds a cluster like the shipped one, on another port.
pub fn add_cluster(bootstrap: &mut Value, name: &str, port: u16, speaks: Speaks) {
    let mut added = cluster(bootstrap, "registry").clone();
    added.set("name", name);
    added.set("load_assignment.cluster_name", name);
    added.set("load_assignment.endpoints.0.lb_endpoints.0.endpoint.address", address(port));
    bootstrap.push("static_resources.clusters", added);
    speak(bootstrap, name, speaks);
}

/// Lets Envoy speak this to a cluster.
pub fn speak(bootstrap: &mut Value, name: &str, speaks: Speaks) {
    *http_of_cluster(bootstrap, name) = match speaks {
        Speaks::Http1 => json!({ "http_protocol_options": {} }),
        Speaks::H2c => json!({ "http2_protocol_options": { "hpack_table_size": 0 } }),
    };
}

/// Adds a registry like the shipped one that clients reach by the host `<name>.test`: a cluster and a virtual host.
pub fn add_registry(bootstrap: &mut Value, name: &str, port: u16, speaks: Speaks) {
    add_cluster(bootstrap, name, port, speaks);
    let hosts = manager(bootstrap).at_mut("route_config.virtual_hosts");
    let mut added = named(hosts, "registry").clone();
    added.set("name", name);
    added.set("domains", json!([format!("{name}.test"), format!("{name}.test:*")]));
    for route in routes(&mut added) {
        route.set("route.cluster", name);
    }
    hosts.as_array_mut().expect("virtual hosts").push(added);
}

/// Removes the filter: Envoy then forwards every request unchanged.
pub fn remove_filter(bootstrap: &mut Value) {
    let filters = manager(bootstrap).at_mut("http_filters").as_array_mut().expect("filters");
    let before = filters.len();
    filters.retain(|filter| filter["name"] != "metahub");
    assert_eq!(filters.len() + 1, before, "the filter's entry");
}

/// The shipped envoy.yaml on other ports, watching another directory.
pub(super) fn place(bootstrap: &mut Value, ports: Ports, watched: &Path) {
    let port = "address.socket_address.port_value";
    bootstrap.set(&format!("static_resources.listeners.0.{port}"), ports.clients);
    bootstrap.set(&format!("admin.{port}"), ports.admin);
    let filter = named(manager(bootstrap).at_mut("http_filters"), "metahub");
    let source = filter.at_mut("config_discovery.config_source.path_config_source");
    source.set("path", watched.join("metahub.yaml").display().to_string());
    source.set("watched_directory.path", watched.display().to_string());
    let Some(upstream) = ports.upstream else { return };
    let endpoint = "load_assignment.endpoints.0.lb_endpoints.0.endpoint.address";
    cluster(bootstrap, "registry").set(&format!("{endpoint}.socket_address.port_value"), upstream);
    for route in routes(named(manager(bootstrap).at_mut("route_config.virtual_hosts"), "registry")) {
        route.set("route.host_rewrite_literal", format!("127.0.0.1:{upstream}"));
    }
}

/// Leads to test servers instead of these hosts. Their names stay in SNI, in Host and in the check of the certificate,
/// which the test authority signs.
pub(super) fn stand_in(bootstrap: &mut Value, servers: &[(&str, u16)]) -> Result<()> {
    let authority = certificates::authority()?.display().to_string();
    let mut led = 0;
    for cluster in bootstrap.at_mut("static_resources.clusters").as_array_mut().expect("clusters") {
        trusted_authority(cluster).set("filename", authority.as_str());
        let there = cluster.at_mut("load_assignment.endpoints.0.lb_endpoints.0.endpoint.address");
        let host = there.at("socket_address.address").clone();
        if let Some((_, port)) = servers.iter().find(|(name, _)| host == *name) {
            *there = address(*port);
            led += 1;
        }
    }
    assert_eq!(led, servers.len(), "clusters of {servers:?} in {bootstrap:#}");
    Ok(())
}

/// The authority that must have signed the certificate of a cluster's servers.
pub fn trusted_authority(cluster: &mut Value) -> &mut Value {
    cluster.at_mut("transport_socket.typed_config.common_tls_context.validation_context.trusted_ca")
}

/// The listener's certificate comes from this file.
pub(super) fn set_certificate(bootstrap: &mut Value, file: &Path) {
    let socket = "static_resources.listeners.0.filter_chains.0.transport_socket.typed_config.common_tls_context";
    let source = "tls_certificate_sds_secret_configs.0.sds_config.path_config_source.path";
    bootstrap.set(&format!("{socket}.{source}"), file.display().to_string());
}

fn routes(virtual_host: &mut Value) -> &mut Vec<Value> {
    virtual_host.at_mut("routes").as_array_mut().expect("routes")
}

/// The element of a list with this name.
fn named<'a>(list: &'a mut Value, name: &str) -> &'a mut Value {
    let found = list.as_array_mut().and_then(|list| list.iter_mut().find(|element| element["name"] == name));
    found.unwrap_or_else(|| panic!("nothing is called {name}"))
}
