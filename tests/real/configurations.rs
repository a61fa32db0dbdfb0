//! The example configurations: Envoy and the filter accept them, and they harden what envoy.yaml hardens.

use std::process::Command;

use crate::support::Result;
use crate::support::client::run;
use crate::support::envoy::{binary, config_file, fresh_wasm, replace, shipped};
use crate::support::temp::TempDir;

/// The folders below `envoy/` with the host names of their registries.
const EXAMPLES: [(&str, &str); 2] =
    [("docker-hub", "registry-1.docker.io"), ("private-registry", "registry.example.com")];

/// Lets Envoy validate a configuration with the filter inlined: Envoy does not read the watched file for that.
fn validate(bootstrap: &str, filter: &str) -> Result<String> {
    fresh_wasm()?;
    let filter = config_file(filter, 5000);
    let inlined = filter.lines().skip_while(|line| *line != "  typed_config:");
    let inlined: String = inlined.map(|line| format!("          {line}\n")).collect();
    let (before, rest) = bootstrap.split_once("            config_discovery:\n").expect("the filter's discovery");
    let router = "          - name: envoy.filters.http.router\n";
    let (_, after) = rest.split_once(router).expect("the router");
    let directory = TempDir::new("validate")?;
    let path = directory.join("envoy.yaml");
    std::fs::write(&path, format!("{before}{inlined}{router}{after}"))?;
    let mut command = Command::new(binary()?);
    run(command.args(["--mode", "validate", "--concurrency", "1", "--config-path"]).arg(path))
}

fn example(name: &str) -> (String, String) {
    (shipped(&format!("{name}/envoy.yaml")).unwrap(), shipped(&format!("{name}/metahub.yaml")).unwrap())
}

#[test]
fn envoy_and_the_filter_accept_every_shipped_configuration() {
    let mut all: Vec<_> = EXAMPLES.iter().map(|(name, _)| (*name, example(name))).collect();
    all.push(("demo", (shipped("envoy.yaml").unwrap(), shipped("metahub.yaml").unwrap())));
    for (name, (bootstrap, filter)) in all {
        let said = validate(&bootstrap, &filter);
        assert!(said.is_ok(), "{name}: {said:?}");
        // The filter's word counts, and Envoy's.
        let wrong = replace(&filter, "machine_types:", "machine_typos:", 1);
        let error = validate(&bootstrap, &wrong).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("machine_typos"), "{name}: {error:?}");
        let wrong =
            replace(&bootstrap, "connect_timeout:", "connect_timeouts:", bootstrap.matches("connect_timeout:").count());
        assert!(validate(&wrong, &filter).is_err(), "{name}");
    }
}

#[test]
fn the_filter_accepts_what_the_examples_suggest_in_comments() {
    let (bootstrap, filter) = example("docker-hub");
    let upstream = replace(&filter, "authentication: none", "authentication: upstream", 1);
    assert!(validate(&bootstrap, &upstream).is_ok());
    let shared = replace(&filter, "# credentials:", "credentials:", 1);
    let error = validate(&bootstrap, &shared).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("DOCKER_HUB_USER is not set"), "{error}");
    let (bootstrap, filter) = example("private-registry");
    let tokens = replace(&filter, "# token_service:", "token_service:", 1);
    assert!(validate(&bootstrap, &tokens).is_ok());
}

#[test]
fn examples_differ_from_the_demo_in_their_upstreams_only() {
    let listener = |text: &str| {
        let (_, text) = text.split_once("\nnode:").expect("the beginning");
        let (listeners, rest) = text.split_once("  clusters:\n").expect("the clusters");
        let (_, overload) = rest.split_once("# Envoy protects itself").expect("the overload manager");
        format!("{listeners}{overload}")
    };
    let demo = replace(&listener(&shipped("envoy.yaml").unwrap()), ", host_rewrite_literal: \"127.0.0.1:5000\"", "", 2);
    for (name, host) in EXAMPLES {
        let (bootstrap, _) = example(name);
        let same = replace(&listener(&bootstrap), &format!(", host_rewrite_literal: {host}"), "", 2);
        assert!(same.replace(&format!("envoy/{name}"), "envoy") == demo, "{name}: its listener is not the demo's");
        let clusters = bootstrap.matches("    load_assignment:\n").count();
        for needed in ["trusted_ca:", "sni:", "match_typed_subject_alt_names:"] {
            assert_eq!(bootstrap.matches(needed).count(), clusters, "{name}: {needed}");
        }
    }
}
