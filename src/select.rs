//! stub
#![allow(missing_docs)]
use crate::index::*;
use crate::machine_type::MachineType;
pub enum Selection<'a> {
    Selected { entry: &'a Entry, reason: String },
    NotAnImageIndex,
    NoMatch(String),
}
pub fn select<'a>(i: &'a Index, m: &MachineType) -> Selection<'a> {
    i.entries
        .iter()
        .filter(|e| e.features.iter().all(|f| m.features.contains(f)))
        .max_by_key(|e| e.features.len())
        .map_or(Selection::NoMatch("x".into()), |entry| Selection::Selected { entry, reason: entry.features.join(",") })
}
