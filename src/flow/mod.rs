//! The way of a request as a state machine that consumes itself: (state, event) → (state, step).
//!
//! It knows nothing of Envoy and does no I/O: `host` turns callbacks into events and steps into calls of the
//! host, tests do the same with values. The request side is [`begin()`], the response side [`Exchange::advance`].

mod accept_header;
mod arrival;
mod authenticate;
mod authorizing;
mod awaited_form;
mod begin;
pub mod body;
mod caller;
mod challenge;
mod claim;
mod decision;
mod described;
mod exchange;
mod explain;
mod fault;
mod fetch;
mod forwarded;
mod known_callers;
mod local_reply;
mod manifest_by_digest;
mod manifest_by_tag;
mod mapped;
mod mirrors;
mod none_match;
mod onward;
mod paths;
pub mod reply;
mod report;
mod servable;
mod served;
mod session;
mod site;
mod step;
mod ticket;
mod token_endpoint;
mod token_form;
mod transfer;
mod verifying;
mod worker;

pub use arrival::{Arrival, source_address};
pub use begin::begin;
pub use exchange::{Effects, Exchange};
pub use fetch::MAX_MANIFEST;
pub use report::{Counter, Report};
pub use servable::{may_bring_a_body, unexpected_body};
pub use step::{Answer, Callout, Event, Step};
pub use token_form::read_form;
pub use worker::WorkerState;

pub use crate::request::form::MAX_FORM;

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn the_page_on_operations_names_every_counter() {
        let page = include_str!("../../docs/operations.md");
        for name in Counter::ALL.iter().map(|counter| counter.name()) {
            let short = name.strip_prefix("metahub").unwrap();
            let named = page.contains(&format!("`wasmcustom.{name}`")) || page.contains(&format!("`{short}`"));
            assert!(named, "{name}");
        }
    }
}
