//! An image's values as the rule of their key reads them.

use super::amd_gpu::AmdTarget;
use super::capability::CudaCode;
use super::{Rule, Version};

/// A value of an image, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reading {
    Version(Version),
    Cuda(CudaCode),
    Amd(AmdTarget),
    /// No machine meets it.
    Unreadable,
}

impl Reading {
    pub(super) fn of(rule: Rule, text: &str) -> Self {
        let read = match rule {
            Rule::AtLeast | Rule::SameMajor => Version::parse(text).map(Self::Version),
            Rule::ComputeCapability => CudaCode::parse(text).map(Self::Cuda),
            Rule::AmdGpu => AmdTarget::parse(text).map(Self::Amd),
            Rule::Microarchitecture | Rule::Exact => None,
        };
        read.unwrap_or(Self::Unreadable)
    }
}
