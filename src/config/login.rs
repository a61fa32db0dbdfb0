//! Login names → account and view (the three rules of docs/accounts.md, "Login names").

use super::configuration::Config;
use crate::auth::account::{Account, Grant, View};
use crate::auth::credentials::splits;

/// Why a login that was accepted gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewDenied {
    /// The name has no machine type, and there is no default.
    #[error(
        "the login {user:?} names no machine type that MetaHub knows; log in as <account>{separator}<machine type>"
    )]
    NoMachineType {
        /// The login name.
        user: String,
        /// The separator between account and machine type.
        separator: String,
    },
    /// The account may not be this machine type.
    #[error("account {account:?} may not log in as machine type {machine_type:?}; ask for it, or log in as another")]
    NotGranted {
        /// The account.
        account: String,
        /// The machine type.
        machine_type: String,
    },
}

/// A login whose account exists; its password is not checked yet.
#[derive(Debug)]
pub struct Login<'a> {
    /// The account.
    pub account: &'a Account,
    /// The view that it gets once the password is right.
    pub view: Result<View, ViewDenied>,
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

    /// `authentication: none`: the view that a login name stands for, with any password. The default never applies to a
    /// name that contains the separator: a typo must not get a wrong image.
    ///
    /// # Errors
    /// [`ViewDenied::NoMachineType`].
    pub fn open_login(&self, user: &str) -> Result<View, ViewDenied> {
        let named = splits(user, &self.username_separator).find_map(|(_, name)| self.machine_types.get(name));
        if let Some(machine_type) = named {
            return Ok(View::Machine(machine_type.clone()));
        }
        match &self.default_machine_type {
            Some(view) if !user.contains(&self.username_separator) => Ok(view.clone()),
            _ => Err(self.no_machine_type(user)),
        }
    }

    /// `authentication: upstream`: the account that the registry knows, and what the login gets to see once the
    /// registry has accepted the password. A machine type without an account is no login. The client learns even that
    /// only after the registry's answer: otherwise guessing would reveal the names of machine types.
    pub fn upstream_login<'u>(&'u self, user: &'u str) -> (&'u str, Result<View, ViewDenied>) {
        let named = splits(user, &self.username_separator)
            .find_map(|(account, name)| Some((account, self.machine_types.get(name)?)));
        if let Some((account, machine_type)) = named {
            return (account, Ok(View::Machine(machine_type.clone())));
        }
        let is_type_alone =
            user.strip_prefix(&self.username_separator).is_some_and(|rest| self.machine_types.contains_key(rest));
        let default = self.default_machine_type.clone().filter(|_| !is_type_alone);
        (user, default.ok_or_else(|| self.no_machine_type(user)))
    }

    fn no_machine_type(&self, user: &str) -> ViewDenied {
        ViewDenied::NoMachineType { user: user.to_owned(), separator: self.username_separator.clone() }
    }
}

fn granted(account: &Account, view: View) -> Result<View, ViewDenied> {
    if account.may_use(&view) {
        return Ok(view);
    }
    Err(ViewDenied::NotGranted { account: account.name.clone(), machine_type: view.name().to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HASH: &str = "$2y$05$G0ZJwTQx2MUP8Q9yMmMbquMmTyiHnlNFpQiKlRlDTgmbDLmPuHWTi";

    fn config(default_machine_type: Value) -> Config {
        let machine_type = json!({ "features": ["cpu:skylake"] });
        let document = json!({
            "machine_types": { "type1": machine_type, "type2": machine_type, "big-type1": machine_type },
            "registries": { "r": { "host": "h", "authentication": "accounts" } },
            "accounts": {
                "qnib-type1": { "password": HASH, "machine_type": "type2" },
                "see-all": { "password": HASH, "machine_type": "unfiltered" },
                "ops": { "password": HASH, "machine_types": ["type1"] },
                "team-x": { "password": HASH },
            },
            "default_machine_type": default_machine_type,
        });
        Config::parse(document.to_string().as_bytes(), &|_| None).unwrap()
    }

    /// `account/view`, `account/!` for a view that is refused, `-` for no account.
    fn account(config: &Config, user: &str) -> String {
        let Some(login) = config.account_login(user) else { return "-".to_owned() };
        let view = login.view.map_or_else(|_| "!".to_owned(), |view| view.name().to_owned());
        format!("{}/{view}", login.account.name())
    }

    #[test]
    fn account_logins() {
        let rows = [
            ("qnib-type1", "qnib-type1/type2", "an account of exactly that name wins"),
            ("qnib-type1-type1", "qnib-type1/!", "a bound login is bound"),
            ("qnib-type1-type2", "qnib-type1/type2", "naming what it is bound to is no harm"),
            ("see-all", "see-all/unfiltered", "by configuration"),
            ("team-x-unfiltered", "-", "never by a suffix"),
            ("ops-type1", "ops/type1", "granted"),
            ("ops-type2", "ops/!", "not granted"),
            ("team-x-type2", "team-x/type2", "an account with the separator; any type"),
            ("team-x-big-type1", "team-x/big-type1", "a type with the separator"),
            ("ops", "ops/!", "no type and no default"),
            ("ops-type3", "-", "an unknown type makes an unknown account"),
            ("nobody-type1", "-", "unknown account"),
            ("-type1", "-", "empty account"),
            ("", "-", "nothing"),
        ];
        let config = config(Value::Null);
        for (user, expected, why) in rows {
            assert_eq!(account(&config, user), expected, "{user}: {why}");
        }
    }

    #[test]
    fn the_default_applies_to_whole_account_names() {
        let config = config(json!("type1"));
        assert_eq!(account(&config, "ops"), "ops/type1");
        assert_eq!(account(&config, "team-x"), "team-x/type1");
        assert_eq!(account(&config, "qnib-type1"), "qnib-type1/type2", "bound stays bound");
        let unfiltered = self::config(json!("unfiltered"));
        assert_eq!(account(&unfiltered, "ops"), "ops/!", "the default is no grant");
        assert_eq!(account(&unfiltered, "team-x"), "team-x/!", "any machine type is not unfiltered");
    }

    #[test]
    fn open_logins() {
        let open =
            |config: &Config, user| config.open_login(user).map_or("!".to_owned(), |view| view.name().to_owned());
        let rows = [
            ("x-type1", "type1", "type1"),
            ("x-big-type1", "big-type1", "big-type1"),
            ("x-type3", "!", "!"),
            ("type1", "!", "type2"),
            ("x", "!", "type2"),
            ("-type1", "!", "!"),
            ("x-unfiltered", "!", "!"),
        ];
        let (without, with) = (config(Value::Null), config(json!("type2")));
        for (user, bare, default) in rows {
            assert_eq!((open(&without, user), open(&with, user)), (bare.to_owned(), default.to_owned()), "{user}");
        }
    }
}
