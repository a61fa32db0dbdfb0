//! Callers that one worker knows while a configuration is in force, so that a request with a login that was checked
//! before does not read the process's memory.
//!
//! A new configuration begins without known callers, so that rotation and lost permissions take effect at once. Only
//! logins that MetaHub itself has checked, or that no party checks, are kept: a registry that checks logins is asked
//! each time. Neither passwords nor machine types are kept: nodes of different types may share a login. A login is
//! recognised by two SipHashes of its complete `Authorization` header behind secrets that nobody knows (the standard
//! library's hasher, whose keys are fixed, so that they go in front), 128 bits: an attacker would have to guess them to
//! pass for another caller. (HMAC-SHA256 took three quarters of all instructions that a remembered login costs.)

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};

use crate::store::keys::Identity;
use crate::store::resources::Random;

/// The most callers that are known. Where two share a place, the earlier one is forgotten.
const PLACES: usize = 1024;

/// The mark by which a login is recognised.
type Mark = [u64; 2];

/// A known caller.
#[derive(Clone)]
pub(super) struct KnownCaller {
    pub(super) user: String,
    /// The account's name.
    pub(super) account: Option<String>,
    pub(super) identity: Option<Identity>,
}

/// The callers that one worker knows under one configuration.
#[derive(Default)]
pub(super) struct KnownCallers {
    key: OnceCell<Option<[u8; 32]>>,
    known: RefCell<Vec<Option<(Mark, KnownCaller)>>>,
}

impl fmt::Debug for KnownCallers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("callers")
    }
}

impl KnownCallers {
    /// The mark of this header at this registry, and its place. `None` without randomness: then no caller is known.
    fn recognise(&self, random: &dyn Random, cluster: &str, authorization: &[u8]) -> Option<(Mark, usize)> {
        let key = (*self.key.get_or_init(|| random.random()))?;
        let (one, other) = key.split_first_chunk::<16>()?;
        let hash = |key: &[u8]| {
            let mut hasher = DefaultHasher::new();
            hasher.write(key);
            // The length keeps ("a", "bc") apart from ("ab", "c").
            hasher.write_usize(cluster.len());
            hasher.write(cluster.as_bytes());
            hasher.write(authorization);
            hasher.finish()
        };
        let first = hash(one);
        Some(([first, hash(other)], usize::try_from(first % PLACES as u64).ok()?))
    }

    /// The known caller that sends this header to this registry.
    pub(super) fn find(&self, random: &dyn Random, cluster: &str, authorization: &[u8]) -> Option<KnownCaller> {
        let (mark, place) = self.recognise(random, cluster, authorization)?;
        let all = self.known.borrow();
        let (stored, known) = all.get(place)?.as_ref()?;
        (*stored == mark).then(|| known.clone())
    }

    /// Makes this header's sender known at this registry.
    pub(super) fn keep(&self, random: &dyn Random, cluster: &str, authorization: &[u8], known: KnownCaller) {
        let Some((mark, place)) = self.recognise(random, cluster, authorization) else { return };
        let mut all = self.known.borrow_mut();
        all.resize_with(PLACES, || None);
        if let Some(slot) = all.get_mut(place) {
            *slot = Some((mark, known));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::in_memory::Map;

    fn known(user: &str) -> KnownCaller {
        KnownCaller { user: user.to_owned(), account: None, identity: None }
    }

    #[test]
    fn knows_one_header_at_one_registry_only() {
        let (callers, memory) = (KnownCallers::default(), Map::default());
        callers.keep(&memory, "a", b"Basic eA==", known("x"));
        assert_eq!(callers.find(&memory, "a", b"Basic eA==").map(|known| known.user), Some("x".to_owned()));
        for (cluster, authorization) in
            [("b", &b"Basic eA=="[..]), ("a", b"Basic eB=="), ("a", b""), ("aB", b"asic eA==")]
        {
            assert!(callers.find(&memory, cluster, authorization).is_none(), "{cluster}");
        }
        assert!(KnownCallers::default().find(&memory, "a", b"Basic eA==").is_none(), "another configuration");
    }

    #[test]
    fn is_bounded_and_knows_nobody_by_halves() {
        let (callers, memory) = (KnownCallers::default(), Map::default());
        for number in 0..4 * PLACES {
            callers.keep(&memory, "a", &number.to_le_bytes(), known(&number.to_string()));
        }
        assert_eq!(callers.known.borrow().len(), PLACES);
        let found = |number: &usize| callers.find(&memory, "a", &number.to_le_bytes()).map(|known| known.user);
        assert!((0..4 * PLACES).all(|number| found(&number).is_none_or(|user| user == number.to_string())));
    }

    #[test]
    fn without_randomness_nobody_is_known() {
        let (callers, memory) = (KnownCallers::default(), Map { mute: true, ..Map::default() });
        callers.keep(&memory, "a", b"x", known("x"));
        assert!(callers.find(&memory, "a", b"x").is_none());
    }
}
