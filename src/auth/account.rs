//! Accounts of `authentication: accounts`, and the views of logins.

use std::sync::Arc;

use crate::auth::password::PasswordHash;
use crate::auth::pattern::Pattern;
use crate::machine_type::MachineType;
use crate::oci::reference::Repository;

/// The word for described machines in lists of views.
pub(crate) const DESCRIBED: &str = "described";

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

    /// Whether a list of names has this view; it may have described machines as a whole.
    pub(crate) fn is_among(&self, names: &[String]) -> bool {
        let has = |word: &str| names.binary_search_by(|name| name.as_str().cmp(word)).is_ok();
        let is_described = matches!(self, Self::Machine(machine) if machine.is_described());
        has(self.name()) || (is_described && has(DESCRIBED))
    }

    /// Whether the other view is of a described machine that gets the same images as this machine type.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Machine(own), Self::Machine(other)) => {
                other.is_described() && own.fingerprint() == other.fingerprint()
            }
            _ => false,
        }
    }
}

/// The views that an account may have.
#[derive(Clone, Debug)]
pub enum Grant {
    /// Only this view, which the login stands for.
    Bound(View),
    /// Any of these machine types (and `unfiltered` and described machines, if named), sorted.
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
            Grant::Bound(bound) => bound.name() == view.name() || bound.is_like(view),
            Grant::Of(names) => view.is_among(names),
            Grant::Any => matches!(view, View::Machine(_)),
        }
    }
}
