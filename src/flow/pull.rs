//! The response side of a manifest by tag: index → selection → child manifest → answer.
//!
//! ```text
//! Asked ──headers──▶ Holding ──body──▶ (nested index: Fetching ⟲) ──▶ Fetching child ──▶ answer
//!    └── not an index: passes           └── HEAD: answer from the descriptor
//! ```

use std::fmt;
use std::rc::Rc;

use super::fetch::{self, Fault, MAX_MANIFEST, status};
use super::{Counter, Effects, Event, Exchange, Report, Step, Upstream};
use crate::config::{OnNoMatch, Registry};
use crate::digest::Digest;
use crate::errors::Code;
use crate::headers::{HeaderChange, Headers};
use crate::index::{Descriptor, Index, is_artifact_tag};
use crate::machine_type::MachineType;
use crate::media_type::{self, Kind};
use crate::memory::Memory;
use crate::request::{Method, Repository, Tag};
use crate::select::{MAX_LEVELS, MissingVariant, Selection, missing_variants, select};
use crate::words::printable;

/// Headers of the index's response that say nothing about the child.
const OF_THE_INDEX: [&str; 7] =
    ["last-modified", "accept-ranges", "age", "expires", "content-md5", "digest", "repr-digest"];

/// A manifest by tag under way.
#[derive(Debug)]
pub struct Pull {
    method: Method,
    image: Image,
    user: String,
    machine_type: Rc<MachineType>,
    pub(super) upstream: Upstream,
    on_no_match: OnNoMatch,
    state: State,
    missing: Vec<MissingVariant>,
}

/// `repository:tag`, as people write it.
#[derive(Debug)]
struct Image {
    repository: Repository,
    tag: Tag,
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

#[derive(Debug)]
enum State {
    /// Upstream was asked for an index.
    Asked,
    /// The response is held. `kind` is what its content type says, `digest` whether upstream named one.
    Holding { kind: Kind, has_digest: bool },
    /// A callout for a manifest that an index names is under way.
    Fetching { descriptor: Descriptor, reason: String, levels: u32, nested: bool },
}

impl Pull {
    /// A pull that is about to ask upstream.
    #[must_use]
    pub fn new(
        method: Method,
        repository: Repository,
        tag: Tag,
        user: String,
        machine_type: Rc<MachineType>,
        registry: &Rc<Registry>,
        on_no_match: OnNoMatch,
    ) -> Self {
        Self {
            method,
            image: Image { repository, tag },
            upstream: Upstream::new(registry, &user),
            user,
            machine_type,
            on_no_match,
            state: State::Asked,
            missing: Vec::new(),
        }
    }

    pub(super) fn advance(mut self, memory: &dyn Memory, event: &Event<'_>) -> Effects {
        match (std::mem::replace(&mut self.state, State::Asked), event) {
            (State::Asked, Event::ResponseHeaders { headers, end }) => {
                let refusal = self.upstream.refusal(memory, *headers);
                refusal.unwrap_or_else(|| self.on_headers(*headers, *end))
            }
            (State::Holding { kind, has_digest }, Event::ResponseBody { size }) => {
                if *size > MAX_MANIFEST {
                    return self.fail(&Fault::too_large());
                }
                self.state = State::Holding { kind, has_digest };
                self.proceed(Step::Hold)
            }
            (State::Holding { kind, has_digest }, Event::ResponseComplete { body }) => {
                self.on_body(kind, has_digest, body)
            }
            (State::Fetching { descriptor, reason, levels, nested }, Event::CalloutAnswered(answer)) => {
                // The token was good for the index and may have ended since.
                if let Some(refusal) = answer.and_then(|answer| self.upstream.refusal(memory, answer.headers)) {
                    return refusal;
                }
                match fetch::verified(&self.upstream.registry, &descriptor, *answer) {
                    Err(fault) => self.fail(&fault),
                    Ok(body) if nested => self.on_nested(body, levels),
                    Ok(body) => self.answer(&descriptor, &reason, Some(body.to_vec())),
                }
            }
            // While a callout is under way upstream's response is complete; nothing else can arrive.
            (state, _) => {
                self.state = state;
                self.proceed(Step::Hold)
            }
        }
    }

    fn proceed(self, step: Step) -> Effects {
        Effects::new(Exchange::Pulling(Box::new(self)), step)
    }

    fn on_headers(mut self, headers: Headers<'_>, end: bool) -> Effects {
        match status(headers) {
            200 => {}
            status @ (500.. | 0) => {
                let message = format!(
                    "the registry {} is not available ({status}); try again later",
                    self.upstream.registry.host
                );
                return self.fail(&Fault::upstream(message).retrying(headers));
            }
            status @ (201..=299) => {
                return self.fail(&Fault::invalid(format!(
                    "the registry {} answered {status} to a manifest request",
                    self.upstream.registry.host
                )));
            }
            // A client that followed would get the whole index from there, and choose from it by its platform alone.
            status @ (300..=399) if !is_artifact_tag(self.image.tag.as_str()) => {
                let message = format!(
                    "the registry {} redirects manifests ({status}); put MetaHub in front of the one that it leads to",
                    self.upstream.registry.host
                );
                return self.fail(&Fault::invalid(message));
            }
            // 404, 429 and the like are upstream's word to the client.
            _ => return self.let_pass(Vec::new(), Vec::new()),
        }
        let kind = Kind::of(headers.text("content-type").unwrap_or_default());
        let (length, has_digest) = (headers.number("content-length"), headers.has("docker-content-digest"));
        let complete = self.method == Method::Get || (length.is_some() && has_digest);
        let opaque = is_artifact_tag(self.image.tag.as_str()) || kind == Kind::Manifest;
        if opaque && complete {
            return self.pass_through("passed through: not an index");
        }
        if fetch::is_encoded(headers) {
            return self.fail(&Fault::invalid(
                "the manifest came compressed although MetaHub asked for it as it is".to_owned(),
            ));
        }
        if length.is_some_and(|length| length > MAX_MANIFEST as u64) {
            return self.fail(&Fault::too_large());
        }
        if end {
            return self.fail(&Fault::invalid(format!(
                "the registry {} answered without a body",
                self.upstream.registry.host
            )));
        }
        self.state = State::Holding { kind, has_digest };
        self.proceed(Step::Hold)
    }

    fn on_body(self, kind: Kind, has_digest: bool, body: &[u8]) -> Effects {
        // Trailers behind no body at all. Nothing is held then that could be released or replaced.
        if body.is_empty() {
            return self.fail(&Fault::invalid(format!(
                "the registry {} answered without a body",
                self.upstream.registry.host
            )));
        }
        let opaque = kind == Kind::Manifest
            || is_artifact_tag(self.image.tag.as_str())
            || (kind == Kind::Unknown && !Index::is_index(body));
        if opaque {
            return self.release("passed through: not an index", has_digest, body);
        }
        match Index::parse(body) {
            Ok(index) => self.on_index(&index, 1, Some((has_digest, body))),
            Err(error) => self.fail(&Fault::invalid(format!("the index cannot be used: {error}"))),
        }
    }

    fn on_nested(self, body: &[u8], levels: u32) -> Effects {
        match Index::parse(body) {
            Ok(index) => self.on_index(&index, levels + 1, None),
            Err(error) => self.fail(&Fault::invalid(format!("a nested index cannot be used: {error}"))),
        }
    }

    /// `held`: the response under way is this index itself, and may be released as it is.
    fn on_index(mut self, index: &Index, levels: u32, held: Option<(bool, &[u8])>) -> Effects {
        let machine_type = Rc::clone(&self.machine_type);
        match (select(index, &machine_type), held) {
            (Selection::Selected { entry, reason }, _) => {
                self.missing
                    .extend(missing_variants(index, &machine_type).into_iter().filter(|missing| missing.falls_back));
                let (descriptor, nested) = (entry.descriptor(), entry.is_nested_index());
                if nested && levels >= MAX_LEVELS {
                    return self.fail(&Fault::invalid(format!("indexes are nested deeper than {MAX_LEVELS} levels")));
                }
                if descriptor.size > MAX_MANIFEST as u64 {
                    return self.fail(&Fault::too_large());
                }
                if self.method == Method::Head && !nested {
                    return self.answer(&descriptor, &reason.to_string(), None);
                }
                let callout = fetch::callout(&self.upstream, &self.image.repository, descriptor.digest.as_str());
                self.state = State::Fetching { descriptor, reason: reason.to_string(), levels, nested };
                self.proceed(Step::CallOut(callout))
            }
            (Selection::NotAnImageIndex, Some((has_digest, body))) => {
                self.release("passed through: not an image index", has_digest, body)
            }
            (Selection::NotAnImageIndex, None) => {
                self.fail(&Fault::invalid("a nested index is not an image index".to_owned()))
            }
            (Selection::NoMatch(_), Some((has_digest, body))) if self.on_no_match == OnNoMatch::Unfiltered => {
                self.release("passed through: nothing fits, on_no_match is unfiltered", has_digest, body)
            }
            (Selection::NoMatch(offer), _) => {
                let message = format!("nothing fits; the index offers {offer}");
                self.fail(&Fault::new(Code::ManifestUnknown, Counter::NoMatch, message))
            }
        }
    }

    /// The selected manifest, or for HEAD what its descriptor says of it.
    fn answer(&self, descriptor: &Descriptor, reason: &str, body: Option<Vec<u8>>) -> Effects {
        let mut changes = vec![
            // Without parameters: what an index adds there has no business in a header.
            HeaderChange::Set("content-type", media_type::essence(&descriptor.media_type).to_owned()),
            HeaderChange::Set("content-length", descriptor.size.to_string()),
            HeaderChange::Set("docker-content-digest", descriptor.digest.to_string()),
            HeaderChange::Set("etag", format!("\"{}\"", descriptor.digest)),
            HeaderChange::Set("vary", "Authorization".to_owned()),
            HeaderChange::Set("cache-control", "private".to_owned()),
        ];
        changes.extend(self.explanation(&format!("{}: {reason}", descriptor.digest)));
        changes.extend(OF_THE_INDEX.iter().map(|name| HeaderChange::Remove(name)));
        let body = body.unwrap_or_default();
        let effects = Effects::new(Exchange::Done, Step::Release(changes, Some(body)));
        let effects = effects.reporting(Report::count(Counter::Selected));
        if self.missing.is_empty() { effects } else { effects.reporting(self.missing_variant(reason)) }
    }

    /// An image that is made in variants, but not in this machine's: worth building.
    fn missing_variant(&self, reason: &str) -> Report {
        let features: Vec<&str> =
            self.missing.iter().flat_map(|missing| missing.features.iter().map(String::as_str)).collect();
        let features = printable(&features.join(", "), 200);
        let (image, name) = (&self.image, self.machine_type.name());
        let line = format!("{image} has no variant for {features}: machine type {name} falls back to {reason}");
        Report { counter: Counter::MissingVariant, line: Some(line), topic: Some(format!("{image} {name}")) }
    }

    /// Upstream's response as it is, with a word on why.
    fn pass_through(&self, why: &str) -> Effects {
        let changes = self.explanation(why);
        self.let_pass(changes, vec![Report::count(Counter::PassedThrough)])
    }

    fn let_pass(&self, changes: Vec<HeaderChange>, reports: Vec<Report>) -> Effects {
        let exchange = if self.method == Method::Head { Exchange::Emptying } else { Exchange::Done };
        Effects { exchange, step: Step::Continue(changes), reports }
    }

    /// The held response as it is. An answer to HEAD gets what clients need of it: length and digest.
    fn release(&self, why: &str, has_digest: bool, body: &[u8]) -> Effects {
        let mut changes = self.explanation(why);
        let mut replacement = None;
        if self.method == Method::Head {
            changes.push(HeaderChange::Set("content-length", body.len().to_string()));
            if !has_digest {
                changes.push(HeaderChange::Set("docker-content-digest", Digest::of(body).to_string()));
            }
            replacement = Some(Vec::new());
        }
        let report = Report::count(Counter::PassedThrough);
        Effects::new(Exchange::Done, Step::Release(changes, replacement)).reporting(report)
    }

    /// Headers for people who debug with curl.
    fn explanation(&self, selected: &str) -> Vec<HeaderChange> {
        vec![
            HeaderChange::Set("x-metahub-machine-type", self.machine_type.name().to_owned()),
            HeaderChange::Set("x-metahub-selected", selected.to_owned()),
        ]
    }

    /// The stream ended before there was an answer of ours. An error is one that Envoy has answered with, because
    /// upstream broke off or stalled; without one the client went away, which is its own business.
    pub(super) fn ended(&self, status: u64) -> Option<Report> {
        (status >= 400).then(|| {
            let line = format!(
                "{status} {} for machine type {}: the registry {host} broke off or stalled while sending it (login {:?}, \
                 registry {host})",
                self.image,
                self.machine_type.name(),
                self.user,
                host = self.upstream.registry.host
            );
            Report::fault(Counter::UpstreamFailed, line)
        })
    }

    /// No image, and one line that says why, for the client and for the log.
    fn fail(&self, fault: &Fault) -> Effects {
        let message = format!("{} for machine type {}: {}", self.image, self.machine_type.name(), fault.message);
        let line = format!(
            "{} {message} (login {:?}, registry {})",
            fault.code.status(),
            self.user,
            self.upstream.registry.host
        );
        let reply = fault.reply(&message).with("x-metahub-machine-type", self.machine_type.name());
        Effects::reply(reply).reporting(Report::fault(fault.counter, line))
    }
}
