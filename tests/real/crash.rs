//! A crash does not open the way to the registry: when the filter's VM dies, requests fail and never bypass it.
//!
//! Nothing that a client or an upstream sends takes our filter down, as far as the other tests can tell. So a module
//! that traps at every request takes its place here, under the shipped configuration.

use std::time::Duration;

use metahub_testkit::bench::REPOSITORY;
use metahub_testkit::config::shipped_text;
use metahub_testkit::envoy::{Builder, set_module};
use metahub_testkit::http::Request;
use metahub_testkit::stage::{Stage, stage};
use metahub_testkit::temp::TempDir;
use metahub_testkit::wait_for;

/// The shipped files without their comments.
fn settings(name: &str) -> String {
    let text = shipped_text(name).unwrap();
    text.lines().filter_map(|line| line.split('#').next()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shipped_configuration_fails_closed() {
    let filter = settings("metahub.yaml");
    assert_eq!(filter.matches("failure_policy: FAIL_RELOAD").count(), 1, "{filter}");
    for text in [filter, settings("envoy.yaml")] {
        for open in ["FAIL_OPEN", "fail_open", "apply_default_config_without_warming", "default_config"] {
            assert!(!text.contains(open), "{open} in {text}");
        }
    }
}

#[test]
fn a_dead_vm_serves_nothing() {
    let directory = TempDir::new("crash").unwrap();
    let module = directory.join("trap.wasm");
    std::fs::write(&module, trapping_module()).unwrap();
    let trapping = |envoy: Builder| envoy.file(move |file| set_module(file, &module));
    let stage = stage().envoy(trapping).start().unwrap();
    let Stage { envoy, bench, .. } = &stage;

    let image = bench.digest(&["cpu:broadwell"]);
    let paths = ["latest", &image].map(|reference| format!("/v2/{REPOSITORY}/manifests/{reference}"));
    let assert_closed = || {
        for path in &paths {
            let answer = envoy.send(&Request::get(path).login("qnib-type1", "qnib-type1")).unwrap();
            assert!(answer.status >= 500, "{path}: {} {}", answer.status, answer.text());
            assert_eq!(answer.header("docker-content-digest"), None, "{path}");
        }
    };
    // Envoy waits a little before it starts a VM again: requests meet dead VMs, and then new ones that die.
    wait_for("a VM that died and was started again", Duration::from_secs(20), || {
        assert_closed();
        (envoy.stat("wasm.metahub.vm_reload_success", "").unwrap() > 1).then_some(())
    })
    .unwrap();
    assert_closed();
    let log = stage.registry().log();
    assert!(log.contains("\"PUT /v2/qnib/") && !log.contains("\"GET /v2/qnib/"), "upstream was asked:\n{log}");
}

/// A WebAssembly module with the proxy-wasm interface (0.2.1) that starts, is configured, and executes `unreachable`
/// when a request's headers come.
fn trapping_module() -> Vec<u8> {
    const I32: u8 = 0x7f;
    let function_type = |parameters: usize, results: usize| {
        [vec![0x60], vector(&vec![vec![I32]; parameters]), vector(&vec![vec![I32]; results])].concat()
    };
    // (parameters, results, code, names)
    let functions: [(usize, usize, &[u8], &[&str]); 5] = [
        (0, 0, &[], &["proxy_abi_version_0_2_1"]),
        (1, 1, &[0x41, 0x80, 0x08], &["proxy_on_memory_allocate"]), // i32.const 1024
        (2, 0, &[], &["proxy_on_context_create"]),
        (2, 1, &[0x41, 0x01], &["proxy_on_vm_start", "proxy_on_configure"]), // i32.const 1
        (3, 1, &[0x00], &["proxy_on_request_headers"]),                      // unreachable
    ];
    let mut exports = vec![[named("memory"), vec![0x02, 0]].concat()];
    let (mut types, mut indices, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (parameters, results, code, names)) in (0_u8..).zip(functions) {
        types.push(function_type(parameters, results));
        indices.push(vec![number]);
        let body = [&[0], code, &[0x0b]].concat(); // no locals, the code, end
        bodies.push([vec![length(body.len())], body].concat());
        exports.extend(names.iter().map(|name| [named(name), vec![0x00, number]].concat()));
    }
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let memory = vec![vec![0x00, 1]]; // one page, no maximum
    for (id, entries) in [(1, types), (3, indices), (5, memory), (7, exports), (10, bodies)] {
        let content = vector(&entries);
        module.push(id);
        // Two bytes of LEB128 hold every length here.
        module.extend([0x80 | length(content.len() & 0x7f), length(content.len() >> 7)]);
        module.extend(content);
    }
    module
}

fn vector(entries: &[Vec<u8>]) -> Vec<u8> {
    [vec![length(entries.len())], entries.concat()].concat()
}

fn named(name: &str) -> Vec<u8> {
    [vec![length(name.len())], name.as_bytes().to_vec()].concat()
}

/// One byte of LEB128.
fn length(length: usize) -> u8 {
    u8::try_from(length).ok().filter(|length| *length < 128).expect("a small module")
}
