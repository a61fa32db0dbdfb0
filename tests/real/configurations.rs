//! The shipped configurations: Envoy and the filter accept them, and all have the limits and safeguards of envoy.yaml.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::registry_headers::REMOVED;
use metahub_testkit::command::run;
use metahub_testkit::config::{self, Edit as _, shipped, shipped_text};
use metahub_testkit::envoy::{Builder, binary, cluster, fresh_wasm, in_folder, manager, own, place};
use metahub_testkit::root;
use metahub_testkit::temp::TempDir;

/// The folders below `envoy/`.
pub(super) const FOLDERS: [&str; 4] = ["docker-hub", "private-registry", "several-registries", "tls-listener"];

/// Lets Envoy judge a bootstrap file.
pub(super) fn judge(bootstrap: &Path) -> metahub_testkit::Result<String> {
    let mut command = Command::new(binary()?);
    run(command.args(["--mode", "validate", "--concurrency", "1", "--config-path"]).arg(bootstrap))
}

/// Lets Envoy validate a configuration with the filter inlined: Envoy does not read the watched file for that.
fn validate(mut bootstrap: Value, mut filter: Value) -> metahub_testkit::Result<String> {
    fresh_wasm()?;
    place(&mut filter, None);
    let entry = manager(&mut bootstrap).at_mut("http_filters.0");
    entry.remove("config_discovery");
    entry.add("typed_config", filter.remove("resources.0.typed_config"));
    let directory = TempDir::new("validate")?;
    let path = directory.join("envoy.json");
    std::fs::write(&path, bootstrap.to_string())?;
    judge(&path)
}

/// The two files of a folder.
fn example(folder: &str) -> (Value, Value) {
    (shipped(&in_folder(folder, "envoy.yaml")).unwrap(), shipped(&in_folder(folder, "metahub.yaml")).unwrap())
}

/// The error of a configuration.
fn error(outcome: metahub_testkit::Result<String>) -> String {
    outcome.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn every_folder_is_known_here() {
    let entries = std::fs::read_dir(root().join("envoy")).unwrap().map(Result::unwrap);
    let mut folders: Vec<_> = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name()).collect();
    folders.sort();
    assert_eq!(folders, FOLDERS);
}

#[test]
fn envoy_and_the_filter_accept_every_shipped_configuration() {
    for folder in FOLDERS.into_iter().chain([""]) {
        let (bootstrap, filter) = example(folder);
        let said = validate(bootstrap, filter);
        assert!(said.is_ok(), "{folder}: {said:?}");
    }
    let (bootstrap, filter) = example("");
    // Both the filter and Envoy must accept it.
    let wrong = filter.changed(|file| own(file).rename("machine_types", "machine_typos"));
    let error = error(validate(bootstrap.clone(), wrong));
    assert!(error.contains("machine_typos"), "{error:?}");
    let wrong = bootstrap.changed(|bootstrap| cluster(bootstrap, "registry").rename("connect_timeout", "timeouts"));
    assert!(validate(wrong, filter).is_err());
}

/// All other tests read the shipped files themselves and write the files that Envoy gets. Here Envoy reads the shipped
/// files unchanged.
#[test]
fn envoy_reads_the_shipped_texts() {
    for folder in FOLDERS.into_iter().chain([""]) {
        let said = judge(&root().join("envoy").join(in_folder(folder, "envoy.yaml")));
        assert!(said.is_ok(), "{folder}: {said:?}");
        let envoy = Builder::of_folder(folder).start().unwrap();
        let text = shipped_text(&in_folder(folder, "metahub.yaml")).unwrap();
        assert!(envoy.reload_text(&text).unwrap(), "{folder}: {}", envoy.log());
    }
}

#[test]
fn the_filter_accepts_what_the_examples_suggest_in_comments() {
    let (bootstrap, filter) = example("docker-hub");
    let upstream = filter.changed(|file| own(file).set("registries.registry.authentication", "upstream"));
    assert!(validate(bootstrap.clone(), upstream).is_ok());
    let suggested = |folder: &str, line: &str| {
        let text = shipped_text(&in_folder(folder, "metahub.yaml")).unwrap();
        config::parse(&config::uncommented(&text, line)).unwrap()
    };
    let error = error(validate(bootstrap, suggested("docker-hub", "credentials:")));
    assert!(error.contains("DOCKER_HUB_USER is not set"), "{error}");
    let (bootstrap, _) = example("private-registry");
    assert!(validate(bootstrap, suggested("private-registry", "token_service:")).is_ok());
}

/// Every example has the limits and safeguards of the demo's envoy.yaml: if it lacks a line of that file, the example
/// is about that line.
#[test]
fn examples_differ_from_the_demo_in_what_they_are_about_only() {
    let demo = settings(&shipped_text("envoy.yaml").unwrap(), "");
    for folder in FOLDERS {
        let theirs = settings(&shipped_text(&in_folder(folder, "envoy.yaml")).unwrap(), folder);
        let about = |line: &&String| {
            let upstream = ["host_rewrite_literal", "address: 127.0.0.1, port_value: 5000", "type: STRICT_DNS"];
            let routes = ["name: registry", "cluster_name: registry", "domains:", "match:", "{ priority:"];
            upstream.iter().any(|part| folder != "tls-listener" && line.contains(part))
                || routes.iter().any(|part| folder == "several-registries" && line.contains(part))
        };
        let missing: Vec<_> = demo.iter().filter(|line| !theirs.contains(line)).filter(|line| !about(line)).collect();
        assert!(missing.is_empty(), "{folder} lacks {missing:#?}");
    }
}

/// All shipped files, `envoy.yaml` itself included, protect Envoy from slow clients and clients from the registry's
/// headers.
#[test]
fn every_shipped_file_has_small_buffers_and_removes_headers() {
    for folder in FOLDERS.into_iter().chain([""]) {
        let bootstrap = shipped_text(&in_folder(folder, "envoy.yaml")).unwrap();
        let count = |text: &str| bootstrap.matches(text).count();
        let clusters = count("connect_timeout:");
        // The listener, and each cluster.
        let buffers =
            (count("per_connection_buffer_limit_bytes:"), count("per_connection_buffer_limit_bytes: 65536\n"));
        assert_eq!(buffers, (clusters + 1, clusters + 1), "{folder}");
        let windows = (count("_window_size:"), count("_window_size: 65536\n"));
        assert_eq!(windows, (2, 2), "{folder}");
        assert_eq!(count("          delayed_close_timeout: 5s\n"), 1, "{folder}");
        let limits = count("circuit_breakers:") - count("circuit_breakers: *limits");
        assert_eq!((count("- { priority: DEFAULT, "), count("- { priority: HIGH, ")), (limits, limits), "{folder}");
        // Below the routes' configuration as a whole, so that no virtual host or route is left out.
        let (_, routes) = bootstrap.split_once("          route_config:\n").unwrap();
        let (routes, _) = routes.split_once("            virtual_hosts:\n").unwrap();
        let (_, removed) = routes.split_once("            response_headers_to_remove:\n").unwrap();
        let removed: Vec<_> = removed.lines().map_while(|line| line.strip_prefix("            - ")).collect();
        assert_eq!(removed, REMOVED, "{folder}");
    }
}

/// The lines of a configuration without comments, YAML's anchors, indentation, and the folder's name.
fn settings(text: &str, folder: &str) -> Vec<String> {
    let line = |line: &str| {
        let code = line.split(" #").next().unwrap_or_default().trim();
        let words = code.split(' ').filter(|word| !word.starts_with('&') && !word.starts_with('*'));
        let text = words.collect::<Vec<_>>().join(" ");
        let text = if folder.is_empty() { text } else { text.replace(&format!("envoy/{folder}"), "envoy") };
        text.trim_start_matches("- ").to_owned()
    };
    text.lines().filter(|line| !line.trim_start().starts_with('#')).map(line).filter(|line| !line.is_empty()).collect()
}

/// A cluster with TLS names the host that it asks for, the authorities that it trusts, and the certificate that it
/// accepts.
#[test]
fn tls_to_registries_is_verified() {
    for (folder, clusters) in [("docker-hub", 2), ("private-registry", 1), ("several-registries", 3)] {
        let bootstrap = shipped_text(&in_folder(folder, "envoy.yaml")).unwrap();
        let values = |key: &str, end: char| {
            let found = bootstrap.split(key).skip(1).filter_map(|rest| rest.split([end, ' ', ',', '\n']).next());
            found.map(str::to_owned).collect::<Vec<_>>()
        };
        let addresses: Vec<_> = values("socket_address: { address: ", ',').into_iter().skip(2).collect();
        assert_eq!(addresses.len(), clusters, "{folder}");
        assert_eq!(values("sni: ", '\n'), addresses, "{folder}");
        assert_eq!(values("san_type: DNS, matcher: { exact: ", ' '), addresses, "{folder}");
        assert_eq!(bootstrap.matches("trusted_ca: { filename: /etc/ssl/certs/ca-certificates.crt }").count(), clusters);
    }
}
