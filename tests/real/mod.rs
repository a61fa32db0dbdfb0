//! Tests with real processes. They are skipped by `make check`, which must need nothing installed.

mod anonymous;
mod bad_input;
mod cache;
mod clients;
mod configurations;
mod crash;
mod docker_hub;
mod envoys_own_errors;
mod fleet;
mod guessing;
mod harness;
mod hosts;
mod hosts_toml;
mod logins;
mod observe;
mod protocol;
mod registry_headers;
mod reload;
mod request_bodies;
mod selection_sample;
mod several_registries;
mod slow_readers;
mod stage;
mod tls;
mod transfers;
mod upstream;
