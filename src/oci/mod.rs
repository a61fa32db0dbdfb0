//! The terms of registries: digests, media types, platforms, indexes, errors.

pub mod digest;
pub mod errors;
pub mod index;
pub mod media_type;
pub mod platform;
pub mod reference;
