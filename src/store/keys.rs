//! Keys of stored values: digests under a key that each process makes for itself, and the slots that they fall into.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::store::resources::Resources;

/// Where the process keeps the key of its digests.
pub(crate) const KEY: &str = "metahub.key";

/// The key of a process's digests.
#[derive(Clone, Copy)]
pub(crate) struct ProcessKey([u8; 32]);

impl fmt::Debug for ProcessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl ProcessKey {
    /// The key of this process, which the first worker to come makes; `None` without randomness.
    pub(crate) fn of(resources: &dyn Resources) -> Option<Self> {
        if let Some(key) = resources.get(KEY).and_then(|key| key.try_into().ok()) {
            return Some(Self(key));
        }
        resources.set_once(KEY, &resources.random()?)?.try_into().ok().map(Self)
    }

    /// The bytes, for the one other key that is made of them.
    pub(crate) const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A keyed digest of a registry's cluster and of the complete credentials that are presented for it. Values of one
/// caller are kept under it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity([u8; 32]);

impl Identity {
    /// The identity of these credentials, in parts.
    pub(crate) fn of(process_key: &ProcessKey, cluster: &str, credentials: &[&str]) -> Self {
        let mut parts = vec![b"caller".as_slice(), cluster.as_bytes()];
        parts.extend(credentials.iter().map(|part| part.as_bytes()));
        Self(digest(process_key, &parts))
    }

    /// An identity that no credentials have.
    #[cfg(test)]
    pub(crate) const fn for_tests(byte: u8) -> Self {
        Self([byte; 32])
    }

    /// The digest.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A keyed digest of these parts.
pub(crate) fn digest(process_key: &ProcessKey, parts: &[&[u8]]) -> [u8; 32] {
    mac(&process_key.0, parts)
}

/// HMAC-SHA256 of these parts.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    debug_assert!(mac.is_ok(), "HMAC takes keys of any length");
    let Ok(mut mac) = mac else { return [0; 32] };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::in_memory::Map;

    #[test]
    fn one_process_has_one_key_and_shows_it_nowhere() {
        let memory = Map::default();
        let key = ProcessKey::of(&memory).unwrap();
        assert_eq!(ProcessKey::of(&memory).unwrap().expose(), key.expose());
        let identity = Identity::of(&key, "c", &["Basic", "me", "pw"]);
        assert_eq!(format!("{key:?} {identity:?}"), "[redacted] [redacted]");
        assert!(ProcessKey::of(&Map { mute: true, ..Map::default() }).is_none());
    }
}
