//! Shapes of public images.
