//! Callers that one worker knows while a configuration is in force, so that a request with a login that was checked
//! before costs no look into the process's memory.
//!
//! A new configuration begins with nobody known, which is how rotation and lost permissions take effect at once. Only
//! logins that MetaHub itself has checked, or that nobody checks, are kept: what a registry has accepted is the
//! registry's to say each time. Passwords are not kept. A login is recognised by two SipHashes of its complete
//! `Authorization` header, 128 bits under keys that nobody knows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use crate::config::View;
use crate::login::Refused;

/// The most callers that are known; with one more all are forgotten.
const MOST: usize = 1024;

/// What is known of a caller.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) user: String,
    pub(super) view: Result<View, Refused>,
    /// The account's name.
    pub(super) account: Option<String>,
    pub(super) identity: Option<[u8; 32]>,
}

/// The callers that one worker knows under one configuration.
#[derive(Default)]
pub struct Callers {
    keys: [RandomState; 2],
    known: RefCell<BTreeMap<[u64; 2], Known>>,
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} callers", self.known.borrow().len())
    }
}

impl Callers {
    fn key(&self, cluster: &str, authorization: &[u8]) -> [u64; 2] {
        self.keys.each_ref().map(|key| {
            let mut hasher = key.build_hasher();
            hasher.write_usize(cluster.len());
            hasher.write(cluster.as_bytes());
            hasher.write(authorization);
            hasher.finish()
        })
    }

    /// Who sends this header to this registry.
    pub(super) fn find(&self, cluster: &str, authorization: &[u8]) -> Option<Known> {
        self.known.borrow().get(&self.key(cluster, authorization)).cloned()
    }

    /// From now on this header's sender is known at this registry.
    pub(super) fn keep(&self, cluster: &str, authorization: &[u8], known: Known) {
        let mut all = self.known.borrow_mut();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(self.key(cluster, authorization), known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(user: &str) -> Known {
        Known { user: user.to_owned(), view: Ok(View::Unfiltered), account: None, identity: None }
    }

    #[test]
    fn knows_one_header_at_one_registry_only() {
        let callers = Callers::default();
        callers.keep("a", b"Basic eA==", known("x"));
        assert_eq!(callers.find("a", b"Basic eA==").map(|known| known.user), Some("x".to_owned()));
        for (cluster, authorization) in
            [("b", &b"Basic eA=="[..]), ("a", b"Basic eB=="), ("a", b""), ("aB", b"asic eA==")]
        {
            assert!(callers.find(cluster, authorization).is_none(), "{cluster}");
        }
        assert!(Callers::default().find("a", b"Basic eA==").is_none(), "another configuration");
    }

    #[test]
    fn is_bounded() {
        let callers = Callers::default();
        for number in 0..=MOST {
            callers.keep("a", &number.to_le_bytes(), known("x"));
        }
        assert_eq!(format!("{callers:?}"), "1 callers");
    }
}
