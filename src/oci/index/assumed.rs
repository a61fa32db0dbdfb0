//! Levels that entries without a variant really need, where an operator knows it of an image.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Index;
use super::tables::PlatformRow;
use crate::oci::platform::Platform;

/// Levels that entries without a variant really need, by their architecture (`assume` of the configuration).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssumedLevels(Option<Arc<BTreeMap<String, String>>>);

impl AssumedLevels {
    /// Levels by architecture, both as OCI spells them.
    #[must_use]
    pub fn new(levels: BTreeMap<String, String>) -> Self {
        Self((!levels.is_empty()).then(|| Arc::new(levels)))
    }

    /// Whether nothing is assumed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The levels as text, for keys of what depends on them.
    #[must_use]
    pub fn text(&self) -> String {
        let levels = self.0.iter().flat_map(|levels| levels.iter());
        levels.map(|(architecture, level)| format!("{architecture}={level},")).collect()
    }

    fn get(&self, architecture: &str) -> Option<&String> {
        self.0.as_ref()?.get(architecture)
    }
}

impl Index {
    /// The same index, in which entries without a variant ask for these levels.
    #[must_use]
    pub fn assuming(&self, levels: &AssumedLevels) -> Self {
        let mut index = self.clone();
        let tables = &mut index.tables;
        for row in tables.platforms.iter_mut().filter(|row| row.platform.variant.is_none()) {
            if let Some(level) = levels.get(&row.platform.architecture) {
                let mut assumed = PlatformRow::new(Platform { variant: Some(level.clone()), ..row.platform.clone() });
                assumed.is_offered = row.is_offered;
                *row = assumed;
            }
        }
        for record in &mut tables.records {
            let row = record.platform.and_then(|number| tables.platforms.get(number as usize));
            if row.is_some_and(|row| row.names_cpu) && !record.names_cpu {
                record.names_cpu = true;
                record.distinct_keys += 1;
            }
        }
        index
    }
}
