//! 32-bit images on 64-bit machines, as containerd has it: amd64 runs 386, arm64 runs arm v8 and below.

use crate::hardware::microarchitecture::Microarchitecture;
use crate::oci::platform::PlatformWord;

/// The architectures that run another one's images in 32-bit mode: the other one, and the highest level of it that all
/// of them run.
const MODES: [(&str, &str, &str); 2] = [("amd64", "386", "x86"), ("arm64", "arm", "armv8l")];

/// Microarchitectures that are known to have no 32-bit mode; those that descend from them have none either. By
/// `ID_AA64PFR0_EL1` as QEMU has it for a64fx, what `lscpu` says of an Apple M1 (docker/for-mac#5681), Linaro's move
/// from Graviton 3 to 4 (llvm/llvm-zorg#354) and the list of Arm servers in adoptium/infrastructure#630. Neoverse N1,
/// N2 and V1 have one.
const WITHOUT: [&str; 4] = ["a64fx", "m1", "neoverse_v2", "thunderx2"];

/// The 32-bit mode of a machine.
#[derive(Clone, Debug)]
pub(super) struct Mode {
    /// The architecture of the images that it runs.
    pub(super) architecture: PlatformWord,
    /// Their highest level.
    pub(super) level: Microarchitecture,
}

/// The 32-bit mode of a machine of this architecture and these microarchitectures, if it has one.
pub(super) fn mode(architecture: &str, cpus: &[Microarchitecture]) -> Option<Mode> {
    let (_, other, level) = MODES.into_iter().find(|(own, ..)| *own == architecture)?;
    let without = |cpu: &Microarchitecture| {
        let mut none = WITHOUT.iter().filter_map(|name| Microarchitecture::find(name));
        none.any(|none| cpu.generations_to(none).is_some())
    };
    // No microarchitecture of another architecture is among those without.
    if architecture == "arm64" && cpus.iter().any(without) {
        return None;
    }
    Some(Mode { architecture: PlatformWord::Borrowed(other), level: Microarchitecture::find(level)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_machines_with_a_32_bit_mode_run_32_bit_images() {
        for mode in MODES {
            assert_eq!(Microarchitecture::find(mode.2).unwrap().architecture(), mode.1);
        }
        for name in WITHOUT {
            assert_eq!(Microarchitecture::find(name).unwrap().architecture(), "arm64");
        }
        let rows = [
            ("skylake", Some("386")),
            ("neoverse_n1", Some("arm")),
            ("neoverse_n2", Some("arm")),
            ("cortex_a72", Some("arm")),
            ("armv9.0a", Some("arm")),
            ("neoverse_v2", None),
            ("a64fx", None),
            ("thunderx2", None),
            ("m1", None),
            ("m4", None),
            ("pentium4", None),
            ("power9le", None),
        ];
        for (name, expected) in rows {
            let cpu = Microarchitecture::find(name).unwrap();
            let found = mode(cpu.architecture(), &[cpu]).map(|mode| mode.architecture);
            assert_eq!(found.as_deref(), expected, "{name}");
        }
        let mixed = ["neoverse_n1", "m1"].map(|name| Microarchitecture::find(name).unwrap());
        assert!(mode("arm64", &mixed).is_none(), "one of the machines has none");
    }
}
