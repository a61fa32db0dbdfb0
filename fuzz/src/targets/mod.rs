//! What must hold for any bytes. The fuzz targets feed it from libFuzzer, `tests/native/fuzzed.rs` with a fixed number of
//! pseudo-random inputs, so that every `make check` goes through all of it.

mod authorization;
mod configuration;
mod flow;
mod input;
mod json;
mod own_tokens;
mod request_line;
mod selection;
mod token_answers;

use self::input::pseudo_random;

/// A target: its name, the longest input that is worth while in bytes, and what checks one input.
pub(crate) type Target = (&'static str, usize, fn(&[u8]));

/// All targets. Each panics where something does not hold.
pub(crate) const TARGETS: [Target; 8] = [
    ("selection", 4096, selection::check),
    ("authorization", 512, authorization::check),
    ("request_line", 512, request_line::check),
    ("configuration", 2048, configuration::check),
    ("token_answers", 1024, token_answers::check),
    ("own_tokens", 512, own_tokens::check),
    ("json", 1024, json::check),
    ("flow", 600, flow::check),
];

/// Printable ASCII of bounded length, fit for logs and headers.
fn harmless(words: &str) -> bool {
    words.len() < 2000 && words.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Checks one input.
pub(crate) fn check(target: &str, bytes: &[u8]) {
    let (_, _, check) = find(target);
    check(bytes);
}

/// The pseudo-random input of this number.
pub(crate) fn case(target: &str, seed: u64) -> Vec<u8> {
    let (_, longest, _) = find(target);
    let length =
        pseudo_random(seed, 8).iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte) % 251) % (longest + 1);
    pseudo_random(!seed, length)
}

fn find(target: &str) -> Target {
    *TARGETS.iter().find(|(name, ..)| *name == target).expect("a target")
}
