//! One value that a machine has of a key.

use super::amd_gpu::AmdTarget;
use super::capability::{Capability, CudaCode};
use super::nearness::{DeviceNearness, Match, Nearness};
use super::reading::Reading;
use super::{Rule, Version};

/// A value of a machine, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// The key without a value.
    Flag,
    Text(Box<str>),
    Version(Version),
    Cuda(Capability),
    Amd(AmdTarget),
}

impl Value {
    /// Reads a value of a machine; the error says in words what it should be.
    pub(super) fn parse(rule: Rule, value: Option<&str>) -> Result<Self, String> {
        match rule {
            Rule::Exact | Rule::Microarchitecture => Ok(value.map_or(Self::Flag, |text| Self::Text(text.into()))),
            Rule::AtLeast | Rule::SameMajor => {
                let expected = || format!("expected a version such as 550.54 ({} compares numbers)", rule.word());
                value.and_then(Version::parse).map(Self::Version).ok_or_else(expected)
            }
            Rule::ComputeCapability => {
                let code = value.and_then(CudaCode::parse).ok_or("expected a compute capability such as 8.6")?;
                let plain = "a machine has a plain compute capability such as 9.0, which covers 9.0a, 9.0f and PTX";
                Ok(Self::Cuda(code.device().ok_or(plain)?))
            }
            Rule::AmdGpu => {
                let expected = "expected a GPU target such as gfx942 or gfx90a:xnack+";
                let target = value.and_then(AmdTarget::parse).ok_or(expected)?;
                let own = "a machine has a GPU such as gfx1100, which covers gfx11-generic and amdgcnspirv";
                if target.is_device() { Ok(Self::Amd(target)) } else { Err(own.to_owned()) }
            }
        }
    }

    /// Whether, and how nearly, this value satisfies what an image asks for.
    pub(super) fn meets(&self, rule: Rule, wanted: Reading) -> Option<Match> {
        match (self, wanted) {
            (Self::Version(own), Reading::Version(wanted)) => {
                let within = match rule {
                    Rule::AtLeast => true,
                    Rule::SameMajor => own.major() == wanted.major(),
                    // Their values are no versions.
                    Rule::Microarchitecture | Rule::ComputeCapability | Rule::AmdGpu | Rule::Exact => false,
                };
                (within && *own >= wanted)
                    .then_some(Match { nearness: Nearness::Version(wanted), exact: *own == wanted })
            }
            (Self::Cuda(device), Reading::Cuda(code)) => {
                let found = code.on(*device)?;
                let exact = !found.compiles() && code.is_for(*device);
                Some(Match { nearness: Nearness::Device(DeviceNearness::Cuda(found)), exact })
            }
            (Self::Amd(device), Reading::Amd(target)) => {
                let found = target.on(*device)?;
                Some(Match { nearness: Nearness::Device(DeviceNearness::Amd(found)), exact: found.is_exact() })
            }
            _ => None,
        }
    }

    /// The value in words, with its key: `nvcap:8.6`.
    pub(super) fn words(&self, key: &str) -> String {
        match self {
            Self::Flag => key.to_owned(),
            Self::Text(text) => format!("{key}:{text}"),
            Self::Version(version) => format!("{key}:{version}"),
            Self::Cuda(capability) => format!("{key}:{capability}"),
            Self::Amd(target) => format!("{key}:{target}"),
        }
    }
}
