//! More registries behind the shipped Envoy: each a copy of its cluster and of its virtual host, found by host name.

use super::envoy::replace;

/// How Envoy speaks to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    Http1,
    /// HTTP/2 without TLS. Envoy's encoder uses no dynamic table, so that a server needs none.
    H2c,
}

/// Adds a cluster like the shipped one, on another port.
pub fn with_cluster(bootstrap: &str, name: &str, port: u16, speaks: Upstream) -> String {
    let start = bootstrap.find("  - name: registry\n    type:").expect("the shipped cluster");
    let block: String = bootstrap[start..]
        .lines()
        .enumerate()
        .take_while(|(number, line)| *number == 0 || line.is_empty() || line.starts_with("    "))
        .flat_map(|(_, line)| [line, "\n"])
        .collect();
    let (before, rest) = block.split_once("port_value: ").expect("the registry's port");
    let digits = rest.find(|sign: char| !sign.is_ascii_digit()).expect("the end of the port");
    let block = format!("{before}port_value: {port}{}", &rest[digits..]);
    let block = replace(&block, "  - name: registry\n", &format!("  - name: {name}\n"), 1);
    let mut block = replace(&block, "cluster_name: registry\n", &format!("cluster_name: {name}\n"), 1);
    if speaks == Upstream::H2c {
        let from = "explicit_http_config: { http_protocol_options: {} }";
        let to = "explicit_http_config: { http2_protocol_options: { hpack_table_size: 0 } }";
        block = replace(&block, from, to, 1);
    }
    format!("{}{block}{}", &bootstrap[..start], &bootstrap[start..])
}

/// Adds a registry that clients reach by the host `<name>.test`.
pub fn with_registry(bootstrap: &str, name: &str, port: u16, speaks: Upstream) -> String {
    let bootstrap = with_cluster(bootstrap, name, port, speaks);
    let start = bootstrap.find("            - name: registry\n").expect("the shipped virtual host");
    let block: String = bootstrap[start..]
        .lines()
        .enumerate()
        .take_while(|(number, line)| *number == 0 || line.is_empty() || line.starts_with("              "))
        .flat_map(|(_, line)| [line, "\n"])
        .collect();
    let block = replace(&block, "- name: registry\n", &format!("- name: {name}\n"), 1);
    let block = replace(&block, "domains: [\"*\"]", &format!("domains: [\"{name}.test\", \"{name}.test:*\"]"), 1);
    let block = block.replace("cluster: registry,", &format!("cluster: {name},"));
    format!("{}{block}{}", &bootstrap[..start], &bootstrap[start..])
}

/// The shipped filter configuration with another one in the place of MetaHub's own; `text` is not indented.
pub fn with_configuration(shipped: &str, text: &str) -> String {
    let (start, _) = shipped.split_once("          machine_types:\n").expect("MetaHub's configuration");
    let indented: String = text.lines().map(|line| format!("          {line}\n")).collect();
    format!("{start}{indented}")
}
