//! CUDA compute capabilities.

use std::fmt;

use super::version::number;

/// The feature set that the code of a compute capability uses (CUDA programming guide, "feature sets"). Later is
/// nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Set {
    /// `8.6`: runs on every device of the same major and an equal or higher minor number.
    Plain,
    /// `10.0f`: the same devices, with the family's features.
    Family,
    /// `9.0a`: this device only, with all of its features.
    Architecture,
}

/// A CUDA compute capability: `8.6`, `9.0a`, `10.0f`. The order is that of nearness among those a device can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Capability {
    major: u32,
    minor: u32,
    set: Set,
}

impl Capability {
    /// Reads `X.Y`, `X.Ya` or `X.Yf`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (numbers, set) = match (text.strip_suffix('a'), text.strip_suffix('f')) {
            (Some(numbers), _) => (numbers, Set::Architecture),
            (_, Some(numbers)) => (numbers, Set::Family),
            _ => (text, Set::Plain),
        };
        let (major, minor) = numbers.split_once('.')?;
        Some(Self { major: number(major)?, minor: number(minor)?, set })
    }

    pub(crate) fn is_plain(self) -> bool {
        self.set == Set::Plain
    }

    /// Whether a device of this capability runs code made for `wanted` (binary compatibility: within one major
    /// number, upwards).
    #[must_use]
    pub fn runs(self, wanted: Self) -> bool {
        match wanted.set {
            Set::Plain | Set::Family => self.major == wanted.major && self.minor >= wanted.minor,
            Set::Architecture => self.same_device(wanted),
        }
    }

    pub(crate) fn same_device(self, wanted: Self) -> bool {
        (self.major, self.minor) == (wanted.major, wanted.minor)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match self.set {
            Set::Plain => "",
            Set::Family => "f",
            Set::Architecture => "a",
        };
        write!(f, "{}.{}{suffix}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_follow_cuda() {
        let capability = |text: &str| Capability::parse(text).unwrap();
        let rows = [
            ("8.6", "8.6", true),
            ("8.6", "8.0", true),
            ("8.6", "8.7", false),
            ("9.0", "8.9", false),
            ("9.0", "9.0a", true),
            ("10.3", "10.0a", false),
            ("10.3", "10.0f", true),
            ("10.0", "10.3f", false),
            ("12.0", "10.0f", false),
        ];
        for (device, code, runs) in rows {
            assert_eq!(capability(device).runs(capability(code)), runs, "{device} running {code}");
        }
        assert!(capability("9.0a") > capability("9.0f") && capability("9.0f") > capability("9.0"));
        for bad in ["", "8", "8.", ".6", "8.6b", "8.6aa", "abc", "8.6.1", "+8.6", "sm_86", "99999999999.0"] {
            assert_eq!(Capability::parse(bad), None, "{bad:?}");
        }
    }
}
