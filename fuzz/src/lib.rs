//! What the fuzz targets look for: `targets/`, which the native tests share.

#[path = "../../tests/support/memory.rs"]
mod memory;
mod targets;

/// The pseudo-random input of this number.
pub fn case(target: &str, seed: u64) -> Vec<u8> {
    targets::case(target, seed)
}

/// Checks one input.
pub fn check(target: &str, bytes: &[u8]) {
    targets::check(target, bytes);
}
