//! Instruction set flags (`avx2`, `sve`), as archspec lists them for each microarchitecture.

use super::{FLAGS, Microarchitecture, canonical};

/// A flag that archspec knows, or an alias of its own such as `sse4.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IsaFlag(u8);

impl IsaFlag {
    /// Finds a flag: letter case does not count, `-` reads as `_`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let place = FLAGS.binary_search(&canonical(name).as_str()).ok()?;
        u8::try_from(place).ok().map(Self)
    }

    /// The flag as archspec spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        FLAGS.get(usize::from(self.0)).copied().unwrap_or_default()
    }
}

impl Microarchitecture {
    /// Whether code for it may use the flag: archspec lists it for this name or for an ancestor.
    #[must_use]
    pub fn has(self, flag: IsaFlag) -> bool {
        self.node().is_some_and(|node| node.flags >> flag.0 & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_archspecs() {
        for (name, flag, has) in [
            ("haswell", "avx2", true),
            ("ivybridge", "avx2", false),
            ("x86_64_v3", "AVX2", true),
            ("skylake_avx512", "avx512f", true),
            ("skylake_avx512", "avx512", true),
            ("skylake", "avx512", false),
            // archspec lists only ssse3 for newer ones, which contains sse3.
            ("core2", "sse3", true),
            ("skylake", "sse3", true),
            ("nehalem", "sse4.2", true),
            ("nehalem", "sse4-2", true),
            ("neoverse_v1", "sve", true),
            ("neoverse_n1", "sve", false),
            ("neoverse_n1", "neon", true),
            ("power9le", "vsx", true),
            ("power11le", "altivec", true),
            // A level that archspec lacks has its ancestors' flags.
            ("armv8.7a", "neon", true),
            ("skylake", "neon", false),
        ] {
            let (machine, known) = (Microarchitecture::find(name).unwrap(), IsaFlag::find(flag).unwrap());
            assert_eq!(machine.has(known), has, "{name} and {flag}");
        }
        assert_eq!(IsaFlag::find("avx3"), None);
        assert_eq!(IsaFlag::find("sse4-1").map(IsaFlag::name), Some("sse4_1"));
    }

    #[test]
    fn a_descendant_has_its_ancestors_flags() {
        for machine in Microarchitecture::all() {
            for ancestor in Microarchitecture::all().filter(|one| machine.generations_to(*one).is_some()) {
                for flag in (0..=u8::MAX).map(IsaFlag).take(FLAGS.len()) {
                    assert!(!ancestor.has(flag) || machine.has(flag), "{machine:?} {ancestor:?} {}", flag.name());
                }
            }
        }
    }
}
