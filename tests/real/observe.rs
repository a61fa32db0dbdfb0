//! An operator's view of a request: our log lines, our counters, and whether the VMs are alive.

use std::collections::BTreeMap;
use std::time::Duration;

use metahub_testkit::envoy::Envoy;
use metahub_testkit::http::{Request, Response};
use metahub_testkit::{Result, wait_for};

/// How a request is sent, always on a fresh connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    /// HTTP/2 without TLS.
    H2c,
}

pub(super) const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::H2c];

impl Protocol {
    pub(super) fn send(self, envoy: &Envoy, request: &Request) -> Result<Response> {
        match self {
            Self::Http1 => envoy.send(request),
            Self::H2c => request.send_h2c(envoy.port()),
        }
    }
}

/// The text of all of MetaHub's log lines that report a fault, without Envoy's prefix.
pub(super) fn fault_lines(envoy: &Envoy) -> Vec<String> {
    let log = envoy.log();
    let ours = log.lines().filter(|line| !line.contains("[info]"));
    ours.filter_map(|line| Some(line.split_once("wasm log metahub")?.1.to_owned())).collect()
}

/// Our counters that are not zero, without their common prefix.
pub(super) fn counters(envoy: &Envoy) -> BTreeMap<String, u64> {
    let mut counters = stats(envoy, "wasmcustom.metahub_");
    counters.retain(|_, value| *value > 0);
    counters
}

/// Asserts that no VM ever failed or was started again.
pub(super) fn assert_no_vm_died(envoy: &Envoy) {
    let reloads = stats(envoy, "wasm.metahub.vm_reload");
    assert_eq!(reloads.len(), 4, "Envoy's names have changed: {reloads:?}");
    assert!(reloads.values().all(|count| *count == 0), "a VM died: {reloads:?}");
}

/// Asserts that no VM ever failed, and that neither the filter nor Envoy has logged anything of the kind.
pub(super) fn assert_unharmed(envoy: &Envoy) {
    // Not "[critical]" nor "Wasm VM failed": so Envoy reports a configuration that the filter refuses.
    const SIGNS: [&str; 7] =
        ["panicked", "Maximum call stack", "unreachable", "Function: proxy_", "ENVOY_BUG", "assert failure", "Caught "];
    let log = envoy.log();
    let harmed: Vec<&str> = log.lines().filter(|line| SIGNS.iter().any(|sign| line.contains(sign))).take(5).collect();
    assert_eq!(harmed, Vec::<&str>::new(), "Envoy's log");
    assert_no_vm_died(envoy);
}

fn stats(envoy: &Envoy, prefix: &str) -> BTreeMap<String, u64> {
    let text = Request::get("/stats").send(envoy.admin_port()).unwrap().text();
    let stat = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.strip_prefix(prefix)?.to_owned(), value.parse().ok()?))
    };
    text.lines().filter_map(stat).collect()
}

/// The log and counters before a request, so that its own additions can be told.
pub(super) struct Watch<'a> {
    envoy: &'a Envoy,
    lines: usize,
    counters: BTreeMap<String, u64>,
}

impl<'a> Watch<'a> {
    pub(super) fn begin(envoy: &'a Envoy) -> Self {
        Self { envoy, lines: fault_lines(envoy).len(), counters: counters(envoy) }
    }

    /// The log lines that were added: waits for `count` of them and returns all that are there.
    pub(super) fn lines(&self, count: usize) -> Vec<String> {
        let added = || fault_lines(self.envoy).split_off(self.lines);
        // When they do not come, the caller's comparison says so.
        let _ = wait_for("log lines", Duration::from_secs(5), || (added().len() >= count).then_some(()));
        added()
    }

    /// By how much each counter grew, those of the cache aside.
    pub(super) fn counted(&self) -> BTreeMap<String, u64> {
        let mut now = counters(self.envoy);
        for (name, before) in &self.counters {
            *now.entry(name.clone()).or_default() -= before;
        }
        now.retain(|name, growth| *growth > 0 && !name.starts_with("cache_"));
        now
    }
}

/// Asserts that `answer` is the registry error that a row of a table promises.
pub(super) fn assert_error(answer: &Response, status: u16, code: &str, parts: &[&str], has_body: bool, row: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{row}: {text}");
    assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"), "{row}");
    let challenge = (status == 401).then_some("Basic realm=\"MetaHub\"");
    assert_eq!(answer.header("www-authenticate"), challenge, "{row}");
    if !has_body {
        return assert_eq!(text, "", "{row}");
    }
    assert_eq!(answer.header("content-type"), Some("application/json"), "{row}");
    let errors = answer.json()["errors"].clone();
    assert_eq!(errors.as_array().map(Vec::len), Some(1), "{row}: {text}");
    assert_eq!(errors[0]["code"], code, "{row}: {text}");
    let message = errors[0]["message"].as_str().unwrap_or_default();
    for part in parts {
        assert!(message.contains(part), "{row}: {part:?} is not in {message:?}");
    }
}
