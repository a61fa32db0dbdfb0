//! `metahub-trim FILTER`: removes from a compiled filter, in place, the code that Envoy never calls.
//!
//! Envoy calls a callback when the module exports it, and the SDK exports all that exist, most of which do nothing
//! here. Only the exports in [`KEPT`] stay, and with the others goes the code that only they reached. Running it again
//! changes nothing.
//!
//! Errors go to standard error and exit with 1; the file is then as it was.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use walrus::ModuleConfig;

/// The exports that Envoy needs, and the callbacks that `crates/proxy-wasm` has something to do in. proxy-wasm's C++
/// host takes an absent callback as "go on", an absent `proxy_on_done` as "done".
const KEPT: [&str; 16] = [
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_http_call_response",
    "proxy_on_delete",
];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match arguments.as_slice() {
        [filter] => trim_file(Path::new(filter)),
        _ => Err("usage: metahub-trim FILTER".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The file is replaced, not written to: cargo keeps a second link to it and takes its content for its own.
fn trim_file(filter: &Path) -> Result<()> {
    let name = filter.display();
    let before = fs::read(filter).map_err(|error| format!("{name}: {error}"))?;
    let after = trim(&before).map_err(|error| format!("{name}: {error}"))?;
    let beside = filter.with_extension("trimmed");
    fs::write(&beside, &after)?;
    fs::rename(&beside, filter)?;
    println!("{name}: {} bytes, {} before its unused exports were removed", after.len(), before.len());
    Ok(())
}

/// The module with the exports that stay and the code that they reach.
fn trim(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut module = ModuleConfig::new().generate_name_section(false).generate_producers_section(false).parse(wasm)?;
    if let Some(missing) = KEPT.iter().find(|kept| module.exports.iter().all(|export| export.name != **kept)) {
        return Err(format!("the filter does not export {missing}").into());
    }
    let unused: Vec<_> = module
        .exports
        .iter()
        .filter(|export| !KEPT.contains(&export.name.as_str()))
        .map(|export| export.id())
        .collect();
    for export in unused {
        module.exports.delete(export);
    }
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

#[cfg(test)]
mod tests;
