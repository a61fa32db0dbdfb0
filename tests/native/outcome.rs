//! The outcome of a request.

use std::collections::HashMap;

use metahub::flow::Callout;
use metahub::text::headers::HeaderChange;
use serde_json::Value;

/// The answer that a client gets in the end.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) callouts: Vec<Callout>,
    /// The log lines.
    pub(crate) lines: Vec<String>,
    pub(crate) counters: Vec<&'static str>,
    /// The events that were queued.
    pub(crate) events: Vec<String>,
    /// The counters of the cache.
    pub(crate) cache: Vec<&'static str>,
    /// `Authorization` of the first request that went to the registry; `None` if none went.
    pub(crate) authorization: Option<Option<String>>,
    /// All header changes of that request.
    pub(crate) changes: Vec<HeaderChange>,
    /// Method of that request.
    pub(crate) asked: Option<String>,
}

impl Outcome {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The message of the registry error in the body.
    pub(crate) fn message(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["errors"][0]["message"].as_str().unwrap().to_owned()
    }

    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}
