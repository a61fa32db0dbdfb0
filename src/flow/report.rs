//! Counters, and the log lines that operators read.

use crate::events::BuildEvent;
use crate::store::cache::CacheGrowth;

/// Declares each counter once: what it counts, what it is called here, and the metric's name.
macro_rules! counters {
    ($($(#[$what:meta])+ $counter:ident = $name:literal,)+) => {
        /// A counter. One request may count once on its way to upstream and once on its way back.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter {
            $($(#[$what])+ $counter,)+
        }

        impl Counter {
            /// All counters.
            pub const ALL: &[Self] = &[$(Self::$counter),+];

            /// The metric's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$counter => concat!("metahub_", $name),)+
                }
            }
        }
    };
}

counters! {
    /// A tag was resolved to the entry that fits.
    Selected = "selected",
    /// A manifest by tag was passed through: not an image index, or an unfiltered view of one.
    PassedThrough = "passed_through",
    /// No entry fits the machine type.
    NoMatch = "no_match",
    /// A machine type asked for an index of images by its digest, which goes round selection.
    IndexByDigest = "index_by_digest",
    /// A request without credentials was challenged.
    Challenged = "challenged",
    /// Credentials were malformed or wrong.
    Unauthorized = "unauthorized",
    /// A login was limited after too many wrong passwords.
    Limited = "limited",
    /// A node and a login said different machine types.
    Disagreed = "disagreed",
    /// A client described too many new machines.
    DescriptionsLimited = "descriptions_limited",
    /// A login may not have what it asked for.
    Denied = "denied",
    /// A request that MetaHub does not serve.
    Refused = "refused",
    /// An index or a child manifest that cannot be used.
    InvalidManifest = "invalid_manifest",
    /// The upstream is down, slow, broken, or refuses MetaHub.
    UpstreamFailed = "upstream_failed",
    /// Upstream refused a token that was kept. Another one was asked for, or the client was sent round once more.
    TokenRefused = "token_refused",
    /// A client that did not log in was served.
    Anonymous = "anonymous",
    /// A ticket was given out.
    TokenIssued = "token_issued",
    /// A ticket had expired, was revoked, or was no ticket of MetaHub's.
    TokenInvalid = "token_invalid",
    /// A machine type got less than it could use of an image that is made in variants.
    MissingVariant = "missing_variant",
    /// A tag was answered with an image that only list order tells apart from another one.
    Indistinguishable = "indistinguishable",
    /// An index was passed on because its registry is only observed, and an image would have been selected.
    Observed = "observed",
    /// The same, and there would have been no image.
    ObservedNoMatch = "observed_no_match",
    /// A tag was asked for through a mirror.
    Mirrored = "mirrored",
    /// A manifest was answered from the cache; upstream was asked with HEAD at most.
    CacheHit = "cache_hit",
    /// A manifest was fetched from upstream.
    CacheMiss = "cache_miss",
    /// A document had to make room in the cache.
    CacheEvicted = "cache_evicted",
    /// The size of the cache, in bytes; not a counter but a gauge.
    CacheBytes = "cache_bytes",
    /// A tag was answered with the last known manifest, because upstream is down.
    ServedStale = "served_stale",
    /// A request was refused because a bound of what one worker holds was reached.
    Overloaded = "overloaded",
    /// An event that the receiver has.
    EventsSent = "events_sent",
    /// A post of events that failed.
    EventsFailed = "events_failed",
    /// An event that was given up.
    EventsDropped = "events_dropped",
}

impl Counter {
    /// Whether it goes up and down.
    #[must_use]
    pub const fn is_gauge(self) -> bool {
        matches!(self, Self::CacheBytes)
    }
}

/// A report to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The counter or gauge that changes.
    pub counter: Counter,
    /// The amount; negative for gauges only.
    pub amount: i64,
    /// One log line that names the field, the user or the image, never a secret; `None` if nothing is wrong.
    pub line: Option<String>,
    /// The topic of the line, where one line an hour about it is enough.
    pub topic: Option<String>,
    /// An event for a build pipeline.
    pub event: Option<Box<BuildEvent>>,
}

/// Something that carries reports to the host.
pub(super) trait Reporting: Sized {
    /// The reports that it carries.
    fn reports_mut(&mut self) -> &mut Vec<Report>;

    /// The same with one more report.
    fn reporting(mut self, report: Report) -> Self {
        self.reports_mut().push(report);
        self
    }

    /// The same with reports of how the cache grew.
    fn growing(mut self, growth: CacheGrowth) -> Self {
        self.reports_mut().extend(Report::of_growth(growth));
        self
    }
}

impl Report {
    pub(super) const fn count(counter: Counter) -> Self {
        Self::amount(counter, 1)
    }

    pub(super) const fn amount(counter: Counter, amount: i64) -> Self {
        Self { counter, amount, line: None, topic: None, event: None }
    }

    /// Reports of how the cache grew, which operators see as a gauge: a change that is left out once makes it wrong for
    /// ever.
    fn of_growth(growth: CacheGrowth) -> impl Iterator<Item = Self> {
        let amounts = [(Counter::CacheBytes, growth.bytes), (Counter::CacheEvicted, growth.evicted)];
        amounts.into_iter().filter(|(_, amount)| *amount != 0).map(|(counter, amount)| Self::amount(counter, amount))
    }

    pub(super) const fn fault(counter: Counter, line: String) -> Self {
        Self { counter, amount: 1, line: Some(line), topic: None, event: None }
    }
}
