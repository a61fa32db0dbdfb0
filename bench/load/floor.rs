//! Filters that make host calls and compute nothing: no filter could cost less on this machine.
//!
//! Each makes the calls that MetaHub makes for one kind of request, with arguments and results of about the same sizes,
//! and looks at none of the results. They are written as WebAssembly text and assembled by Binaryen's `wasm-as`, so
//! that nothing of a compiler or of an SDK is in them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use metahub::oci::media_type::OCI_MANIFEST;

use metahub_testkit::root;
use metahub_testkit::temp::TempDir;
use metahub_testkit::{Failure, Result};

/// The answer that the client must get at the end: a manifest, or the answer to a ping.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// `sha256:<hex>`; empty for a ping.
    pub(crate) digest: String,
    pub(crate) body: String,
}

/// The kinds of requests.
#[derive(Debug)]
pub(crate) enum Floor {
    /// Is there for the request and for its answer, and calls nothing.
    Nothing,
    /// Answers by itself.
    Ping,
    /// Lets the request and its answer pass.
    Passing,
    /// Asks upstream with HEAD and answers from shared data.
    Revalidated { request: Known, served: Served },
    /// Answers from shared data.
    WithinTtl(Served),
    /// Asks upstream twice, once for each path, and answers. Keeps nothing.
    Cold { paths: [String; 2], host: String, served: Served },
}

/// How the client asks for what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Digest,
    Tag,
    /// The client itself asks with HEAD.
    TagByHead,
}

/// A filter in a file of its own.
pub(crate) struct FloorFilter {
    directory: TempDir,
}

impl FloorFilter {
    pub(crate) fn assemble(floor: &Floor) -> Result<Self> {
        let directory = TempDir::new("floor")?;
        let text = directory.join("floor.wat");
        fs::write(&text, module(floor))?;
        let filter = Self { directory };
        let output = Command::new(wasm_as()?).arg(&text).arg("--output").arg(filter.path()).output()?;
        if output.status.success() { Ok(filter) } else { Err(Failure::new(String::from_utf8_lossy(&output.stderr))) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("floor.wasm")
    }
}

/// Beside the `wasm-opt` that finishes the filter.
fn wasm_as() -> Result<PathBuf> {
    let output = Command::new(root().join("scripts/install.sh")).arg("which-wasm-opt").output()?;
    let optimizer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || optimizer.is_empty() {
        return Err(Failure::new(String::from_utf8_lossy(&output.stderr)));
    }
    Ok(root().join(Path::new(&optimizer).with_file_name("wasm-as")))
}

/// Where the constants begin in the module's memory. Below are the cells into which Envoy writes its results.
const CONSTANTS: usize = 1024;
/// Cells: address, length and version of what was got, the metric's number, a callout's number.
const CELLS: [usize; 5] = [16, 20, 24, 32, 36];

/// Constants and calls of a module.
#[derive(Default)]
struct Calls {
    constants: Vec<u8>,
}

impl Calls {
    /// Keeps bytes in the module: address and length, as arguments.
    fn constant(&mut self, bytes: &[u8]) -> String {
        let address = CONSTANTS + self.constants.len();
        self.constants.extend_from_slice(bytes);
        self.constants.push(0);
        format!("(i32.const {address}) (i32.const {})", bytes.len())
    }

    /// Headers as the ABI passes them: the number of pairs, the lengths, and the texts with a zero byte after each.
    fn pairs(&mut self, pairs: &[(&str, &str)]) -> String {
        let number = |number: usize| u32::try_from(number).unwrap_or_default().to_le_bytes();
        let mut bytes = number(pairs.len()).to_vec();
        for (name, value) in pairs {
            bytes.extend(number(name.len()));
            bytes.extend(number(value.len()));
        }
        for (name, value) in pairs {
            bytes.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
        }
        self.constant(&bytes)
    }

    fn headers(map: usize) -> String {
        call("proxy_get_header_map_pairs", &[&constant(map), &cells(&CELLS[..2])])
    }

    fn header(&mut self, map: usize, name: &str) -> String {
        let name = self.constant(name.as_bytes());
        call("proxy_get_header_map_value", &[&constant(map), &name, &cells(&CELLS[..2])])
    }

    /// The calls that begin every request, except requests that the filter does nothing for.
    fn who_and_where(&mut self) -> String {
        let cluster = self.constant(b"xds\0cluster_name");
        Self::headers(0) + &call("proxy_get_property", &[&cluster, &cells(&CELLS[..2])])
    }

    fn without_authorization(&mut self) -> String {
        let name = self.constant(b"authorization");
        call("proxy_remove_header_map_value", &[&constant(0), &name])
    }

    fn as_head(&mut self) -> String {
        let (name, value) = (self.constant(b":method"), self.constant(b"HEAD"));
        call("proxy_replace_header_map_value", &[&constant(0), &name, &value])
    }

    /// The keys of a confirmed tag and of a manifest, as long as MetaHub's.
    fn keys(&mut self) -> [String; 2] {
        [&b"resolution of 60 bytes, with the cluster, repository and tag"[..], &[b'k'; 96][..]]
            .map(|key| self.constant(key))
    }

    fn look_up(&mut self) -> String {
        let look = |key: String| call("proxy_get_shared_data", &[&key, &cells(&CELLS[..3])]);
        self.keys().map(look).concat()
    }

    fn count() -> String {
        let metric = format!("(i32.load (i32.const {}))", CELLS[3]);
        call("proxy_increment_metric", &[&metric, "(i64.const 1)"])
    }

    fn answer(&mut self, served: &Served) -> String {
        let tag = format!("\"{}\"", served.digest);
        let selected = format!("{}: linux/amd64 with cpu:haswell, nvcap:8.0", served.digest);
        let all = [
            ("docker-distribution-api-version", "registry/2.0"),
            ("x-metahub-machine-type", "first"),
            ("content-type", OCI_MANIFEST),
            ("docker-content-digest", served.digest.as_str()),
            ("etag", &tag),
            ("vary", "Authorization"),
            ("cache-control", "private"),
            ("x-metahub-selected", &selected),
        ];
        let headers = self.pairs(if served.digest.is_empty() { &all[..3] } else { &all });
        let body = self.constant(served.body.as_bytes());
        call(
            "proxy_send_local_response",
            &[&constant(200), "(i32.const 0) (i32.const 0)", &body, &headers, &constant(-1)],
        )
    }

    /// Asks upstream and notes for which request, and which of its callouts it is.
    fn call_out(&mut self, host: &str, path: &str, which: usize) -> String {
        let cluster = self.constant(b"registry");
        let headers =
            self.pairs(&[(":method", "GET"), (":path", path), (":authority", host), ("accept", OCI_MANIFEST)]);
        let nothing = "(i32.const 0) (i32.const 0)";
        let timeout = constant(60_000);
        let asked = call("proxy_http_call", &[&cluster, &headers, nothing, nothing, &timeout, &cells(&CELLS[4..])]);
        let token = format!("(i32.load (i32.const {}))", CELLS[4]);
        let note = format!("(i32.add (i32.shl (local.get $context) (i32.const 1)) (i32.const {which}))");
        format!("{asked}(i32.store {} {note})\n", place(&token))
    }

    /// Sets up the module at its start: a metric, and values under both keys.
    fn configure(&mut self, served: &Served) -> String {
        let name = self.constant(b"floor");
        let define = call("proxy_define_metric", &[&constant(0), &name, &cells(&CELLS[3..4])]);
        let values = [[b'r'; 200].to_vec(), [b'm'; 100].iter().copied().chain(served.body.bytes()).collect()];
        let keys = self.keys();
        let set = keys.iter().zip(values).map(|(key, value): (_, Vec<u8>)| {
            call("proxy_set_shared_data", &[key, &self.constant(&value), &constant(0)])
        });
        define + &set.collect::<String>()
    }
}

fn constant(number: impl std::fmt::Display) -> String {
    format!("(i32.const {number})")
}

fn cells(cells: &[usize]) -> String {
    cells.iter().map(constant).collect()
}

fn call(name: &str, arguments: &[&str]) -> String {
    format!("(drop (call ${name} {}))\n", arguments.join(" "))
}

/// Where it is noted what the callout of this number is for.
fn place(token: &str) -> String {
    format!("(i32.add (i32.const {NOTES}) (i32.shl (i32.and {token} (i32.const 1023)) (i32.const 2)))")
}

/// Beyond the constants, and below what Envoy has allocated for its results: a word for each of 1,024 callouts.
const NOTES: usize = 61_440;

/// The code of the callbacks for the request's headers, the answer's headers and a callout's answer, and whether the
/// request and the answer are held.
struct Callbacks {
    request: String,
    holds_request: bool,
    response: String,
    holds_response: bool,
    callout: String,
}

fn callbacks(floor: &Floor, calls: &mut Calls) -> Callbacks {
    let mut made = Callbacks {
        request: String::new(),
        holds_request: false,
        response: String::new(),
        holds_response: false,
        callout: String::new(),
    };
    if !matches!(floor, Floor::Nothing) {
        made.request = calls.who_and_where();
    }
    match floor {
        Floor::Nothing => {}
        Floor::Ping => {
            made.request += &calls.answer(&Served { digest: String::new(), body: "{}".to_owned() });
            made.holds_request = true;
        }
        Floor::Passing => {
            made.request += &calls.without_authorization();
            made.response = calls.header(2, ":status");
        }
        Floor::Revalidated { request, served } => {
            made.request += &(calls.look_up() + &calls.without_authorization());
            if *request != Known::TagByHead {
                made.request += &calls.as_head();
            }
            made.response = calls.header(2, ":status") + &Calls::count();
            if *request != Known::Digest {
                made.response += &(calls.header(2, "docker-content-digest") + &Calls::count());
            }
            made.response += &calls.answer(served);
            made.holds_response = true;
        }
        Floor::WithinTtl(served) => {
            made.request += &(calls.look_up() + &Calls::count() + &Calls::count() + &calls.answer(served));
            made.holds_request = true;
        }
        Floor::Cold { paths: [index, image], host, served } => {
            made.request += &calls.call_out(host, index, 0);
            made.holds_request = true;
            let (next, last) = (calls.call_out(host, image, 1), calls.answer(served));
            let body = call(
                "proxy_get_buffer_bytes",
                &[&constant(4), "(i32.const 0) (local.get $length)", &cells(&CELLS[..2])],
            );
            let note = format!("(local.set $note (i32.load {}))", place("(local.get $token)"));
            let request = "(local.set $context (i32.shr_u (local.get $note) (i32.const 1)))";
            let read = Calls::headers(6) + &body;
            let act = call("proxy_set_effective_context", &["(local.get $context)"]);
            let is_last = "(i32.and (local.get $note) (i32.const 1))";
            made.callout = format!("{note}\n{request}\n{read}{act}(if {is_last} (then {last}) (else {next}))\n");
        }
    }
    made
}

fn module(floor: &Floor) -> String {
    let mut calls = Calls::default();
    let made = callbacks(floor, &mut calls);
    let configure = match floor {
        Floor::Revalidated { served, .. } | Floor::WithinTtl(served) => calls.configure(served),
        Floor::Nothing | Floor::Ping | Floor::Passing | Floor::Cold { .. } => String::new(),
    };
    let mut data = String::new();
    for byte in &calls.constants {
        let _ = write!(data, "\\{byte:02x}");
    }
    let (holds_request, holds_response) = (u8::from(made.holds_request), u8::from(made.holds_response));
    let Callbacks { request, response, callout, .. } = made;
    format!(
        r#"(module
{IMPORTS}
(memory (export "memory") 8)
(data (i32.const {CONSTANTS}) "{data}")
(global $next (mut i32) (i32.const 65536))
(func (export "proxy_abi_version_0_2_1"))
(func (export "_initialize"))
;; What Envoy passes is never looked at, so the same memory serves again.
(func (export "proxy_on_memory_allocate") (param $length i32) (result i32)
  (local $address i32)
  (if (i32.gt_u (i32.add (global.get $next) (local.get $length)) (i32.const 262144))
    (then (global.set $next (i32.const 65536))))
  (local.set $address (global.get $next))
  (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get $length)) (i32.const 15)) (i32.const -16)))
  (local.get $address))
(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
(func (export "proxy_on_configure") (param i32 i32) (result i32)
{configure}(i32.const 1))
(func (export "proxy_on_context_create") (param i32 i32))
(func (export "proxy_on_delete") (param i32))
(func (export "proxy_on_request_headers") (param $context i32) (param i32 i32) (result i32)
{request}(i32.const {holds_request}))
(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
{response}(i32.const {holds_response}))
(func (export "proxy_on_http_call_response")
  (param $root i32) (param $token i32) (param $headers i32) (param $length i32) (param $trailers i32)
  (local $note i32) (local $context i32)
{callout}))
"#
    )
}

/// The host's functions (proxy-wasm ABI 0.2.1).
const IMPORTS: &str = r#"
(import "env" "proxy_get_header_map_pairs" (func $proxy_get_header_map_pairs (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_value" (func $proxy_get_header_map_value (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_replace_header_map_value"
  (func $proxy_replace_header_map_value (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_remove_header_map_value" (func $proxy_remove_header_map_value (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_property" (func $proxy_get_property (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_buffer_bytes" (func $proxy_get_buffer_bytes (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_shared_data" (func $proxy_get_shared_data (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_shared_data" (func $proxy_set_shared_data (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_define_metric" (func $proxy_define_metric (param i32 i32 i32 i32) (result i32)))
(import "env" "proxy_increment_metric" (func $proxy_increment_metric (param i32 i64) (result i32)))
(import "env" "proxy_set_effective_context" (func $proxy_set_effective_context (param i32) (result i32)))
(import "env" "proxy_http_call"
  (func $proxy_http_call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_send_local_response"
  (func $proxy_send_local_response (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
"#;
