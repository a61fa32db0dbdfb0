//! The machine types of a configuration, by name.

use std::sync::Arc;

use super::error::ConfigError;
use super::raw::{Named, RawMachineType};
use crate::auth::account::{DESCRIBED, View};
use crate::hardware::feature::FeatureRules;
use crate::machine_type::MachineType;

/// Machine types, sorted by name. A list, because it is made and dropped in a fraction of a map's time, and a
/// configuration may have ten thousand of them.
#[derive(Debug)]
pub(crate) struct MachineTypes {
    types: Vec<Arc<MachineType>>,
    /// Clients may describe others.
    described: bool,
}

impl MachineTypes {
    /// Validates each of `raw`, which is sorted by name. There must be one, unless machines are `described`.
    ///
    /// # Errors
    /// [`ConfigError`] if there is no machine type, and for the first that cannot be accepted.
    pub(super) fn new(
        Named(raw): Named<RawMachineType>,
        rules: &FeatureRules,
        described: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        if raw.is_empty() && !described {
            return Err(ConfigError::new("machine_types", "name at least one machine type"));
        }
        let mut types = Vec::with_capacity(raw.len());
        for (name, description) in raw {
            let machine_type = MachineType::new(&name, &description, rules).map_err(|error| {
                let dot = if error.field.is_empty() { "" } else { "." };
                ConfigError::new(format!("machine_types.{name}{dot}{}", error.field), error.message)
            })?;
            warnings.extend(machine_type.warnings().iter().map(|warning| format!("machine_types.{name}.{warning}")));
            types.push(Arc::new(machine_type));
        }
        Ok(Self { types, described })
    }

    pub(crate) fn len(&self) -> usize {
        self.types.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<MachineType>> {
        let position = self.types.binary_search_by(|machine_type| machine_type.name().cmp(name)).ok()?;
        self.types.get(position)
    }

    /// A machine type by name, or the unfiltered view.
    ///
    /// # Errors
    /// A message about a name that is neither.
    pub(super) fn view(&self, name: &str) -> Result<View, String> {
        match self.get(name) {
            Some(machine_type) => Ok(View::Machine(Arc::clone(machine_type))),
            None if name == "unfiltered" => Ok(View::Unfiltered),
            None => Err(format!("`{name}` is neither a machine type nor `unfiltered`")),
        }
    }

    /// The names of a list of machine types, sorted. It may name `unfiltered` too, and `described` where clients may
    /// describe machines.
    ///
    /// # Errors
    /// [`ConfigError`] for the first that is neither; `field` is the list's.
    pub(super) fn listed(&self, field: &str, mut names: Vec<String>) -> Result<Vec<String>, ConfigError> {
        for (n, name) in names.iter().enumerate() {
            if !self.described || name.as_str() != DESCRIBED {
                self.view(name).map_err(|message| ConfigError::new(format!("{field}[{n}]"), message))?;
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    pub(crate) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.types.iter().map(|machine_type| machine_type.name())
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<MachineType>> {
        self.types.iter()
    }
}
