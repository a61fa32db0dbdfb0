//! Tests that need nothing but this crate.

mod support_images;
