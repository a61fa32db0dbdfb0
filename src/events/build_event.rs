//! One event: which image, for which machine, and why.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::machine_type::MachineType;
use crate::oci::digest::Digest;
use crate::oci::reference::{Repository, Tag};
use crate::text::json::{Json, json};

/// Why an image would be worth building.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventReason {
    /// The image is made in variants, but not in this machine's. The text lists the features that are missing, joined
    /// by `, `.
    MissingVariant(String),
    /// A tag in which the configuration expects the machine's variant does not exist.
    AbsentTag(Tag),
    /// No entry of the index fits the machine.
    NothingFits,
}

impl EventReason {
    /// The word for it in an event.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::MissingVariant(_) => "missing_variant",
            Self::AbsentTag(_) => "absent_tag",
            Self::NothingFits => "nothing_fits",
        }
    }
}

/// When an event was seen first, and how often since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sightings {
    /// Seconds since the Unix epoch.
    pub first_seen: u64,
    /// How many pulls have seen it since.
    pub count: u64,
}

/// An image that is not there yet, for a machine type of the configuration.
#[derive(Clone, Debug)]
pub struct BuildEvent {
    /// The reason.
    pub reason: EventReason,
    /// The registry's host, as the configuration has it.
    pub registry: String,
    /// The repository.
    pub repository: Repository,
    /// The tag that was asked for.
    pub tag: Tag,
    /// The index behind the tag; `None` where no index was looked at.
    pub index: Option<Digest>,
    /// The machine type.
    pub machine_type: Arc<MachineType>,
}

impl BuildEvent {
    /// The event as one line of JSON, as `docs/events.schema.json` describes it. Each value is a number, a word of
    /// MetaHub's own, a word of the configuration, or a name that was read by its grammar.
    #[must_use]
    pub fn line(&self, Sightings { first_seen, count }: Sightings) -> String {
        let (machine, features) = (&self.machine_type, self.machine_type.features());
        let missing: Json = features.iter().filter(|feature| self.misses(feature)).map(String::as_str).collect();
        let variant_tag = if let EventReason::AbsentTag(tag) = &self.reason { Some(tag.as_str()) } else { None };
        let document = json!({
            "reason": self.reason.word(),
            "registry": self.registry.as_str(),
            "repository": self.repository.as_str(),
            "tag": self.tag.as_str(),
            "variant_tag": variant_tag,
            "index": self.index.as_ref().map(Digest::as_str),
            "machine_type": machine.name(),
            "os": machine.os(),
            "os_version": machine.os_version(),
            "architecture": machine.architecture(),
            "variant": machine.variant(),
            "features": features,
            "missing": missing,
            "first_seen": first_seen,
            "count": count,
        });
        format!("{document}\n")
    }

    /// Whether this feature of the machine is missing. Words of the machine type are looked up in the text, and not
    /// taken out of it: so a text that was cut off adds no word.
    fn misses(&self, feature: &str) -> bool {
        let EventReason::MissingVariant(missing) = &self.reason else { return false };
        missing.split(", ").any(|word| word == feature)
    }

    /// A digest of what makes two events the same: the reason, the image and the machine.
    pub(super) fn key(&self) -> [u8; 32] {
        let variant_tag = if let EventReason::AbsentTag(tag) = &self.reason { tag.as_str() } else { "" };
        let fingerprint = self.machine_type.fingerprint();
        let parts: [&[u8]; 8] = [
            self.reason.word().as_bytes(),
            self.registry.as_bytes(),
            self.repository.as_str().as_bytes(),
            self.tag.as_str().as_bytes(),
            variant_tag.as_bytes(),
            self.index.as_ref().map_or("", Digest::as_str).as_bytes(),
            self.machine_type.name().as_bytes(),
            fingerprint.as_bytes(),
        ];
        let mut hash = Sha256::new();
        for part in parts {
            // Lengths keep ("ab", "c") apart from ("a", "bc").
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// Equal are those of which one an hour is posted.
impl PartialEq for BuildEvent {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for BuildEvent {}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::hardware::feature::FeatureRules;
    use crate::machine_type::Description;

    pub(in crate::events) fn event(tag: &str) -> BuildEvent {
        let description = Description { features: vec!["cpu:skylake", "nvcap:8.6", "ib"], ..Description::default() };
        BuildEvent {
            reason: EventReason::MissingVariant("cpu:skylake, ib, nv...".to_owned()),
            registry: "registry.example:5000".to_owned(),
            repository: Repository::parse("qnib/bench").unwrap(),
            tag: Tag::parse(tag).unwrap(),
            index: Some(Digest::of(b"index")),
            machine_type: Arc::new(MachineType::new("gpu1", &description, &FeatureRules::default()).unwrap()),
        }
    }

    fn read(event: &BuildEvent) -> Value {
        let line = event.line(Sightings { first_seen: 1_790_000_000, count: 7 });
        assert!(line.ends_with("}\n") && line.lines().count() == 1, "{line}");
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_line_says_what_a_builder_needs() {
        let missing = event("latest");
        let expected = json!({
            "reason": "missing_variant", "registry": "registry.example:5000", "repository": "qnib/bench",
            "tag": "latest", "variant_tag": null, "index": Digest::of(b"index").as_str(), "machine_type": "gpu1",
            "os": "linux", "os_version": null, "architecture": "amd64", "variant": "v4",
            "features": ["cpu:skylake", "nvcap:8.6", "ib"], "missing": ["cpu:skylake", "ib"],
            "first_seen": 1_790_000_000, "count": 7,
        });
        let line = read(&missing);
        // The microarchitecture says the variant.
        assert_eq!(line["variant"], missing.machine_type.variant().unwrap());
        let with_variant = |variant: &Value| {
            let mut expected = expected.clone();
            expected["variant"] = variant.clone();
            expected
        };
        assert_eq!(line, with_variant(&line["variant"]));
        let absent = EventReason::AbsentTag(Tag::parse("latest-rocm").unwrap());
        let line = read(&BuildEvent { reason: absent, index: None, ..missing.clone() });
        let shown = ["reason", "variant_tag", "index", "missing"].map(|key| &line[key]);
        assert_eq!(shown, [&json!("absent_tag"), &json!("latest-rocm"), &Value::Null, &json!([])]);
        let line = read(&BuildEvent { reason: EventReason::NothingFits, ..missing });
        assert_eq!((&line["reason"], &line["missing"]), (&json!("nothing_fits"), &json!([])));
    }

    #[test]
    fn events_are_the_same_if_nothing_that_matters_differs() {
        let base = event("latest");
        // The list of what is missing follows from the others.
        let same = BuildEvent { reason: EventReason::MissingVariant(String::new()), ..base.clone() };
        assert_eq!(same, base);
        let absent = |tag| EventReason::AbsentTag(Tag::parse(tag).unwrap());
        let others = [
            event("other"),
            BuildEvent { registry: "elsewhere".to_owned(), ..base.clone() },
            BuildEvent { repository: Repository::parse("qnib/other").unwrap(), ..base.clone() },
            BuildEvent { index: Some(Digest::of(b"newer")), ..base.clone() },
            BuildEvent { index: None, ..base.clone() },
            BuildEvent { reason: EventReason::NothingFits, ..base.clone() },
            BuildEvent { reason: absent("a"), ..base.clone() },
            BuildEvent { reason: absent("b"), ..base.clone() },
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(*other, base, "{place}");
            assert!(others.iter().skip(place + 1).all(|another| another != other), "{place}");
        }
    }
}
