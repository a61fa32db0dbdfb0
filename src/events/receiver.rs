//! Where events are posted.

use crate::auth::secret::Secret;

/// The receiver of events, as the configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// The Envoy cluster.
    pub cluster: String,
    /// Its `:authority`.
    pub host: String,
    /// The path.
    pub path: String,
    /// One more header, name and value, by which it knows MetaHub.
    pub header: Option<(String, Secret)>,
}

impl Receiver {
    /// All headers of a post, pseudo-headers first.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let fixed = [
            (":method", "POST"),
            (":path", self.path.as_str()),
            (":authority", self.host.as_str()),
            ("content-type", "application/x-ndjson"),
            ("user-agent", concat!("metahub/", env!("CARGO_PKG_VERSION"))),
        ];
        fixed.into_iter().chain(self.header.iter().map(|(name, value)| (name.as_str(), value.expose())))
    }
}
