//! The adapter to Envoy: callbacks go to the core's driver, which calls back through its traits. Nothing is decided
//! here.
//!
//! Header values are read as bytes and host calls through `proxy_wasm::hostcalls`: the SDK's trait methods unwrap,
//! and a panic takes the worker's VM down with every stream in it.

// Natively there is nothing to be host to.
#![cfg(target_arch = "wasm32")]

mod http;
mod logger;
mod metrics;
mod resources;
mod root;
mod shared;

/// Apart, because the SDK's macro makes public functions.
mod entry {
    use crate::{logger, root::Root};

    proxy_wasm::main! {{
        logger::install();
        proxy_wasm::set_root_context(|id| Box::new(Root::new(id)));
    }}
}
