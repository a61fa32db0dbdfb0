//! AMD GPU targets: LLVM's processors, generic processors and target identifiers (AMDGPU back-end guide).

use std::fmt;

/// LLVM's generic processors, with the first and last of each range of processors that run their code.
const GENERIC: [(&str, &[(u32, u32)]); 7] = [
    ("gfx9-generic", &[(0x900, 0x900), (0x902, 0x902), (0x904, 0x904), (0x906, 0x906), (0x909, 0x909), (0x90c, 0x90c)]),
    ("gfx9-4-generic", &[(0x940, 0x942), (0x950, 0x950)]),
    ("gfx10-1-generic", &[(0x1010, 0x1013)]),
    ("gfx10-3-generic", &[(0x1030, 0x1036)]),
    ("gfx11-generic", &[(0x1100, 0x1103), (0x1150, 0x1153)]),
    ("gfx12-generic", &[(0x1200, 0x1201)]),
    ("gfx12-5-generic", &[(0x1250, 0x1251)]),
];

/// The processor that code is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Processor {
    /// Any: the driver compiles it.
    Spirv,
    /// One of [`GENERIC`], by its place.
    Generic(u8),
    /// `gfx90a`, as the number that stands behind `gfx`.
    Exact(u32),
}

/// A processor, and the settings that code is made for or that a device has: `gfx90a:sramecc+:xnack-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AmdTarget {
    processor: Processor,
    xnack: Option<bool>,
    sramecc: Option<bool>,
}

/// How near code is to a device. Later is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Spirv,
    Generic,
    Exact,
}

/// How near code is to a device: its kind, then how many settings it is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AmdNearness {
    kind: Kind,
    settings: u8,
}

impl AmdNearness {
    pub(super) const fn compiles(self) -> bool {
        matches!(self.kind, Kind::Spirv)
    }

    pub(super) const fn is_exact(self) -> bool {
        matches!(self.kind, Kind::Exact)
    }
}

impl AmdTarget {
    /// Reads a target with its settings; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let mut target = Self { processor: Processor::parse(parts.next()?)?, xnack: None, sramecc: None };
        for part in parts {
            let (setting, on) = match part {
                "xnack+" => (&mut target.xnack, true),
                "xnack-" => (&mut target.xnack, false),
                "sramecc+" => (&mut target.sramecc, true),
                "sramecc-" => (&mut target.sramecc, false),
                _ => return None,
            };
            if setting.replace(on).is_some() {
                return None;
            }
        }
        Some(target)
    }

    /// Whether a machine can have it.
    pub(super) const fn is_device(self) -> bool {
        matches!(self.processor, Processor::Exact(_))
    }

    /// How near this code is to a device; `None` if it does not run there. Code that says nothing of a setting runs
    /// either way. A device that says nothing has xnack off, and sramecc unknown.
    pub(super) fn on(self, device: Self) -> Option<AmdNearness> {
        let kind = match (self.processor, device.processor) {
            (Processor::Spirv, _) => Kind::Spirv,
            (Processor::Generic(place), Processor::Exact(own)) => {
                let (_, ranges) = GENERIC.get(usize::from(place))?;
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&own)).then_some(Kind::Generic)?
            }
            (wanted, own) => (wanted == own).then_some(Kind::Exact)?,
        };
        let xnack = self.xnack.is_none_or(|wanted| device.xnack.unwrap_or(false) == wanted);
        let sramecc = self.sramecc.is_none_or(|wanted| device.sramecc == Some(wanted));
        let settings = u8::from(self.xnack.is_some()) + u8::from(self.sramecc.is_some());
        (xnack && sramecc).then_some(AmdNearness { kind, settings })
    }
}

impl Processor {
    fn parse(text: &str) -> Option<Self> {
        if text == "amdgcnspirv" {
            return Some(Self::Spirv);
        }
        if let Some(place) = GENERIC.iter().position(|(name, _)| *name == text) {
            return u8::try_from(place).ok().map(Self::Generic);
        }
        let digits = text.strip_prefix("gfx")?;
        let readable = matches!(digits.len(), 3..=5)
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && !digits.starts_with('0');
        readable.then(|| u32::from_str_radix(digits, 16).ok().map(Self::Exact)).flatten()
    }
}

impl fmt::Display for AmdTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.processor {
            Processor::Spirv => f.write_str("amdgcnspirv")?,
            Processor::Generic(place) => {
                f.write_str(GENERIC.get(usize::from(place)).map_or("", |(name, _)| *name))?;
            }
            Processor::Exact(number) => write!(f, "gfx{number:x}")?,
        }
        for (name, setting) in [("sramecc", self.sramecc), ("xnack", self.xnack)] {
            if let Some(on) = setting {
                write!(f, ":{name}{}", if on { '+' } else { '-' })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(device: &str, code: &str) -> bool {
        AmdTarget::parse(code).unwrap().on(AmdTarget::parse(device).unwrap()).is_some()
    }

    #[test]
    fn generic_processors_contain_what_llvm_says() {
        for (generic, runs_on, not_on) in [
            (
                "gfx9-generic",
                &["gfx900", "gfx902", "gfx904", "gfx906", "gfx909", "gfx90c"][..],
                &["gfx908", "gfx90a"][..],
            ),
            ("gfx9-4-generic", &["gfx940", "gfx941", "gfx942", "gfx950"], &["gfx90a", "gfx943"]),
            ("gfx10-1-generic", &["gfx1010", "gfx1011", "gfx1012", "gfx1013"], &["gfx1030"]),
            ("gfx10-3-generic", &["gfx1030", "gfx1031", "gfx1032", "gfx1034", "gfx1036"], &["gfx1010", "gfx1037"]),
            ("gfx11-generic", &["gfx1100", "gfx1103", "gfx1150", "gfx1153"], &["gfx1104", "gfx1200"]),
            ("gfx12-generic", &["gfx1200", "gfx1201"], &["gfx1250"]),
            ("gfx12-5-generic", &["gfx1250", "gfx1251"], &["gfx1200"]),
        ] {
            assert!(runs_on.iter().all(|device| runs(device, generic)), "{generic}");
            assert!(not_on.iter().all(|device| !runs(device, generic)), "{generic}");
        }
    }

    #[test]
    fn targets_are_written_as_they_are_read() {
        for text in ["gfx90a", "gfx1100", "gfx90a:sramecc+:xnack-", "gfx11-generic", "amdgcnspirv"] {
            assert_eq!(AmdTarget::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(AmdTarget::parse("gfx90a:xnack+:sramecc-"), AmdTarget::parse("gfx90a:sramecc-:xnack+"));
        for bad in [
            "",
            "gfx",
            "gfx9",
            "gfx90",
            "gfx0900",
            "gfx90A",
            "gfx90g",
            "gfx123456",
            "gfx90a:",
            "gfx90a:xnack",
            "gfx90a:xnack+:xnack-",
            "gfx90a:wave32+",
            "gfx13-generic",
            "942",
            "gfx90a xnack+",
        ] {
            assert_eq!(AmdTarget::parse(bad), None, "{bad:?}");
        }
    }
}
