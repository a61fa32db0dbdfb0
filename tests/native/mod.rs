//! Tests that run natively, without Envoy.

mod selection;
