//! How near an image's value is to the machine's.

use std::cmp::Reverse;

use super::Version;
use super::amd_gpu::AmdNearness;
use super::capability::CudaNearness;

/// How near an image's value is to the machine's: greater is nearer. Comparable within one key of one machine only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    /// Any value of the key would do, or only a flag of the microarchitecture is asked for.
    Any,
    /// Values of the key are equal or not, and no more.
    Equal,
    /// The image's version: the higher, the nearer to the machine's.
    Version(Version),
    /// The code for the machine's only device, or for that of its devices that it suits best.
    Device(DeviceNearness),
    /// Fewer devices compile their code on the spot, then device by device.
    Devices { compiling: Reverse<usize>, each: Box<[DeviceNearness]> },
    /// Fewer generations behind, then more ISA features.
    Cpu { generations: Reverse<u8>, isa_features: u16 },
}

/// How near code is to one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DeviceNearness {
    Cuda(CudaNearness),
    Amd(AmdNearness),
}

impl DeviceNearness {
    /// Whether the driver compiles the code on the spot (PTX, SPIR-V).
    pub(super) const fn compiles(self) -> bool {
        match self {
            Self::Cuda(cuda) => cuda.compiles(),
            Self::Amd(amd) => amd.compiles(),
        }
    }
}

/// A requirement that the machine meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) nearness: Nearness,
    /// The image asks for just what the machine has, so nothing better could be built for this key.
    pub(crate) exact: bool,
}

impl Match {
    /// Met, and no value is nearer than another.
    pub(crate) const ANY: Self = Self { nearness: Nearness::Any, exact: false };
    /// An equal value.
    pub(crate) const EQUAL: Self = Self { nearness: Nearness::Equal, exact: true };

    /// Of two ways to meet a requirement the nearer.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { exact: self.exact || other.exact, nearness: self.nearness.max(other.nearness) }
    }
}

/// The nearer of two matches, each with its place; the first of equals.
pub(crate) fn nearer(best: (usize, Match), next: (usize, Match)) -> (usize, Match) {
    if best.1.nearness < next.1.nearness { next } else { best }
}
