//! The target `tickets`: see `metahub_fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| metahub_fuzz::check("tickets", bytes));
