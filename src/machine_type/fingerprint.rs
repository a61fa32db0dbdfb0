//! Which machine types get the same image from every index.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::hardware::microarchitecture;
use crate::oci::digest::hex;

/// The version of the rules of selection. It rises whenever the same index and machine type may lead to another
/// selection than before, because decisions in the shared cache outlive a filter's replacement.
const SELECTION_VERSION: u32 = 2;

/// A stable digest of everything about a machine type that influences selection, its name not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The digest's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// The parts of a fingerprint, one after the other.
pub(super) struct Parts(Sha256);

impl Parts {
    /// Begins with the rules and the table that all machine types share.
    pub(super) fn new() -> Self {
        let mut parts = Self(Sha256::new());
        parts.add(&SELECTION_VERSION.to_string());
        parts.add(&microarchitecture::table_version().to_string());
        parts
    }

    /// Each part is preceded by its length, so that no two different lists of parts hash the same bytes.
    pub(super) fn add(&mut self, text: &str) {
        self.0.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    pub(super) fn finish(self) -> Fingerprint {
        let mut fingerprint = [0; 16];
        fingerprint.iter_mut().zip(self.0.finalize()).for_each(|(byte, digest)| *byte = digest);
        Fingerprint(fingerprint)
    }
}
