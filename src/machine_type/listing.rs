//! Machine types page by page, in the order of their names (docs/machine-types.schema.json).

use std::sync::Arc;

use super::MachineType;
use crate::text::json::{Json, json};

/// The most machine types of a page.
pub const MAX_PAGE: usize = 1000;

/// The machine types of the page that begins after the name `after`, and one more, if there are more.
pub(crate) fn behind<'m>(
    machine_types: &'m [Arc<MachineType>],
    after: Option<&str>,
) -> impl Iterator<Item = &'m Arc<MachineType>> {
    machine_types.iter().filter(move |one| after.is_none_or(|after| one.name() > after)).take(MAX_PAGE + 1)
}

/// The answer of `/metahub/v1/machine-types`: one page of these machine types, which are in the order of their names.
#[must_use]
pub fn page(machine_types: &[Arc<MachineType>], after: Option<&str>) -> Json {
    let mut page: Vec<&Arc<MachineType>> = behind(machine_types, after).collect();
    let more = page.len() > MAX_PAGE;
    page.truncate(MAX_PAGE);
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
