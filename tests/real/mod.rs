//! Tests with real processes. They are skipped by `make check`, which must need nothing installed.

mod bad_input;
mod clients;
mod crash;
mod envoys_own_errors;
mod harness;
mod logins;
mod observe;
mod protocol;
mod reload;
mod request_bodies;
mod transfers;
