//! The reverse query: which machine type gets what of an image, and why (docs/explain.schema.json).
//!
//! The walk through nested indexes is the one of a pull, so that the answer is what a pull returns.

use std::rc::Rc;

use crate::config::OnNoMatch;
use crate::digest::Digest;
use crate::index::{Descriptor, Entry, Index, MAX_BYTES};
use crate::json::{Json, json};
use crate::machine_type::{Fingerprint, MachineType};
use crate::select::{MAX_LEVELS, Selection, missing_variants, select, unmet};
use crate::sorted::Sorted;

/// Nested indexes that are fetched for one answer.
const MAX_NESTED: usize = 16;
/// Entries of all indexes together that are looked at for one answer: as many as one index may have.
const MAX_ENTRIES: usize = 10_000;
/// Entries that a list of the answer names; how many more there are is said beside it.
const MAX_LISTED: usize = 1000;
/// Comparisons of an entry with a machine type that one answer may cost: about 10 ms of a worker.
const MAX_WORK: usize = 4000;
/// What a machine type costs beside its entries, in such comparisons: an image of few entries must not let a thousand
/// types into one answer.
const TYPE_WORK: usize = 16;
/// Machine types in one answer.
pub const MAX_NAMES: usize = 1000;
/// Names in a list that is only an illustration.
const EXAMPLES: usize = 8;

/// An image with all that selection from it can touch.
#[derive(Debug)]
pub struct Explanation {
    image: String,
    media_type: String,
    digest: Digest,
    /// `None`: no image index; everybody gets the document itself.
    root: Option<Index>,
    nested: Sorted<Digest, Result<Index, String>>,
    /// Entries of all these indexes.
    known: usize,
    on_no_match: OnNoMatch,
}

/// What one machine type gets.
struct Verdict<'a> {
    selected: Option<Digest>,
    reason: String,
    /// The index that decided, for what it lacks.
    index: Option<&'a Index>,
}

impl Verdict<'_> {
    const fn nothing(reason: String) -> Self {
        Self { selected: None, reason, index: None }
    }
}

impl Explanation {
    /// The document that the registry has for `image`; `root` is `None` if it is passed through as it is.
    #[must_use]
    pub fn new(image: String, media_type: String, digest: Digest, root: Option<Index>, on_no_match: OnNoMatch) -> Self {
        let root = root.filter(Index::is_image_index);
        let known = root.as_ref().map_or(0, |index| index.entries().len());
        Self { image, media_type, digest, root, nested: Sorted::new(), known, on_no_match }
    }

    /// A nested index that selection may lead to and that is not here yet.
    #[must_use]
    pub fn wants(&self) -> Option<Descriptor> {
        if self.nested.len() >= MAX_NESTED || self.known >= MAX_ENTRIES {
            return None;
        }
        let mut level: Vec<&Index> = self.root.iter().collect();
        for _ in 1..MAX_LEVELS {
            let below: Vec<Entry<'_>> = level.iter().flat_map(|index| nested(index)).collect();
            let missing = below.iter().find(|entry| !self.nested.contains_key(&entry.descriptor().digest));
            if let Some(entry) = missing {
                return Some(entry.descriptor());
            }
            level =
                below.iter().filter_map(|entry| self.nested.get(&entry.descriptor().digest)?.as_ref().ok()).collect();
        }
        None
    }

    /// Adds a nested index, or why it cannot be used.
    pub fn add(&mut self, digest: Digest, index: Result<Index, String>) {
        // One that is too much is not kept: what leads there is said not to be looked into.
        let entries = index.as_ref().map_or(0, |index| index.entries().len());
        self.known = self.known.saturating_add(entries);
        let index = if self.known > MAX_ENTRIES {
            Err(format!("this and the other indexes have more than {MAX_ENTRIES} entries"))
        } else {
            index
        };
        self.nested.insert(digest, index);
    }

    /// What a pull by this machine type comes to.
    fn walk(&self, machine_type: &MachineType) -> Verdict<'_> {
        let Some(mut index) = self.root.as_ref() else {
            return Verdict {
                selected: Some(self.digest.clone()),
                reason: "not an image index: everybody gets it".to_owned(),
                index: None,
            };
        };
        for _ in 0..MAX_LEVELS {
            match select(index, machine_type) {
                Selection::Selected { entry, reason } if !entry.is_nested_index() => {
                    let descriptor = entry.descriptor();
                    if descriptor.size > MAX_BYTES as u64 {
                        return Verdict::nothing(format!("{reason}; but the manifest is larger than any client reads"));
                    }
                    return Verdict {
                        selected: Some(descriptor.digest.clone()),
                        reason: reason.to_string(),
                        index: Some(index),
                    };
                }
                Selection::Selected { entry, .. } => match self.nested.get(&entry.descriptor().digest) {
                    Some(Ok(nested)) => index = nested,
                    Some(Err(problem)) => {
                        return Verdict::nothing(format!("the nested index that fits cannot be used: {problem}"));
                    }
                    None => {
                        return Verdict::nothing(format!(
                            "the nested index that fits is one of more than {MAX_NESTED}, which are not looked into here"
                        ));
                    }
                },
                Selection::NoMatch(_) if self.on_no_match == OnNoMatch::Unfiltered && self.is_root(index) => {
                    let reason = "nothing fits, on_no_match is unfiltered: the index itself".to_owned();
                    return Verdict { selected: Some(self.digest.clone()), reason, index: None };
                }
                Selection::NoMatch(_) => return Verdict::nothing("nothing fits".to_owned()),
                Selection::NotAnImageIndex => {
                    return Verdict::nothing("a nested index is not an image index".to_owned());
                }
            }
        }
        Verdict::nothing(format!("indexes are nested deeper than {MAX_LEVELS} levels"))
    }

    fn is_root(&self, index: &Index) -> bool {
        self.root.as_ref().is_some_and(|root| std::ptr::eq(root, index))
    }

    /// All readable entries with the digest of the index they are in, the root's first. Boxed, because each use would
    /// compile the whole chain again.
    fn entries(&self) -> Box<dyn Iterator<Item = (&Digest, Entry<'_>)> + '_> {
        let root = self.root.iter().map(|index| (&self.digest, index));
        let nested = self.nested.iter().filter_map(|(digest, index)| Some((digest, index.as_ref().ok()?)));
        Box::new(root.chain(nested).flat_map(|(digest, index)| index.entries().map(move |entry| (digest, entry))))
    }

    /// One page of the answer, for these machine types in the order of their names. `rest` is the request's query
    /// without `after`.
    #[must_use]
    pub fn page(&self, machine_types: &[Rc<MachineType>], after: Option<&str>, rest: &str) -> Json {
        let work = self.entries().count() + TYPE_WORK;
        let mut groups: Vec<(Fingerprint, Vec<&MachineType>)> = Vec::new();
        let mut known: Sorted<Fingerprint, usize> = Sorted::new();
        let (mut names, mut last, mut more) = (0, None, false);
        for machine_type in machine_types.iter().filter(|one| after.is_none_or(|after| one.name() > after)) {
            let fingerprint = machine_type.fingerprint();
            let group = known.get(&fingerprint).copied();
            let full =
                names == MAX_NAMES || (group.is_none() && !groups.is_empty() && (groups.len() + 1) * work > MAX_WORK);
            if full {
                more = true;
                break;
            }
            match group.and_then(|position| groups.get_mut(position)) {
                Some((_, alike)) => alike.push(machine_type),
                None => {
                    known.insert(fingerprint, groups.len());
                    groups.push((fingerprint, vec![machine_type]));
                }
            }
            names += 1;
            last = Some(machine_type.name());
        }
        let alike: Vec<Vec<&MachineType>> = groups.into_iter().map(|(_, alike)| alike).collect();
        let next = last.filter(|_| more).map(|last| format!("/metahub/v1/explain?{rest}&after={last}"));
        self.document(&alike, after.is_none(), next)
    }

    fn document(&self, groups: &[Vec<&MachineType>], first_page: bool, next: Option<String>) -> Json {
        let mut selected: Sorted<String, ()> = Sorted::new();
        let mut machine_types = Vec::new();
        for (machine_type, names) in groups.iter().filter_map(|alike| Some((*alike.first()?, names(alike)))) {
            let verdict = self.walk(machine_type);
            let missing: Vec<String> = verdict.index.map_or_else(Vec::new, |index| {
                missing_variants(index, machine_type)
                    .into_iter()
                    .filter(|missing| missing.falls_back)
                    .flat_map(|missing| missing.features)
                    .collect()
            });
            machine_types.push(json!({
                "names": names,
                "selected": verdict.selected.as_ref().map(Digest::as_str),
                "reason": verdict.reason,
                "missing_variants": missing,
            }));
            if let Some(digest) = verdict.selected {
                selected.insert(digest.as_str().to_owned(), ());
            }
        }
        let machines: Vec<&MachineType> = groups.iter().filter_map(|alike| alike.first().copied()).collect();
        let is_left = |(_, entry): &(&Digest, Entry<'_>)| {
            entry.exclusion().is_none() && !entry.is_nested_index() && !selected.contains_key(entry.digest())
        };
        let mut left = self.entries().filter(is_left);
        let unselected: Vec<Json> =
            left.by_ref().take(MAX_LISTED).map(|(index, entry)| unselected(index, &entry, &machines)).collect();
        let more_unselected = left.count();
        let mut document = json!({
            "image": self.image.as_str(),
            "digest": self.digest.as_str(),
            "media_type": self.media_type.as_str(),
            "is_image_index": self.root.is_some(),
            "machine_types": machine_types,
            "unselected": unselected,
            "more_unselected": more_unselected,
            "next": next,
        });
        if let Json::Object(members) = &mut document
            && first_page
        {
            let entries = self.entries().take(MAX_LISTED).map(|(index, entry)| describe(index, &entry));
            members.push(("entries", entries.collect()));
            members.push(("more_entries", self.entries().count().saturating_sub(MAX_LISTED).into()));
            members.push(("unreadable", self.unreadable()));
        }
        document
    }

    /// Bounded as well: an index may have nothing but unreadable entries.
    fn unreadable(&self) -> Json {
        let broken =
            self.nested.iter().filter_map(|(digest, index)| Some(format!("{digest}: {}", index.as_ref().err()?)));
        let root = self.root.iter().flat_map(|index| index.unreadable().iter().map(ToString::to_string));
        root.chain(broken).take(MAX_LISTED).collect()
    }
}

/// Entries that are indexes and could be selected.
fn nested(index: &Index) -> impl Iterator<Item = Entry<'_>> {
    index.entries().filter(|entry| entry.is_nested_index() && entry.exclusion().is_none())
}

fn names(machine_types: &[&MachineType]) -> Vec<String> {
    machine_types.iter().map(|machine_type| machine_type.name().to_owned()).collect()
}

fn requirements(entry: &Entry<'_>) -> Vec<String> {
    entry.requirements().map(|requirement| requirement.to_string()).collect()
}

fn describe(index: &Digest, entry: &Entry<'_>) -> Json {
    let descriptor = entry.descriptor();
    json!({
        "index": index.as_str(),
        "position": entry.position(),
        "digest": descriptor.digest.as_str(),
        "media_type": crate::media_type::essence(&descriptor.media_type),
        "size": descriptor.size,
        "platform": entry.platform().map(ToString::to_string),
        "requires": requirements(entry),
        "nested_index": entry.is_nested_index(),
        "never_selected": entry.exclusion().map(|exclusion| exclusion.to_string()),
    })
}

/// An entry that none of these machines gets: what a machine would need, and which have that but get better.
fn unselected(index: &Digest, entry: &Entry<'_>, machines: &[&MachineType]) -> Json {
    let fits: Vec<&str> = machines
        .iter()
        .filter(|machine| unmet(entry, machine).is_empty())
        .map(|machine| machine.name())
        .take(EXAMPLES)
        .collect();
    json!({
        "index": index.as_str(),
        "position": entry.position(),
        "digest": entry.descriptor().digest.as_str(),
        "needs": requirements(entry),
        "outranked_for": fits,
    })
}

/// The answer of `/metahub/v1/machine-types`: one page of these machine types, in the order of their names.
#[must_use]
pub fn machine_types(machine_types: &[Rc<MachineType>], after: Option<&str>) -> Json {
    let behind = |one: &&Rc<MachineType>| after.is_none_or(|after| one.name() > after);
    let mut page: Vec<&Rc<MachineType>> = machine_types.iter().filter(behind).take(MAX_NAMES + 1).collect();
    let more = page.len() > MAX_NAMES;
    page.truncate(MAX_NAMES);
    let next = page.last().filter(|_| more).map(|last| format!("/metahub/v1/machine-types?after={}", last.name()));
    let describe = |machine_type: &&Rc<MachineType>| {
        json!({
            "name": machine_type.name(),
            "os": machine_type.os(),
            "os_version": machine_type.os_version(),
            "architecture": machine_type.architecture(),
            "variant": machine_type.variant(),
            "features": machine_type.features(),
        })
    };
    json!({ "machine_types": page.iter().map(describe).collect::<Vec<_>>(), "next": next })
}
