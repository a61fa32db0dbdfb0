//! The compiled filter, and the changes that tests make to the shipped metahub.yaml, as a value ([`crate::config`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::config::Edit as _;
use crate::{Failure, Result};

/// The filter as the shipped configuration names it.
const WASM: &str = "dist/metahub.wasm";

/// MetaHub's own configuration in the file around it.
pub fn own(file: &mut Value) -> &mut Value {
    file.at_mut("resources.0.typed_config.config.configuration.value")
}

/// The part of the file about the filter's VM.
pub fn vm(file: &mut Value) -> &mut Value {
    file.at_mut("resources.0.typed_config.config.vm_config")
}

/// Loads another module.
pub fn set_module(file: &mut Value, path: &Path) {
    vm(file).set("code.local.filename", path.display().to_string());
}

/// Lets the filter see this variable of Envoy's environment.
pub(super) fn show_variable(file: &mut Value, name: &str) {
    let vm = vm(file).as_object_mut().expect("the VM's configuration");
    let variables = vm.entry("environment_variables").or_insert_with(|| json!({ "host_env_keys": [] }));
    variables.push("host_env_keys", name);
}

/// The shipped metahub.yaml (or an operator's edited one) with the filter's absolute path, and for another port of the
/// demo's registry where it leads to that.
pub fn place(file: &mut Value, upstream: Option<u16>) {
    set_module(file, &crate::root().join(WASM));
    if let Some(upstream) = upstream {
        own(file).set("registries.registry.host", format!("127.0.0.1:{upstream}"));
    }
}

/// The compiled filter; refused when a source is newer, so that no test passes on a filter that is not under test.
pub fn fresh_wasm() -> Result<PathBuf> {
    let path = crate::root().join(WASM);
    let built = modified(&path).ok_or_else(|| Failure::new("the filter is not built: run `make build`"))?;
    let sources = ["src", "crates/proxy-wasm", "Cargo.toml", "Cargo.lock", "build.rs", "rust-toolchain.toml"];
    for source in sources.map(|name| crate::root().join(name)) {
        if let Some(newer) = newest(&source).filter(|time| *time > built) {
            let age = newer.duration_since(built).unwrap_or_default();
            let text = format!("the filter is {age:?} older than {}: run `make build`", source.display());
            return Err(Failure::new(text));
        }
    }
    Ok(path)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// The latest modification below `path`.
fn newest(path: &Path) -> Option<SystemTime> {
    let below = fs::read_dir(path).into_iter().flatten().flatten().filter_map(|entry| newest(&entry.path()));
    below.chain(path.is_file().then(|| modified(path)).flatten()).max()
}
