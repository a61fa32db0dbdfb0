//! Tests that run natively, without Envoy.

mod driver;
mod flow_pull;
mod flow_request;
mod selection;
