//! Tests with real processes. They are skipped by `make check`, which must need nothing installed.

mod clients;
mod envoys_own_errors;
mod fleet;
mod harness;
mod selection_sample;
