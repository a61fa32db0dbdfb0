//! The walks of an answer's machine types through an image: the same that pulls go, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::machine_type::MachineType;
use crate::machine_type::listing::MAX_PAGE;
use crate::oci::digest::Digest;
use crate::oci::index::{Descriptor, Entry, Index, MAX_BYTES};
use crate::select::{DeadEnd, MAX_LEVELS, OnNoMatch, Turn, Walk};

/// The most nested indexes that are fetched for one answer, besides those that its first machine type leads to.
const MAX_NESTED: usize = 16;
/// The most entries of all indexes together that one answer reads, likewise: as many as one index may have.
const MAX_ENTRIES: usize = 10_000;
/// The most comparisons of an entry with a machine type that one answer may cost: about 10 ms of a worker.
const MAX_WORK: usize = 4000;
/// The cost of a machine type beside its entries, in such comparisons: an image of few entries must not let a thousand
/// types into one answer.
const TYPE_WORK: usize = 16;

/// An image with all that selection from it can touch, and how far selection has come.
#[derive(Debug)]
pub(super) struct Walks {
    digest: Digest,
    /// `None`: the image is no index.
    root: Option<Rc<Index>>,
    nested: BTreeMap<Descriptor, Nested>,
    /// The number of entries of all these indexes, and of those that were too much.
    known: usize,
    on_no_match: OnNoMatch,
    /// The groups that this answer can be about: one for the machine types that are alike, in the order of their first
    /// names.
    groups: Vec<Group>,
}

/// A nested index.
#[derive(Debug)]
struct Nested {
    /// The index, or why a pull cannot use it.
    index: Result<Rc<Index>, String>,
    /// The same with the platform of the first entry that leads to it, if it has entries that lack one.
    shown: Option<Index>,
}

impl Nested {
    fn shown(&self) -> Option<&Index> {
        self.shown.as_ref().or(self.index.as_deref().ok())
    }
}

/// The walk of machine types that are alike.
#[derive(Debug)]
struct Group {
    /// One of them.
    machine_type: Arc<MachineType>,
    progress: WalkProgress,
}

#[derive(Debug)]
enum WalkProgress {
    /// The walk stands before this index.
    Awaits(Descriptor, Box<Walk>),
    Done(EntryVerdict),
}

/// The verdict for a machine type.
#[derive(Debug)]
pub(super) struct EntryVerdict {
    /// The digest that a pull returns.
    pub(super) selected: Option<Digest>,
    /// Why this one, or why none, in the words of a pull.
    pub(super) reason: String,
    /// The criterion by which it won, in one word; `None` where nothing was selected.
    pub(super) criterion: Option<&'static str>,
    /// The alternatives that matched, of features that list several.
    pub(super) matched: Vec<String>,
    /// Features for which there are only lesser variants.
    pub(super) missing: Vec<String>,
}

impl EntryVerdict {
    const fn nothing(reason: String) -> Self {
        Self { selected: None, reason, criterion: None, matched: Vec::new(), missing: Vec::new() }
    }

    fn whole(digest: &Digest, why: &str) -> Self {
        Self { selected: Some(digest.clone()), ..Self::nothing(format!("passed through: {why}")) }
    }
}

impl Group {
    const fn awaits(&self) -> Option<&Descriptor> {
        match &self.progress {
            WalkProgress::Awaits(descriptor, _) => Some(descriptor),
            WalkProgress::Done(_) => None,
        }
    }
}

/// The most different machine types that an answer may be about if it reads this many entries.
fn most_groups(entries: usize) -> usize {
    (MAX_WORK / (entries + TYPE_WORK)).max(1)
}

impl Walks {
    /// Lets these machine types, or as many of them as there is room for, go into the document behind `digest`.
    pub(super) fn begin(
        digest: Digest,
        root: Option<Rc<Index>>,
        machine_types: &[Arc<MachineType>],
        on_no_match: OnNoMatch,
    ) -> Self {
        let known = root.as_ref().map_or(0, |index| index.entries().len());
        let mut different: Vec<&Arc<MachineType>> = Vec::new();
        let mut seen = BTreeSet::new();
        for machine_type in machine_types.iter().take(MAX_PAGE) {
            if different.len() < most_groups(known) && seen.insert(machine_type.fingerprint()) {
                different.push(machine_type);
            }
        }
        let first_turn = |machine_type: &MachineType| match &root {
            Some(index) => progress(&digest, Walk::begin().enter(index, machine_type, on_no_match)),
            None => WalkProgress::Done(EntryVerdict::whole(&digest, "not an index")),
        };
        let group = |machine_type: &Arc<MachineType>| Group {
            machine_type: Arc::clone(machine_type),
            progress: first_turn(machine_type),
        };
        let groups = different.into_iter().map(group).collect();
        let root = root.filter(|index| index.is_image_index());
        Self { digest, root, nested: BTreeMap::new(), known, on_no_match, groups }
    }

    /// A nested index that the walks need and do not have yet.
    pub(super) fn wants(&mut self) -> Option<Descriptor> {
        let full = self.nested.len() >= MAX_NESTED || self.known >= MAX_ENTRIES;
        // An index that is too much for this answer is left to the next one, which begins with the machine type that
        // leads there.
        let in_reach = if full { 1 } else { self.groups.len() };
        if let Some(awaited) = self.groups.iter().take(in_reach).find_map(Group::awaits) {
            return Some(awaited.clone());
        }
        // The others are only listed.
        while self.nested.len() < MAX_NESTED && self.known < MAX_ENTRIES {
            let descriptor = self.unlisted()?;
            if descriptor.size <= MAX_BYTES as u64 {
                return Some(descriptor);
            }
            self.nested.insert(descriptor, Nested { index: Err(DeadEnd::TooLarge.to_string()), shown: None });
        }
        None
    }

    /// Adds a nested index, or why a pull cannot use it, and lets the walks go on that await it.
    pub(super) fn add(&mut self, descriptor: Descriptor, index: Result<Rc<Index>, String>) {
        let first = self.groups.first().and_then(Group::awaits) == Some(&descriptor);
        let full = self.known > MAX_ENTRIES;
        self.known = self.known.saturating_add(index.as_ref().map_or(0, |index| index.entries().len()));
        if self.known > MAX_ENTRIES && !first {
            return;
        }
        self.groups.truncate(most_groups(self.known));
        if full {
            // The walk of one machine type may come through more such indexes than can be kept.
            if let Some(group) = self.groups.first_mut() {
                enter(group, &self.digest, &index, self.on_no_match);
            }
        } else {
            let shown = self.inheriting(&descriptor, &index);
            self.nested.insert(descriptor, Nested { index, shown });
        }
        for group in &mut self.groups {
            go_on(group, &self.digest, &self.nested, self.on_no_match);
        }
    }

    /// A nested index as it is behind the first entry that leads to it; `None` if that makes no difference.
    fn inheriting(&self, descriptor: &Descriptor, index: &Result<Rc<Index>, String>) -> Option<Index> {
        let leads_there = |entry: &Entry<'_>| {
            entry.is_nested_index() && entry.exclusion().is_none() && entry.digest() == descriptor.digest.as_str()
        };
        let (_, parent) = self.entries().find(|(_, entry)| leads_there(entry))?;
        index.as_ref().ok()?.inheriting(&parent.inheritance()?).ok()?
    }

    /// The first nested index, level by level, that is missing.
    pub(super) fn unlisted(&self) -> Option<Descriptor> {
        let mut level: Vec<&Index> = self.root.iter().map(Rc::as_ref).collect();
        for _ in 1..MAX_LEVELS {
            let below: Vec<Descriptor> =
                level.iter().flat_map(|index| nested(index)).map(|entry| entry.descriptor()).collect();
            if let Some(descriptor) = below.iter().find(|descriptor| !self.nested.contains_key(*descriptor)) {
                return Some(descriptor.clone());
            }
            level = below.iter().filter_map(|descriptor| self.nested.get(descriptor)?.index.as_deref().ok()).collect();
        }
        None
    }

    /// How many groups of machine types that are alike this answer can be about.
    pub(super) const fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The number of the group of this machine type, and the result of a pull by it; `None` if this answer cannot tell.
    pub(super) fn verdict(&self, machine_type: &MachineType) -> Option<(usize, &EntryVerdict)> {
        let alike = |group: &Group| group.machine_type.fingerprint() == machine_type.fingerprint();
        let (number, group) = self.groups.iter().enumerate().find(|(_, group)| alike(group))?;
        match &group.progress {
            WalkProgress::Done(verdict) => Some((number, verdict)),
            WalkProgress::Awaits(..) => None,
        }
    }

    /// The digest of the image.
    pub(super) const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The index that the image is, if it is one for machines to choose from.
    pub(super) fn root(&self) -> Option<&Index> {
        self.root.as_deref()
    }

    /// All readable entries with the digest of the index they are in, the root's first. Boxed, because each use would
    /// compile the whole chain again.
    pub(super) fn entries(&self) -> Box<dyn Iterator<Item = (&Digest, Entry<'_>)> + '_> {
        let root = self.root.iter().map(|index| (&self.digest, &**index));
        let nested = self.nested.iter().filter_map(|(at, nested)| Some((&at.digest, nested.shown()?)));
        Box::new(root.chain(nested).flat_map(|(digest, index)| index.entries().map(move |entry| (digest, entry))))
    }

    /// The nested indexes that cannot be used, and why.
    pub(super) fn broken(&self) -> impl Iterator<Item = String> {
        self.nested.iter().filter_map(|(at, nested)| Some(format!("{}: {}", at.digest, nested.index.as_ref().err()?)))
    }
}

/// Goes on through all indexes that are here.
fn go_on(group: &mut Group, digest: &Digest, nested: &BTreeMap<Descriptor, Nested>, on_no_match: OnNoMatch) {
    while let Some(awaited) = group.awaits()
        && let Some(nested) = nested.get(awaited)
    {
        enter(group, digest, &nested.index, on_no_match);
    }
}

/// Goes into the index before which the walk stands.
fn enter(group: &mut Group, digest: &Digest, index: &Result<Rc<Index>, String>, on_no_match: OnNoMatch) {
    let WalkProgress::Awaits(_, walk) = &group.progress else { return };
    group.progress = match index {
        Ok(index) => progress(digest, Walk::clone(walk).enter(index, &group.machine_type, on_no_match)),
        Err(problem) => WalkProgress::Done(EntryVerdict::nothing(problem.clone())),
    };
}

/// Where a turn leads to; `digest` is the image's.
fn progress(digest: &Digest, turn: Turn) -> WalkProgress {
    WalkProgress::Done(match turn {
        Turn::Nested(descriptor, walk) => return WalkProgress::Awaits(descriptor, Box::new(walk)),
        Turn::Image { descriptor, reason, missing, .. } => {
            let (words, criterion) = (reason.to_string(), Some(reason.criterion.word()));
            let selected = Some(descriptor.digest);
            EntryVerdict { selected, reason: words, criterion, matched: reason.matched, missing }
        }
        Turn::Whole(why) => EntryVerdict::whole(digest, why),
        Turn::DeadEnd(dead_end) => EntryVerdict::nothing(dead_end.to_string()),
    })
}

/// Entries that are indexes and could be selected.
fn nested(index: &Index) -> impl Iterator<Item = Entry<'_>> {
    index.entries().filter(|entry| entry.is_nested_index() && entry.exclusion().is_none())
}
