//! Features (`key:value`, or a bare key) and the rules by which a machine's values satisfy an image's.
//!
//! An image's feature may list alternatives: `nvcap:7.0|8.0|9.0+ptx`. One of them must be met; one that cannot be read
//! is not.

mod amd_gpu;
mod capability;
mod cuda;
mod nearness;
mod offered;
mod reading;
mod rule;
mod value;
mod version;
mod wanted;

pub use capability::Capability;
pub(crate) use cuda::toolkit_of_driver;
pub(crate) use nearness::{Match, Nearness, nearer};
pub(crate) use offered::{MAX_DEVICES, OfferedValues};
pub use rule::{FeatureRules, Rule};
pub use version::Version;
pub use wanted::Feature;

/// The longest feature, in bytes, in a configuration or an index; of alternatives each with its key.
pub const MAX_LENGTH: usize = 256;

/// The most alternatives of a feature.
pub const MAX_ALTERNATIVES: usize = 32;

/// The key whose values are microarchitectures.
pub const CPU: &str = "cpu";

/// The key whose values are flags of a microarchitecture.
pub const ISA: &str = "isa";

/// The flag of machines that get images with zstd layers where there are both.
pub const ZSTD: &str = "zstd";

/// Checks the text of a feature in the configuration, or of a key: printable ASCII without blanks and commas (the
/// annotation `org.metahub.features` separates by commas).
pub(crate) fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > MAX_LENGTH {
        return Err(format!("is longer than {MAX_LENGTH} bytes"));
    }
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b',') {
        return Err("may only have printable ASCII characters, without blanks and commas".to_owned());
    }
    Ok(())
}
