//! Properties that must hold for any bytes. The fuzz targets feed them from libFuzzer, `tests/native/fuzzed.rs` with a
//! fixed number of pseudo-random inputs, so that every `make check` goes through all of it.

mod authorization;
mod configuration;
mod flow;
mod input;
mod json;
mod log_text;
mod request_line;
mod selection;
mod tickets;
mod token_answers;
mod words;

use self::input::pseudo_random;

/// A target, and its inputs.
#[derive(Clone, Copy)]
pub struct Target {
    /// As the target is called.
    pub name: &'static str,
    /// The longest pseudo-random input, in bytes.
    longest: usize,
    /// Half of the inputs are made of these instead of bytes, so that some get far.
    words: &'static [&'static str],
    /// Panics where something does not hold.
    check: fn(&[u8]),
}

const fn target(name: &'static str, longest: usize, words: &'static [&'static str], check: fn(&[u8])) -> Target {
    Target { name, longest, words, check }
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    target("selection", 4096, words::INDEX, selection::check),
    target("authorization", 512, words::AUTHORIZATION, authorization::check),
    target("request_line", 512, words::REQUEST_LINE, request_line::check),
    target("configuration", 2048, words::CONFIGURATION, configuration::check),
    target("token_answers", 1024, words::TOKEN_ANSWER, token_answers::check),
    target("tickets", 512, &[], tickets::check),
    target("json", 1024, words::JSON, json::check),
    target("flow", 600, &[], flow::check),
];

/// Checks one input.
pub fn check(target: &str, bytes: &[u8]) {
    (find(target).check)(bytes);
}

/// The pseudo-random input of this number.
pub fn case(target: &str, number: u64) -> Vec<u8> {
    let Target { longest, words, .. } = find(target);
    let bytes = pseudo_random(number, longest + 2);
    let (length, bytes) = bytes.split_at(2);
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    if words.is_empty() || number.is_multiple_of(2) {
        return bytes[..length % (longest + 1)].to_vec();
    }
    let picked = bytes[..1 + length % 12].iter().map(|byte| words[usize::from(*byte) % words.len()]);
    picked.collect::<String>().into_bytes()
}

fn find(target: &str) -> Target {
    *TARGETS.iter().find(|known| known.name == target).expect("a target")
}
