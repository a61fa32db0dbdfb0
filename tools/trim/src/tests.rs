use walrus::{FunctionBuilder, Module, ValType};

use super::{KEPT, trim};

/// A filter that exports what it has to, `proxy_on_log` which alone calls Envoy's `proxy_done`, and memory.
fn filter(leave_out: Option<&str>) -> Vec<u8> {
    let mut module = Module::default();
    let memory = module.memories.add_local(false, false, 1, None, None);
    let nothing = module.types.add(&[], &[]);
    let (done, _) = module.add_import_func("env", "proxy_done", nothing);
    let mut function = |calls: bool| {
        let mut builder = FunctionBuilder::new(&mut module.types, &[ValType::I32], &[]);
        if calls {
            builder.func_body().call(done);
        }
        let context = module.locals.add(ValType::I32);
        builder.finish(vec![context], &mut module.funcs)
    };
    let (used, unused) = (function(false), function(true));
    module.exports.add("proxy_on_log", unused);
    for name in KEPT.into_iter().filter(|name| Some(*name) != leave_out) {
        if name == "memory" {
            module.exports.add(name, memory);
        } else {
            module.exports.add(name, used);
        }
    }
    module.emit_wasm()
}

fn exports(wasm: &[u8]) -> Vec<String> {
    let mut names: Vec<_> =
        Module::from_buffer(wasm).unwrap().exports.iter().map(|export| export.name.clone()).collect();
    names.sort_unstable();
    names
}

#[test]
fn only_what_envoy_needs_stays_exported() {
    let untrimmed = filter(None);
    assert!(exports(&untrimmed).contains(&"proxy_on_log".to_owned()));
    let mut kept: Vec<_> = KEPT.map(str::to_owned).into();
    kept.sort_unstable();
    assert_eq!(exports(&trim(&untrimmed).unwrap()), kept);
}

#[test]
fn what_only_an_unused_export_reached_is_gone() {
    let functions = |wasm: &[u8]| Module::from_buffer(wasm).unwrap().funcs.iter().count();
    let untrimmed = filter(None);
    assert_eq!((functions(&untrimmed), functions(&trim(&untrimmed).unwrap())), (3, 1));
    let imports = Module::from_buffer(&trim(&untrimmed).unwrap()).unwrap().imports.iter().count();
    assert_eq!(imports, 0);
}

#[test]
fn trimming_twice_is_trimming_once() {
    let once = trim(&filter(None)).unwrap();
    assert_eq!(trim(&once).unwrap(), once);
}

#[test]
fn a_filter_that_lacks_a_callback_is_refused() {
    for name in KEPT {
        let error = trim(&filter(Some(name))).unwrap_err().to_string();
        assert_eq!(error, format!("the filter does not export {name}"));
    }
}

#[test]
fn what_is_no_module_is_refused() {
    assert!(trim(b"metahub").is_err());
}
