//! Keys of what is kept: digests under a key that each process makes for itself, and the slots that they fall into.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::store::resources::Resources;

/// Where the process keeps the key of its digests.
pub(crate) const KEY: &str = "metahub.key";

/// The key of this process's digests, made by whichever worker comes first.
pub(crate) fn process_key(resources: &dyn Resources) -> Option<[u8; 32]> {
    if let Some(key) = resources.get(KEY).and_then(|key| key.try_into().ok()) {
        return Some(key);
    }
    resources.set_once(KEY, &resources.random()?)?.try_into().ok()
}

/// A keyed digest of these parts.
pub(crate) fn digest(process_key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(process_key) else { return [0; 32] };
    for part in parts {
        // Lengths keep ("ab", "c") apart from ("a", "bc").
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The name of the slot that a key falls into.
pub(crate) fn slot(prefix: &str, key: &[u8; 32], slots: u32) -> String {
    let [a, b, c, d, ..] = *key;
    format!("{prefix}{}", u32::from_le_bytes([a, b, c, d]) % slots)
}
