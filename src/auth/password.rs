//! Hashes of passwords: bcrypt, as `htpasswd` prints it.

use std::fmt;
use std::str::FromStr;

/// Above this cost a single check would hold a worker for more than 60 ms.
const MAX_COST: u32 = 10;
/// Above this cost (more than 5 ms) the operator is warned.
const DEAR_COST: u32 = 6;

/// A bcrypt line as `htpasswd -nbB` prints it, without the user.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    line: String,
    cost: u32,
}

/// Why a bcrypt line is refused. Never quotes the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHash {
    /// Not bcrypt, or damaged.
    #[error("not a bcrypt hash; make one with: htpasswd -nbB -C 5 user password")]
    NotBcrypt,
    /// The cost is too high for a proxy.
    #[error("bcrypt cost {0} is above {MAX_COST}: one login would hold a worker too long")]
    TooDear(u32),
}

impl PasswordHash {
    /// Reads `$2y$05$…` (also `$2a$`, `$2b$`).
    ///
    /// # Errors
    /// [`InvalidHash`].
    pub fn parse(line: &str) -> Result<Self, InvalidHash> {
        let known = ["$2y$", "$2b$", "$2a$"].iter().any(|version| line.starts_with(version));
        // A bcrypt line is 60 characters; the parser itself does not look at the last 31.
        let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'$');
        if !known || line.len() != 60 || !line.bytes().all(alphabet) {
            return Err(InvalidHash::NotBcrypt);
        }
        let cost = bcrypt::HashParts::from_str(line).map_err(|_| InvalidHash::NotBcrypt)?.get_cost();
        match cost {
            4..=MAX_COST => Ok(Self { line: line.to_owned(), cost }),
            0..=3 => Err(InvalidHash::NotBcrypt),
            _ => Err(InvalidHash::TooDear(cost)),
        }
    }

    /// A hash of this cost that no password is known for.
    pub(crate) fn decoy(cost: u32) -> Option<Self> {
        let decoy = Self::parse(&format!("$2y${cost:02}$......................{}", ".".repeat(31)));
        debug_assert!(decoy.is_ok(), "no account has a hash of cost {cost}");
        decoy.ok()
    }

    pub(crate) const fn cost(&self) -> u32 {
        self.cost
    }

    /// Whether a check takes so long that the operator should know.
    pub(crate) const fn is_dear(&self) -> bool {
        self.cost > DEAR_COST
    }

    /// The line, for keys of remembered logins.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// Checks a password. Takes about 2 ms at cost 5, twice as long for each step above.
    #[must_use]
    pub fn verifies(&self, password: &str) -> bool {
        bcrypt::verify(password, &self.line).unwrap_or(false)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bcrypt, cost {}", self.cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `htpasswd -nbB -C 5 user secret`
    const LINE: &str = "$2y$05$G0ZJwTQx2MUP8Q9yMmMbquMmTyiHnlNFpQiKlRlDTgmbDLmPuHWTi";

    #[test]
    fn reads_bcrypt_lines_only() {
        let fresh = bcrypt::hash("secret", 4).unwrap();
        assert!(PasswordHash::parse(&fresh).unwrap().verifies("secret"));
        assert!(!PasswordHash::parse(&fresh).unwrap().verifies("Secret"));
        assert_eq!(PasswordHash::parse(LINE).unwrap().cost(), 5);
        assert_eq!(PasswordHash::parse(&LINE.replace("$05$", "$12$")), Err(InvalidHash::TooDear(12)));
        let bad = [
            "",
            "secret",
            "$apr1$x$y",
            "{SHA}x",
            "$2y$05$short",
            &LINE.replace("$05$", "$xx$"),
            &LINE.replace("$05$", "$03$"),
            &LINE.replace('G', "!"),
        ];
        for line in bad {
            assert_eq!(PasswordHash::parse(line), Err(InvalidHash::NotBcrypt), "{line}");
        }
    }

    #[test]
    fn a_decoy_costs_but_never_verifies() {
        let decoy = PasswordHash::decoy(4).unwrap();
        assert_eq!(decoy.cost(), 4);
        assert!(!decoy.verifies(""));
    }

    #[test]
    fn debug_shows_no_hash() {
        assert_eq!(format!("{:?}", PasswordHash::parse(LINE).unwrap()), "bcrypt, cost 5");
    }
}
