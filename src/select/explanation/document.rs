//! An explanation as JSON (docs/explain.schema.json).

use std::collections::BTreeSet;

use super::notes::notes;
use super::page::{MachineOutcome, Page};
use super::walks::Walks;
use crate::machine_type::MachineType;
use crate::oci::digest::Digest;
use crate::oci::index::Entry;
use crate::oci::media_type;
use crate::select::unmet;
use crate::text::json::{Json, json};

/// The most entries that a list of the answer names; the number of the others stands beside it.
const MAX_LISTED: usize = 1000;

/// The most names in a list that is only an illustration.
const EXAMPLES: usize = 8;

/// The parts of an answer.
pub(super) struct Document<'e> {
    /// The image, as it was asked for.
    pub(super) image: &'e str,
    pub(super) media_type: &'e str,
    /// Its registry is only observed.
    pub(super) observed: bool,
    pub(super) walks: &'e Walks,
    pub(super) page: Page<'e>,
    /// Where the next page is.
    pub(super) next: Option<String>,
}

impl Document<'_> {
    /// The members of every page.
    pub(super) fn members(self) -> Vec<(&'static str, Json)> {
        let Self { image, media_type, observed, walks, page: Page { outcomes, .. }, next } = self;
        let mut selected = BTreeSet::new();
        selected.extend(outcomes.iter().filter_map(|outcome| outcome.verdict.selected.as_ref()).map(Digest::as_str));
        let machines: Vec<&MachineType> =
            outcomes.iter().filter_map(|outcome| outcome.machine_types.first().copied()).collect();
        let is_left = |(_, entry): &(&Digest, Entry<'_>)| {
            entry.exclusion().is_none() && !entry.is_nested_index() && !selected.contains(entry.digest())
        };
        let mut left = walks.entries().filter(is_left);
        let unselected: Json =
            left.by_ref().take(MAX_LISTED).map(|(index, entry)| unselected(index, &entry, &machines)).collect();
        vec![
            ("image", image.into()),
            ("digest", walks.digest().as_str().into()),
            ("media_type", media_type.into()),
            ("is_image_index", walks.root().is_some().into()),
            ("mode", if observed { "observe" } else { "select" }.into()),
            ("machine_types", outcomes.iter().map(outcome).collect()),
            ("unselected", unselected),
            ("more_unselected", left.count().into()),
            ("next", next.into()),
            ("notes", notes(if image.contains('@') { 0 } else { selected.len() })),
        ]
    }
}

/// The members of the first page only: all entries, and those that could not be read.
pub(super) fn entries(walks: &Walks) -> [(&'static str, Json); 3] {
    let entries = walks.entries().take(MAX_LISTED).map(|(index, entry)| describe(index, &entry));
    [
        ("entries", entries.collect()),
        ("more_entries", walks.entries().count().saturating_sub(MAX_LISTED).into()),
        ("unreadable", unreadable(walks)),
    ]
}

/// This list is bounded as well: an index may have nothing but unreadable entries.
fn unreadable(walks: &Walks) -> Json {
    let root = walks.root().into_iter().flat_map(|index| index.unreadable().iter().map(ToString::to_string));
    let unlisted = walks.unlisted().map(|at| format!("{}: not listed, one of too many", at.digest));
    root.chain(walks.broken()).chain(unlisted).take(MAX_LISTED).collect()
}

fn outcome(MachineOutcome { machine_types, verdict }: &MachineOutcome<'_>) -> Json {
    json!({
        "names": machine_types.iter().map(|machine_type| machine_type.name()).collect::<Json>(),
        "selected": verdict.selected.as_ref().map(Digest::as_str),
        "reason": verdict.reason.as_str(),
        "criterion": verdict.criterion,
        "matched": verdict.matched.clone(),
        "missing_variants": verdict.missing.clone(),
    })
}

fn requirements(entry: &Entry<'_>) -> Vec<String> {
    entry.requirements().map(|requirement| requirement.to_string()).collect()
}

fn describe(index: &Digest, entry: &Entry<'_>) -> Json {
    json!({
        "index": index.as_str(),
        "position": entry.position(),
        "digest": entry.digest(),
        "media_type": media_type::essence(entry.media_type()),
        "size": entry.size(),
        "platform": entry.platform().map(ToString::to_string),
        "requires": requirements(entry),
        "nested_index": entry.is_nested_index(),
        "never_selected": entry.exclusion().map(|exclusion| exclusion.to_string()),
    })
}

/// An entry that none of these machines gets, with the needs of a machine that would, those of them that no machine
/// meets, and the machines that meet all but get a better entry.
fn unselected(index: &Digest, entry: &Entry<'_>, machines: &[&MachineType]) -> Json {
    let mut fits = Vec::new();
    // The requirements that all machines lack: those of the first, less those that some other meets.
    let mut lacking: Option<Vec<String>> = None;
    for machine in machines {
        let unmet: Vec<String> = unmet(entry, machine).into_iter().map(|unmet| unmet.requirement).collect();
        if unmet.is_empty() && fits.len() < EXAMPLES {
            fits.push(machine.name());
        }
        match &mut lacking {
            None => lacking = Some(unmet),
            Some(lacking) => lacking.retain(|requirement| unmet.contains(requirement)),
        }
    }
    json!({
        "index": index.as_str(),
        "position": entry.position(),
        "digest": entry.digest(),
        "needs": requirements(entry),
        "unmet": lacking.unwrap_or_default(),
        "outranked_for": fits,
    })
}
