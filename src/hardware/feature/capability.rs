//! CUDA compute capabilities of devices, and the code that images have for them.

use std::fmt;

use super::version::number;

/// Capabilities of Tegra: binary code for one of them runs on no other capability, nor other code on it (CUDA
/// programming guide, "binary compatibility"; 11.0 is Thor).
const TEGRA: [(u32, u32); 5] = [(5, 3), (6, 2), (7, 2), (8, 7), (11, 0)];

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

impl Set {
    /// The numbers, and the set that the letter behind them names.
    fn split(text: &str) -> (&str, Self) {
        match (text.strip_suffix('a'), text.strip_suffix('f')) {
            (Some(numbers), _) => (numbers, Self::Architecture),
            (_, Some(numbers)) => (numbers, Self::Family),
            _ => (text, Self::Plain),
        }
    }
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
        let (numbers, set) = Set::split(text);
        let (major, minor) = numbers.split_once('.')?;
        Some(Self { major: number(major)?, minor: number(minor)?, set })
    }

    /// Reads `90`, `100a` or `103f`: the last digit is the minor number.
    fn without_dot(text: &str) -> Option<Self> {
        let (numbers, set) = Set::split(text);
        let (major, minor) = numbers.split_at_checked(numbers.len().checked_sub(1)?)?;
        Some(Self { major: number(major)?, minor: number(minor)?, set })
    }

    /// Whether a device of this capability runs binary code made for `wanted`: within one major number, upwards; on
    /// Tegra only its own.
    #[must_use]
    pub fn runs(self, wanted: Self) -> bool {
        match wanted.set {
            Set::Plain | Set::Family if self.is_tegra() || wanted.is_tegra() => self.same_device(wanted),
            Set::Plain | Set::Family => self.major == wanted.major && self.minor >= wanted.minor,
            Set::Architecture => self.same_device(wanted),
        }
    }

    /// Whether the driver of a device of this capability compiles PTX made for `wanted`: upwards, also beyond the
    /// major number.
    fn compiles(self, wanted: Self) -> bool {
        match wanted.set {
            Set::Plain => (self.major, self.minor) >= (wanted.major, wanted.minor),
            Set::Family => self.major == wanted.major && self.minor >= wanted.minor,
            Set::Architecture => self.same_device(wanted),
        }
    }

    fn same_device(self, wanted: Self) -> bool {
        (self.major, self.minor) == (wanted.major, wanted.minor)
    }

    fn is_tegra(self) -> bool {
        TEGRA.contains(&(self.major, self.minor))
    }
}

/// The form of an image's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Binary,
    /// The driver compiles it.
    Ptx,
    Both,
}

/// Code for a capability: `9.0`, `9.0a`, `9.0+ptx` (binary and PTX), `9.0ptx` (PTX alone), and other tools' spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CudaCode {
    capability: Capability,
    form: Form,
}

/// How near code is to a device: binary before PTX, then the higher capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CudaNearness {
    binary: bool,
    capability: Capability,
}

impl CudaNearness {
    pub(super) const fn compiles(self) -> bool {
        !self.binary
    }
}

impl CudaCode {
    /// Reads code; `None` for anything else. `sm_90` and `90_real` are binary code for 9.0, `compute_90` and
    /// `90_virtual` its PTX.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (text, form) = match text.len().checked_sub(3).and_then(|end| text.split_at_checked(end)) {
            Some((rest, ptx)) if ptx.eq_ignore_ascii_case("ptx") => match rest.strip_suffix('+') {
                Some(rest) => (rest, Form::Both),
                None => (rest, Form::Ptx),
            },
            _ => (text, Form::Binary),
        };
        let real = text.strip_prefix("sm_").or_else(|| text.strip_suffix("_real"));
        let compiled = || text.strip_prefix("compute_").or_else(|| text.strip_suffix("_virtual"));
        let (capability, form) = match (real, real.map_or_else(compiled, |_| None)) {
            (Some(digits), _) => (Capability::without_dot(digits)?, form),
            (None, Some(digits)) if form == Form::Binary => (Capability::without_dot(digits)?, Form::Ptx),
            (None, Some(_)) => return None,
            (None, None) => (Capability::parse(text)?, form),
        };
        // PTX with an architecture's or a family's features runs no farther than the binary code.
        let form = if form == Form::Both && capability.set != Set::Plain { Form::Binary } else { form };
        Some(Self { capability, form })
    }

    /// The device that it is, if a machine could have it: a plain capability.
    pub(super) fn device(self) -> Option<Capability> {
        (self.form == Form::Binary && self.capability.set == Set::Plain).then_some(self.capability)
    }

    /// How near this code is to a device; `None` if it does not run there.
    pub(super) fn on(self, device: Capability) -> Option<CudaNearness> {
        let binary = self.form != Form::Ptx && device.runs(self.capability);
        let compiled = self.form != Form::Binary && device.compiles(self.capability);
        (binary || compiled).then_some(CudaNearness { binary, capability: self.capability })
    }

    /// Whether there is PTX in it, which a driver compiles.
    pub(super) fn has_ptx(self) -> bool {
        self.form != Form::Binary
    }

    /// Whether it is made for just this device.
    pub(super) fn is_for(self, device: Capability) -> bool {
        device.same_device(self.capability)
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
            ("8.9", "8.7", false),
            ("8.7", "8.6", false),
            ("8.7", "8.7", true),
            ("7.5", "7.2", false),
        ];
        for (device, code, runs) in rows {
            assert_eq!(capability(device).runs(capability(code)), runs, "{device} running {code}");
        }
        assert!(capability("9.0a") > capability("9.0f") && capability("9.0f") > capability("9.0"));
        for bad in ["", "8", "8.", ".6", "8.6b", "8.6aa", "abc", "8.6.1", "+8.6", "sm_86", "99999999999.0"] {
            assert_eq!(Capability::parse(bad), None, "{bad:?}");
        }
    }
    #[test]
    fn code_is_read_as_tools_write_it() {
        let code = |text: &str| CudaCode::parse(text).map(|code| (code.capability.to_string(), code.form));
        for (text, capability, form) in [
            ("9.0", "9.0", Form::Binary),
            ("9.0ptx", "9.0", Form::Ptx),
            ("9.0+ptx", "9.0", Form::Both),
            ("9.0+PTX", "9.0", Form::Both),
            ("sm_90", "9.0", Form::Binary),
            ("90_real", "9.0", Form::Binary),
            ("compute_90", "9.0", Form::Ptx),
            ("90_virtual", "9.0", Form::Ptx),
            ("sm_121", "12.1", Form::Binary),
            ("sm_90a", "9.0a", Form::Binary),
            ("100f_real", "10.0f", Form::Binary),
            ("sm_90+ptx", "9.0", Form::Both),
            ("9.0a+ptx", "9.0a", Form::Binary),
            ("10.0f+ptx", "10.0f", Form::Binary),
            ("9.0aptx", "9.0a", Form::Ptx),
        ] {
            assert_eq!(code(text), Some((capability.to_owned(), form)), "{text}");
        }
        for bad in [
            "",
            "ptx",
            "+ptx",
            "90",
            "sm_9",
            "sm_",
            "sm_9.0",
            "_real",
            "compute_90+ptx",
            "90_virtualptx",
            "9.0++ptx",
            "9.0 +ptx",
            "9.0+ptx+ptx",
            "sm_90_real",
            "\u{e9}tx",
        ] {
            assert_eq!(code(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn ptx_runs_upwards_and_behind_binary_code() {
        let on = |device: &str, text: &str| {
            CudaCode::parse(text).unwrap().on(Capability::parse(device).unwrap()).map(CudaNearness::compiles)
        };
        for (device, text, found) in [
            ("8.6", "8.0+ptx", Some(false)),
            ("9.0", "8.0+ptx", Some(true)),
            ("12.0", "9.0ptx", Some(true)),
            ("9.0", "9.0ptx", Some(true)),
            ("8.6", "9.0+ptx", None),
            ("8.7", "8.0+ptx", Some(true)),
            ("9.0", "8.7+ptx", Some(true)),
            ("10.3", "10.0a+ptx", None),
            ("12.0", "10.0fptx", None),
            ("10.3", "10.0fptx", Some(true)),
        ] {
            assert_eq!(on(device, text), found, "{device} running {text}");
        }
    }
}
