//! Accounts of `authentication: accounts`, and the views of logins.

use std::sync::Arc;

use crate::auth::password::PasswordHash;
use crate::auth::pattern::Pattern;
use crate::machine_type::MachineType;
use crate::oci::reference::Repository;

/// A client's view of an index.
#[derive(Clone, Debug)]
pub enum View {
    /// The entry that fits this machine type.
    Machine(Arc<MachineType>),
    /// The index itself.
    Unfiltered,
}

impl View {
    /// The machine type's name, or `unfiltered`, as headers and messages show it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Machine(machine_type) => machine_type.name(),
            Self::Unfiltered => "unfiltered",
        }
    }
}

/// The views that an account may have.
#[derive(Clone, Debug)]
pub enum Grant {
    /// Only this view, which the login stands for.
    Bound(View),
    /// Any of these machine types (and `unfiltered`, if named), sorted.
    Of(Vec<String>),
    /// Any machine type.
    Any,
}

/// An account that may log in.
#[derive(Clone, Debug)]
pub struct Account {
    pub(crate) name: String,
    pub(crate) hashes: Vec<PasswordHash>,
    pub(crate) grant: Grant,
    pub(crate) repositories: Option<Vec<Pattern>>,
}

impl Account {
    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the account may pull from this repository.
    #[must_use]
    pub fn may_pull(&self, repository: &Repository) -> bool {
        self.repositories.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(repository)))
    }

    /// Whether the account may have this view.
    #[must_use]
    pub fn may_use(&self, view: &View) -> bool {
        match &self.grant {
            Grant::Bound(bound) => bound.name() == view.name(),
            Grant::Of(names) => names.binary_search_by(|name| name.as_str().cmp(view.name())).is_ok(),
            Grant::Any => matches!(view, View::Machine(_)),
        }
    }
}
