//! The state that one worker keeps for itself while a configuration is in force.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::described::DescribedMachines;
use super::known_callers::KnownCallers;
use crate::flow::body::Body;
use crate::oci::digest::Digest;
use crate::oci::reference::Repository;
use crate::store::cache::{Cache, CacheScope};
use crate::store::resources::Store;

/// The most explanations under way on one worker. Each holds the indexes that it has read.
const MAX_EXPLANATIONS: u32 = 16;

/// The most bytes of forms that one worker's requests may hold until their ends are here.
const MAX_FORMS: usize = 16 * 1024 * 1024;

/// The state that one worker keeps for itself under one configuration.
#[derive(Debug, Default)]
pub struct WorkerState {
    pub(super) known_callers: KnownCallers,
    pub(super) described: DescribedMachines,
    explanations: Rc<Cell<u32>>,
    forms: Rc<Cell<usize>>,
    pub(super) recent: Rc<Recent>,
}

/// The most indexes that are kept parsed. The cache keeps none above 512 KiB, so that their bytes take 2 MiB, their
/// parsed form several times as much again, and the results of different machine types the rest.
const MAX_RECENT: usize = 4;

/// The documents behind tags that were last read from the cache. Where a tag has moved, a fleet that asks with HEAD
/// reads one index as often as it has clients, and is to parse it once.
#[derive(Debug, Default)]
pub(super) struct Recent(RefCell<VecDeque<Read>>);

/// A document of the cache, with all facts found out about it.
#[derive(Clone, Debug)]
struct Read {
    cluster: String,
    repository: Repository,
    digest: Digest,
    media_type: String,
    body: Body,
}

impl Recent {
    /// The document with this digest and its media type, if the cache has it or had it a moment ago.
    pub(super) fn find(
        &self,
        cache: &Cache,
        store: &dyn Store,
        scope: CacheScope<'_>,
        digest: &Digest,
    ) -> Option<(String, Body)> {
        let is_it = |read: &&Read| {
            read.digest == *digest && read.repository == *scope.repository && read.cluster == scope.cluster
        };
        if let Some(read) = self.0.borrow().iter().find(is_it) {
            return Some((read.media_type.clone(), read.body.clone()));
        }
        let document = cache.find(store, scope, digest.as_str())?;
        let (media_type, body) = (document.media_type, Body::from(document.body));
        let read = Read {
            cluster: scope.cluster.to_owned(),
            repository: scope.repository.clone(),
            digest: digest.clone(),
            media_type: media_type.clone(),
            body: body.clone(),
        };
        let mut reads = self.0.borrow_mut();
        reads.truncate(MAX_RECENT - 1);
        reads.push_front(read);
        Some((media_type, body))
    }
}

impl WorkerState {
    /// Lets an explanation begin, unless [`MAX_EXPLANATIONS`] are under way.
    pub(super) fn explain(&self) -> Option<Permit> {
        let under_way = self.explanations.get();
        if under_way >= MAX_EXPLANATIONS {
            return None;
        }
        self.explanations.set(under_way + 1);
        Some(Permit(Rc::clone(&self.explanations)))
    }
}

impl WorkerState {
    /// The bytes of one form, none so far.
    pub(super) fn form_bytes(&self) -> FormBytes {
        FormBytes { all: Rc::clone(&self.forms), own: 0 }
    }
}

/// The bytes of one form that are held until its end is here; none any more once this is dropped.
#[derive(Debug)]
pub(super) struct FormBytes {
    all: Rc<Cell<usize>>,
    own: usize,
}

impl FormBytes {
    /// Holds so many bytes in all; false, and as many as before, if the worker's forms would hold more than
    /// [`MAX_FORMS`].
    pub(super) fn set(&mut self, bytes: usize) -> bool {
        let all = self.all.get().saturating_sub(self.own).saturating_add(bytes);
        let fits = all <= MAX_FORMS;
        if fits {
            self.all.set(all);
            self.own = bytes;
        }
        fits
    }
}

impl Drop for FormBytes {
    fn drop(&mut self) {
        self.all.set(self.all.get().saturating_sub(self.own));
    }
}

/// One explanation under way, until this is dropped.
#[derive(Debug)]
pub(super) struct Permit(Rc<Cell<u32>>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::in_memory::Map;

    #[test]
    fn an_index_of_the_cache_is_read_once_and_few_are_kept() {
        let (recent, memory, cache) = (Recent::default(), Map::default(), Cache::default());
        let names = ["a", "b"].map(|name| Repository::parse(name).unwrap());
        let scope = |number: usize| CacheScope { cluster: "c", prefix: None, repository: &names[number] };
        let bodies: Vec<Vec<u8>> = (0..=MAX_RECENT).map(|number| vec![b'x'; number]).collect();
        let digests: Vec<Digest> = bodies.iter().map(|body| Digest::of(body)).collect();
        for (digest, body) in digests.iter().zip(&bodies) {
            let _ = cache.keep_document(&memory, scope(0), digest.as_str(), "t", body);
        }
        let find = |digest| recent.find(&cache, &memory, scope(0), digest).unwrap().1;
        let first = find(&digests[1]);
        assert!(std::ptr::eq(first.digest(), find(&digests[1]).digest()), "hashed and parsed once for all");
        assert!(recent.find(&cache, &memory, scope(1), &digests[1]).is_none(), "another repository's");
        for digest in digests.iter().rev() {
            find(digest);
        }
        assert_eq!(recent.0.borrow().len(), MAX_RECENT);
    }

    #[test]
    fn forms_are_bounded_until_they_end() {
        let state = WorkerState::default();
        let (mut first, mut second) = (state.form_bytes(), state.form_bytes());
        assert!(first.set(1) && first.set(MAX_FORMS - 1) && second.set(1), "not the sum of all sizes it had");
        assert!(!second.set(2) && second.set(1));
        drop(first);
        assert!(second.set(MAX_FORMS) && !second.set(MAX_FORMS + 1));
        drop(second);
        assert_eq!(state.forms.get(), 0);
    }

    #[test]
    fn explanations_are_bounded_until_they_end() {
        let state = WorkerState::default();
        let permits: Vec<_> = std::iter::from_fn(|| state.explain()).take(1000).collect();
        assert_eq!(permits.len(), MAX_EXPLANATIONS as usize);
        drop(permits);
        assert!(state.explain().is_some());
    }
}
