//! Dotted versions.

use std::fmt;

/// How many numbers a version may have.
const MAX_NUMBERS: usize = 4;

/// A dotted numeric version such as `550.54.14`; missing numbers count as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version([u32; MAX_NUMBERS]);

impl Version {
    /// Reads a version: 1 to 4 numbers of at most 32 bits, separated by dots; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = [0; MAX_NUMBERS];
        let mut places = numbers.iter_mut();
        for part in text.split('.') {
            *places.next()? = number(part)?;
        }
        Some(Self(numbers))
    }

    /// The first number.
    pub(super) const fn major(self) -> u32 {
        let [major, ..] = self.0;
        major
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.0.iter().rposition(|number| *number != 0).map_or(1, |last| last + 1);
        for (place, number) in self.0.iter().take(used).enumerate() {
            write!(f, "{}{number}", if place == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

/// Digits only: `u32::from_str` alone would accept `+8`.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        let version = |text: &str| Version::parse(text).unwrap();
        assert!(version("550.100") > version("550.54.14"));
        assert!(version("12") == version("12.0") && version("9") < version("10"));
        assert_eq!(version("12.0.1.0").to_string(), "12.0.1");
        assert_eq!(version("0").to_string(), "0");
        for bad in ["", ".", "1.", "v1", "+1", "1.-2", "1.2.3.4.5", "4294967296", "1 .2", "1a"] {
            assert_eq!(Version::parse(bad), None, "{bad:?}");
        }
    }
}
