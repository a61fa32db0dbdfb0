//! Where something was seen, and under which keys it is kept.

use super::record::put;
use crate::oci::reference::{Repository, Tag};
use crate::store::keys::Identity;

/// A repository behind a cluster: what is seen in one is not known of another.
#[derive(Clone, Copy, Debug)]
pub struct CacheScope<'a> {
    /// The upstream cluster.
    pub cluster: &'a str,
    /// The repository, with its namespace.
    pub repository: &'a Repository,
}

/// The complete keys, each of a kind of its own.
impl CacheScope<'_> {
    /// Of a document, and of where it is.
    pub(super) fn document_key(self, digest: &str) -> Vec<u8> {
        self.key(b'd', &[digest.as_bytes()])
    }

    /// Of what a tag came to.
    pub(super) fn resolution_key(self, tag: &Tag, view: &[u8]) -> Vec<u8> {
        self.key(b't', &[tag.as_str().as_bytes(), view])
    }

    /// Of what a tag came to when upstream confirmed it to the identity.
    pub(super) fn confirmed_key(self, tag: &Tag, view: &[u8], identity: &Identity) -> Vec<u8> {
        self.key(b'c', &[tag.as_str().as_bytes(), view, identity.as_bytes()])
    }

    /// Of the identity's last refusal.
    pub(super) fn refusal_key(self, identity: &Identity) -> Vec<u8> {
        self.key(b'r', &[identity.as_bytes()])
    }

    /// Of a tag that was seen.
    pub(super) fn tag_key(self, tag: &Tag) -> Vec<u8> {
        self.key(b'k', &[tag.as_str().as_bytes()])
    }

    /// Of when the registry last answered HEAD with less than GET.
    pub(super) fn headless_key(self) -> Vec<u8> {
        self.key(b'h', &[])
    }

    /// What it is about, where, and the parts, with their lengths, which keep ("ab", "c") apart from ("a", "bc").
    fn key(self, kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(256);
        key.push(kind);
        put(&mut key, self.cluster.as_bytes());
        put(&mut key, self.repository.as_str().as_bytes());
        for part in parts {
            put(&mut key, part);
        }
        key
    }
}
