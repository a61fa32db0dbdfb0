//! Login names → the account, and what the name says of the machine type (docs/accounts.md, "Login names").

use super::authentication::Authentication;
use super::configuration::Config;
use crate::auth::account::Account;
use crate::auth::credentials::splits;
use crate::machine_type::described;

/// A login name's word on the machine type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginClaim<'u> {
    /// This text, which [`Config::claimed`] knows.
    Named(&'u str),
    /// Nothing.
    Nothing,
    /// Nothing that MetaHub knows, although the name looks as if it said something: no default may stand in for it, or
    /// a typo would get a wrong image.
    Unknown,
}

impl Config {
    /// `authentication: accounts`: the account behind a login name. An account of exactly that name wins.
    #[must_use]
    pub fn account_of(&self, user: &str) -> Option<&Account> {
        // Configurations with two answers are refused.
        let split = || self.splits(user).find_map(|(account, _)| self.accounts.get(account));
        let described = || self.accounts.get(self.described_in(user)?.0);
        self.accounts.get(user).or_else(described).or_else(split)
    }

    /// `authentication: upstream`: the user that the registry knows.
    #[must_use]
    pub fn upstream_user<'u>(&self, user: &'u str) -> &'u str {
        self.described_in(user).or_else(|| self.splits(user).next()).map_or(user, |(account, _)| account)
    }

    /// A login name's word on the machine type. `account` is the one behind it.
    #[must_use]
    pub fn login_claim<'u>(
        &self,
        authentication: Authentication,
        user: &'u str,
        account: Option<&Account>,
    ) -> LoginClaim<'u> {
        let separator = self.username_separator.as_str();
        let named = match account {
            Some(account) => user.strip_prefix(account.name()).and_then(|rest| rest.strip_prefix(separator)),
            None => self.described_in(user).or_else(|| self.splits(user).next()).map(|(_, named)| named),
        };
        let looks_named = || match authentication {
            _ if !self.machine_type_from.login => false,
            Authentication::Accounts => false,
            // A machine type without an account is no login.
            Authentication::Upstream => user.strip_prefix(separator).is_some_and(|rest| {
                self.machine_types.contains_key(rest) || self.descriptions.is_some() && described::is_begun(rest)
            }),
            Authentication::None => user.contains(separator),
        };
        match named {
            Some(named) => LoginClaim::Named(named),
            None if looks_named() => LoginClaim::Unknown,
            None => LoginClaim::Nothing,
        }
    }

    /// The account and the description in a login name that describes a machine.
    fn described_in<'u>(&self, user: &'u str) -> Option<(&'u str, &'u str)> {
        let may_describe = self.descriptions.is_some() && self.machine_type_from.login;
        let found = || described::in_login(user, &self.username_separator);
        may_describe.then(found)?.filter(|(account, _)| !account.is_empty())
    }

    /// The ways to read a login name as an account and a machine type, the longest machine type first; none where the
    /// whole name is the account (`machine_type_from.login: false`).
    fn splits<'u>(&self, user: &'u str) -> impl Iterator<Item = (&'u str, &'u str)> {
        let is_named = |name| self.machine_type_from.login && self.machine_types.contains_key(name);
        splits(user, &self.username_separator).filter(move |(_, name)| is_named(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HASH: &str = "$2y$05$G0ZJwTQx2MUP8Q9yMmMbquMmTyiHnlNFpQiKlRlDTgmbDLmPuHWTi";

    fn config() -> Config {
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
        });
        Config::parse(document.to_string().as_bytes(), &|_| None).unwrap()
    }

    /// `account/type`, or `-` for no account. Behind the slash stands what the name says.
    fn account(config: &Config, user: &str) -> String {
        let Some(account) = config.account_of(user) else { return "-".to_owned() };
        let named = match config.login_claim(Authentication::Accounts, user, Some(account)) {
            LoginClaim::Named(named) => named,
            LoginClaim::Nothing => "",
            LoginClaim::Unknown => "!",
        };
        format!("{}/{named}", account.name())
    }

    #[test]
    fn account_logins() {
        let rows = [
            ("qnib-type1", "qnib-type1/", "an account of exactly that name wins"),
            ("qnib-type1-type1", "qnib-type1/type1", "the name may say a type too"),
            ("see-all", "see-all/", "bound by configuration"),
            ("team-x-unfiltered", "-", "never by a suffix"),
            ("ops-type1", "ops/type1", "a type"),
            ("team-x-type2", "team-x/type2", "an account with the separator"),
            ("team-x-big-type1", "team-x/big-type1", "a type with the separator"),
            ("ops", "ops/", "no type"),
            ("ops-type3", "-", "an unknown type makes an unknown account"),
            ("nobody-type1", "-", "unknown account"),
            ("-type1", "-", "empty account"),
            ("", "-", "nothing"),
        ];
        let config = config();
        for (user, expected, why) in rows {
            assert_eq!(account(&config, user), expected, "{user}: {why}");
        }
    }

    #[test]
    fn logins_without_an_account() {
        use LoginClaim::{Named, Nothing, Unknown};
        let rows = [
            ("x-type1", "x", Named("type1"), Named("type1")),
            ("x-big-type1", "x", Named("big-type1"), Named("big-type1")),
            ("x-type3", "x-type3", Nothing, Unknown),
            ("type1", "type1", Nothing, Nothing),
            ("x", "x", Nothing, Nothing),
            ("-type1", "-type1", Unknown, Unknown),
            ("-type3", "-type3", Nothing, Unknown),
            ("x-unfiltered", "x-unfiltered", Nothing, Unknown),
        ];
        let config = config();
        for (user, upstream, with_upstream, with_none) in rows {
            assert_eq!(config.upstream_user(user), upstream, "{user}");
            assert_eq!(config.login_claim(Authentication::Upstream, user, None), with_upstream, "{user}");
            assert_eq!(config.login_claim(Authentication::None, user, None), with_none, "{user}");
        }
    }
}
