//! The place where something was seen, and the keys under which it is kept.

use super::record::put;
use crate::oci::reference::{Repository, Tag};
use crate::store::keys::Identity;

/// Marks the first byte of a view: it is one of a described machine.
pub const DESCRIBED: u8 = 0x80;

/// Whether a key is of a fact about a described machine.
pub(super) fn is_of_described(key: &[u8]) -> bool {
    key.first().is_some_and(u8::is_ascii_uppercase)
}

/// A repository behind a cluster: what is seen in one is not known of another. In keys it has the registry's own name,
/// so that after a change of the prefix nothing of another repository is found.
#[derive(Clone, Copy, Debug)]
pub struct CacheScope<'a> {
    /// The upstream cluster.
    pub cluster: &'a str,
    /// The path before every repository upstream, if there is one.
    pub prefix: Option<&'a Repository>,
    /// The repository, with its namespace.
    pub repository: &'a Repository,
}

/// The complete keys, each of a kind of its own.
impl CacheScope<'_> {
    /// The key of a document, and of its location.
    pub(super) fn document_key(self, digest: &str) -> Vec<u8> {
        self.key(b'd', &[digest.as_bytes()])
    }

    /// The key of a tag's resolution.
    pub(super) fn resolution_key(self, tag: &Tag, view: &[u8]) -> Vec<u8> {
        self.key(of_view(b't', view), &[tag.as_str().as_bytes(), view])
    }

    /// The key of a tag's resolution that upstream confirmed to the identity.
    pub(super) fn confirmed_key(self, tag: &Tag, view: &[u8], identity: &Identity) -> Vec<u8> {
        self.key(of_view(b'c', view), &[tag.as_str().as_bytes(), view, identity.as_bytes()])
    }

    /// The key of the identity's last refusal.
    pub(super) fn refusal_key(self, identity: &Identity) -> Vec<u8> {
        self.key(b'r', &[identity.as_bytes()])
    }

    /// The key of a tag that was seen.
    pub(super) fn tag_key(self, tag: &Tag) -> Vec<u8> {
        self.key(b'k', &[tag.as_str().as_bytes()])
    }

    /// The key of a tag that the registry does not have for the credential that it saw.
    pub(super) fn absent_key(self, tag: &Tag, seen: &Identity) -> Vec<u8> {
        self.key(b'a', &[tag.as_str().as_bytes(), seen.as_bytes()])
    }

    /// The key of a tag in which nothing fits a view, for the credential that the registry saw.
    pub(super) fn unfit_key(self, tag: &Tag, view: &[u8], seen: &Identity) -> Vec<u8> {
        self.key(of_view(b'u', view), &[tag.as_str().as_bytes(), view, seen.as_bytes()])
    }

    /// The key of the time at which the registry last answered HEAD with less than GET.
    pub(super) fn headless_key(self) -> Vec<u8> {
        self.key(b'h', &[])
    }

    /// A key: its kind, the scope, and the parts with their lengths, which keep ("ab", "c") apart from ("a", "bc").
    fn key(self, kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(256);
        key.push(kind);
        put(&mut key, self.cluster.as_bytes());
        put(&mut key, self.repository.below(self.prefix).as_str().as_bytes());
        for part in parts {
            put(&mut key, part);
        }
        key
    }
}

/// The kind of a key that depends on a view. Facts about described machines are of kinds of their own.
fn of_view(kind: u8, view: &[u8]) -> u8 {
    let is_described = view.first().is_some_and(|first| first & DESCRIBED != 0);
    if is_described { kind.to_ascii_uppercase() } else { kind }
}
