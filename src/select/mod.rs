//! The selection of the entry of an index that a machine gets.
//!
//! An entry is *eligible* when the machine meets all of its requirements. Among the eligible the first of these that
//! makes a difference decides:
//!
//! 1. an entry for the machine's own architecture before a 32-bit one;
//! 2. an entry with a platform, or a nested index with features, before a nested index with neither;
//! 3. the machine type's `prefer`, key by key: naming the key before not naming it, then the nearer match;
//! 4. the more different keys the entry asks for (`cpu`, `isa` and variant are one key, bounds such as `cuda` none);
//! 5. nearness, over the machine's keys in the order of its configuration, `cpu` last if it is only implied;
//! 6. an entry made for the machine's operating system version before one made for any;
//! 7. of two that are alike, the one without zstd layers, or the one with them if the machine type offers the flag
//!    `zstd`;
//! 8. the order of the list, as the OCI specification has it.
//!
//! This order is total, so the result depends on nothing but the two inputs, and an entry that is not eligible can
//! never influence it.

use crate::machine_type::MachineType;
use crate::oci::index::{Entry, Index};

mod eligibility;
pub mod explanation;
mod index_summary;
mod missing_variants;
mod ranking;
mod reason;
mod resolver;
mod unmet;

use eligibility::Eligibility;
use ranking::{Candidate, Contest};

pub use index_summary::IndexSummary;
pub use missing_variants::{MissingVariant, missing_variants};
pub use reason::{Criterion, Reason};
pub use resolver::{DeadEnd, MAX_DOCUMENTS, MAX_LEVELS, NOTHING_FITS_UNFILTERED, OnNoMatch, Turn, Walk};
pub use unmet::{Unmet, unmet};

/// The result of selection from an index for a machine type.
#[derive(Clone, Debug)]
pub enum Selection<'a> {
    /// This entry; when it is a nested index, selection goes on in there.
    Selected {
        /// The entry to serve.
        entry: Entry<'a>,
        /// Why this one.
        reason: Reason,
    },
    /// Not an index of images for machines: to be passed through unchanged.
    NotAnImageIndex,
    /// No entry is eligible.
    NoMatch(IndexSummary),
}

/// Selects the entry of `index` for `machine`.
///
/// ```
/// use metahub::hardware::feature::FeatureRules;
/// use metahub::machine_type::{Description, MachineType};
/// use metahub::oci::index::Index;
/// use metahub::select::{Selection, select};
///
/// let index = Index::parse(br#"{
///     "schemaVersion": 2,
///     "mediaType": "application/vnd.oci.image.index.v1+json",
///     "manifests": [{
///         "mediaType": "application/vnd.oci.image.manifest.v1+json",
///         "digest": "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b",
///         "size": 525,
///         "platform": { "os": "linux", "architecture": "amd64" }
///     }, {
///         "mediaType": "application/vnd.oci.image.manifest.v1+json",
///         "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
///         "size": 525,
///         "platform": { "os": "linux", "architecture": "amd64", "features": ["cpu:broadwell"] }
///     }]
/// }"#)?;
/// let skylake = Description { features: vec!["cpu:skylake"], ..Description::default() };
/// let machine = MachineType::new("type2", &skylake, &FeatureRules::default())?;
///
/// // A skylake machine may run what is made for broadwell, and that is nearer than what any amd64 machine may run.
/// let Selection::Selected { entry, reason } = select(&index, &machine) else { panic!("nothing fits") };
/// assert_eq!(entry.position(), 1);
/// assert_eq!(reason.to_string(), "linux/amd64 cpu:broadwell; asks for the most keys; 2 of 2 fit");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn select<'a>(index: &'a Index, machine: &MachineType) -> Selection<'a> {
    if !index.is_image_index() {
        return Selection::NotAnImageIndex;
    }
    let eligibility = Eligibility::new(index, machine);
    let mut contest = Contest::default();
    // The memory of the candidate that lost last, for the next.
    let mut spare = Vec::new();
    for entry in index.entries().filter(|entry| eligibility.fits(entry)) {
        let loser = contest.enter(Candidate::new(entry, &eligibility, spare), machine);
        spare = loser.map(|loser| loser.nearness).unwrap_or_default();
    }
    let Contest { best: Some(best), second, eligible, indistinguishable } = contest else {
        return Selection::NoMatch(IndexSummary::of(index));
    };
    let criterion = match second {
        _ if best.in_32_bit => Criterion::In32Bit,
        None => Criterion::Only,
        Some(second) => best.compare(&second, machine).1.into_criterion(machine),
    };
    let entries = index.entries().len() + index.unreadable().len();
    let (entry, matched) = reason::matched_words(&best.entry, machine);
    let reason = Reason { entry, matched, criterion, eligible, entries, indistinguishable };
    Selection::Selected { entry: best.entry, reason }
}

/// All eligible entries, the selected one first; empty also for an index that is not one of images. For a nested
/// index in which nothing fits, the next of these is the next best.
#[must_use]
pub fn rank<'a>(index: &'a Index, machine: &MachineType) -> Vec<Entry<'a>> {
    ranked(index, machine).into_iter().map(|(entry, _)| entry).collect()
}

/// The same, each with whether it is a 32-bit image for a 64-bit machine.
fn ranked<'a>(index: &'a Index, machine: &MachineType) -> Vec<(Entry<'a>, bool)> {
    if !index.is_image_index() {
        return Vec::new();
    }
    let eligibility = Eligibility::new(index, machine);
    let eligible = index.entries().filter(|entry| eligibility.fits(entry));
    let mut ranked: Vec<Candidate<'a, '_>> =
        eligible.map(|entry| Candidate::new(entry, &eligibility, Vec::new())).collect();
    ranked.sort_by(|a, b| a.compare(b, machine).0);
    ranked.iter().map(|candidate| (candidate.entry, candidate.in_32_bit)).collect()
}
