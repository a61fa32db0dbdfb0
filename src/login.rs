//! Login names → account and view (the three rules of README, "Login names").

use std::fmt;

use crate::config::{Account, Config, Grant, View};
use crate::identity::splits;

/// Why a login that was accepted gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The name has no machine type, and there is no default.
    NoMachineType {
        /// The login name.
        user: String,
        /// Between account and machine type.
        separator: String,
    },
    /// The account may not be this machine type.
    NotGranted {
        /// The account.
        account: String,
        /// The machine type.
        machine_type: String,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMachineType { user, separator } => write!(
                f,
                "the login {user:?} names no machine type that MetaHub knows; log in as <account>{separator}<machine type>"
            ),
            Self::NotGranted { account, machine_type } => {
                write!(
                    f,
                    "account {account:?} may not log in as machine type {machine_type:?}; ask for it, or log in as another"
                )
            }
        }
    }
}

/// A login whose account exists; its password is not checked yet.
#[derive(Debug)]
pub struct Login<'a> {
    /// The account.
    pub account: &'a Account,
    /// What it gets to see, once the password is right.
    pub view: Result<View, Refused>,
}

impl Config {
    /// `authentication: accounts`: the account behind a login name, or `None` if there is none.
    #[must_use]
    pub fn account_login(&self, user: &str) -> Option<Login<'_>> {
        if let Some(account) = self.accounts.get(user) {
            let view = match (&account.grant, &self.default_machine_type) {
                (Grant::Bound(view), _) => Ok(view.clone()),
                (_, Some(view)) => granted(account, view.clone()),
                (_, None) => Err(self.no_machine_type(user)),
            };
            return Some(Login { account, view });
        }
        // The longest machine type comes first; configurations with two answers are refused.
        splits(user, &self.username_separator).find_map(|(account, name)| {
            let account = self.accounts.get(account)?;
            let machine_type = self.machine_types.get(name)?;
            Some(Login { account, view: granted(account, View::Machine(machine_type.clone())) })
        })
    }

    /// `authentication: none`: what a login name stands for, whatever the password. The default never applies to a
    /// name that contains the separator: a typo must not get a wrong image.
    ///
    /// # Errors
    /// [`Refused::NoMachineType`].
    pub fn open_login(&self, user: &str) -> Result<View, Refused> {
        let named = splits(user, &self.username_separator).find_map(|(_, name)| self.machine_types.get(name));
        if let Some(machine_type) = named {
            return Ok(View::Machine(machine_type.clone()));
        }
        match &self.default_machine_type {
            Some(view) if !user.contains(&self.username_separator) => Ok(view.clone()),
            _ => Err(self.no_machine_type(user)),
        }
    }

    fn no_machine_type(&self, user: &str) -> Refused {
        Refused::NoMachineType { user: user.to_owned(), separator: self.username_separator.clone() }
    }
}

fn granted(account: &Account, view: View) -> Result<View, Refused> {
    if account.may_use(&view) {
        return Ok(view);
    }
    Err(Refused::NotGranted { account: account.name.clone(), machine_type: view.name().to_owned() })
}
