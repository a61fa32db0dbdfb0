//! The reverse query: which machine type gets what of an image, and why (docs/explain.schema.json).
//!
//! The walk through nested indexes is the one of a pull ([`crate::select::Walk`]), so that the answer is what a pull
//! returns.

mod walks;

use std::rc::Rc;
use std::sync::Arc;

use self::walks::{Verdict, Walks};
use crate::machine_type::MachineType;
use crate::oci::digest::Digest;
use crate::oci::index::{Descriptor, Entry, Index};
use crate::select::OnNoMatch;
use crate::select::unmet;
use crate::text::json::{Json, json};
use std::collections::BTreeSet;

/// Entries that a list of the answer names; how many more there are is said beside it.
const MAX_LISTED: usize = 1000;
/// Machine types in one answer.
pub const MAX_NAMES: usize = 1000;
/// Names in a list that is only an illustration.
const EXAMPLES: usize = 8;

/// The document that the registry has for an image.
#[derive(Debug)]
pub struct Image {
    /// The image, as it was asked for.
    pub name: String,
    /// Its `Content-Type`.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// What it says, if it is an index.
    pub index: Option<Rc<Index>>,
}

/// An answer in the making.
#[derive(Debug)]
pub struct Explanation {
    name: String,
    media_type: String,
    walks: Walks,
    /// Those that are still to be explained, in the order of their names.
    machine_types: Vec<Arc<MachineType>>,
    first_page: bool,
}

/// What machine types that are alike get.
struct Outcome<'a> {
    machine_types: Vec<&'a MachineType>,
    verdict: &'a Verdict,
}

impl Explanation {
    /// Explains `image` for these machine types, which are in the order of their names, from behind `after` on.
    #[must_use]
    pub fn new(image: Image, machine_types: &[Arc<MachineType>], after: Option<&str>, on_no_match: OnNoMatch) -> Self {
        let behind = |one: &&Arc<MachineType>| after.is_none_or(|after| one.name() > after);
        // One more than there is room for, to know whether there are more.
        let machine_types: Vec<_> = machine_types.iter().filter(behind).take(MAX_NAMES + 1).cloned().collect();
        let walks = Walks::begin(image.digest, image.index, &machine_types, on_no_match);
        Self { name: image.name, media_type: image.media_type, walks, machine_types, first_page: after.is_none() }
    }

    /// A nested index that is to be looked into and is not here yet. It must be [added](Self::add) before the next.
    #[must_use]
    pub fn wants(&mut self) -> Option<Descriptor> {
        self.walks.wants()
    }

    /// Adds a nested index, or what a pull would say of it if it cannot be used.
    pub fn add(&mut self, descriptor: Descriptor, index: Result<Rc<Index>, String>) {
        self.walks.add(descriptor, index);
    }

    /// One page of the answer. `rest` is the request's query without `after`.
    #[must_use]
    pub fn page(&self, rest: &str) -> Json {
        let mut outcomes: Vec<Outcome<'_>> = Vec::with_capacity(self.walks.groups());
        let mut last = None;
        let mut names = 0;
        for machine_type in self.machine_types.iter().take(MAX_NAMES) {
            let Some((number, verdict)) = self.walks.verdict(machine_type) else { break };
            match outcomes.get_mut(number) {
                Some(alike) => alike.machine_types.push(machine_type),
                None => outcomes.push(Outcome { machine_types: vec![machine_type], verdict }),
            }
            names += 1;
            last = Some(machine_type.name());
        }
        let last = last.filter(|_| names < self.machine_types.len());
        let next = last.map(|last| format!("/metahub/v1/explain?{rest}&after={last}"));
        self.document(&outcomes, next)
    }

    fn document(&self, outcomes: &[Outcome<'_>], next: Option<String>) -> Json {
        let mut selected = BTreeSet::new();
        let mut machine_types = Vec::new();
        for Outcome { machine_types: alike, verdict } in outcomes {
            let digest = verdict.selected.as_ref().map(Digest::as_str);
            machine_types.push(json!({
                "names": alike.iter().map(|machine_type| machine_type.name().to_owned()).collect::<Vec<_>>(),
                "selected": digest,
                "reason": verdict.reason.as_str(),
                "missing_variants": verdict.missing.clone(),
            }));
            selected.extend(digest);
        }
        let machines: Vec<&MachineType> =
            outcomes.iter().filter_map(|outcome| outcome.machine_types.first().copied()).collect();
        let is_left = |(_, entry): &(&Digest, Entry<'_>)| {
            entry.exclusion().is_none() && !entry.is_nested_index() && !selected.contains(entry.digest())
        };
        let mut left = self.walks.entries().filter(is_left);
        let unselected: Vec<Json> =
            left.by_ref().take(MAX_LISTED).map(|(index, entry)| unselected(index, &entry, &machines)).collect();
        let more_unselected = left.count();
        let mut document = json!({
            "image": self.name.as_str(),
            "digest": self.walks.digest().as_str(),
            "media_type": self.media_type.as_str(),
            "is_image_index": self.walks.root().is_some(),
            "machine_types": machine_types,
            "unselected": unselected,
            "more_unselected": more_unselected,
            "next": next,
        });
        if let Json::Object(members) = &mut document
            && self.first_page
        {
            let entries = self.walks.entries().take(MAX_LISTED).map(|(index, entry)| describe(index, &entry));
            members.push(("entries", entries.collect()));
            members.push(("more_entries", self.walks.entries().count().saturating_sub(MAX_LISTED).into()));
            members.push(("unreadable", self.unreadable()));
        }
        document
    }

    /// Bounded as well: an index may have nothing but unreadable entries.
    fn unreadable(&self) -> Json {
        let root = self.walks.root().into_iter().flat_map(|index| index.unreadable().iter().map(ToString::to_string));
        let unlisted = self.walks.unlisted().map(|at| format!("{}: not looked into, one of too many", at.digest));
        root.chain(self.walks.broken()).chain(unlisted).take(MAX_LISTED).collect()
    }
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
        "media_type": crate::oci::media_type::essence(&descriptor.media_type),
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
pub fn machine_types(machine_types: &[Arc<MachineType>], after: Option<&str>) -> Json {
    let behind = |one: &&Arc<MachineType>| after.is_none_or(|after| one.name() > after);
    let mut page: Vec<&Arc<MachineType>> = machine_types.iter().filter(behind).take(MAX_NAMES + 1).collect();
    let more = page.len() > MAX_NAMES;
    page.truncate(MAX_NAMES);
    let next = page.last().filter(|_| more).map(|last| format!("/metahub/v1/machine-types?after={}", last.name()));
    let describe = |machine_type: &&Arc<MachineType>| {
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
