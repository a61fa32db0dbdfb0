//! The bytes of a document that many may wait for: shared instead of copied, with the facts found out about them.
//!
//! A fleet that pulls one image waits for one answer. Its bytes are hashed once and parsed once, for the first request
//! that needs it, and no request has a copy of them.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use crate::machine_type::{Fingerprint, MachineType};
use crate::oci::digest::Digest;
use crate::oci::index::{AssumedLevels, Index, IndexError, Nature};
use crate::select::OnNoMatch;
use crate::select::{Turn, Walk};
use crate::store::cache::{CacheGrowth, Location};

/// The most results of selection that are kept beside an index. A walk is a part of what they depend on, and one index
/// may be in any number of others.
const MAX_TURNS: usize = 64;

/// Bytes, shared by all clones.
#[derive(Clone, Default)]
pub struct Body(Rc<Inner>);

#[derive(Default)]
struct Inner {
    bytes: Vec<u8>,
    digest: OnceCell<Digest>,
    /// The other digest that was asked about last (`sha512:`), and whether it is theirs.
    verified: RefCell<Option<(Digest, bool)>>,
    nature: OnceCell<Nature>,
    index: OnceCell<Result<Rc<Index>, IndexError>>,
    kept: OnceCell<Option<Location>>,
    turns: RefCell<BTreeMap<(Walk, Fingerprint, bool, AssumedLevels), Turn>>,
}

impl Body {
    /// The SHA-256 digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.0.digest.get_or_init(|| Digest::of(self))
    }

    /// Whether these are the bytes that a digest names.
    #[must_use]
    pub fn verifies(&self, digest: &Digest) -> bool {
        if digest.as_str().starts_with("sha256:") {
            return self.digest() == digest;
        }
        let known = self.0.verified.borrow().as_ref().and_then(|(asked, answer)| (asked == digest).then_some(*answer));
        known.unwrap_or_else(|| {
            let answer = digest.verifies(self);
            *self.0.verified.borrow_mut() = Some((digest.clone(), answer));
            answer
        })
    }

    /// The nature of the document, by its content alone.
    #[must_use]
    pub fn nature(&self) -> &Nature {
        self.0.nature.get_or_init(|| match self.0.index.get() {
            Some(Ok(index)) => index.nature(),
            _ => Nature::of(self),
        })
    }

    /// The same for a document that is said to be an index, which saves a reading if that is true.
    #[must_use]
    pub fn nature_of_index(&self) -> &Nature {
        let _ = self.index();
        self.nature()
    }

    /// The next turn of a walk that enters this index. Machines that are alike share the result.
    pub fn enter(&self, walk: Walk, machine: &MachineType, on_no_match: OnNoMatch) -> Turn {
        self.enter_assuming(walk, machine, on_no_match, &AssumedLevels::default())
    }

    /// The same, where entries without a variant really need these levels.
    pub fn enter_assuming(
        &self,
        walk: Walk,
        machine: &MachineType,
        on_no_match: OnNoMatch,
        assumed: &AssumedLevels,
    ) -> Turn {
        let key = (walk, machine.fingerprint(), on_no_match == OnNoMatch::Unfiltered, assumed.clone());
        if let Some(turn) = self.0.turns.borrow().get(&key) {
            return turn.clone();
        }
        let walk = key.0.clone();
        let turn = match self.index() {
            Ok(index) if assumed.is_empty() => walk.enter(&index, machine, on_no_match),
            Ok(index) => walk.enter(&index.assuming(assumed), machine, on_no_match),
            Err(error) => Turn::DeadEnd(walk.unusable(error)),
        };
        let mut turns = self.0.turns.borrow_mut();
        // Made-up machines must not push out the results of the others.
        if machine.is_unnamed() && turns.len() >= MAX_TURNS / 2 {
            return turn;
        }
        if turns.len() >= MAX_TURNS {
            turns.clear();
        }
        turns.insert(key, turn.clone());
        drop(turns);
        turn
    }

    /// The place where the cache keeps these bytes. The first call stores them by `keep`, and only then does the cache
    /// grow.
    pub fn kept(&self, keep: impl FnOnce() -> (Option<Location>, CacheGrowth)) -> (Option<Location>, CacheGrowth) {
        let mut growth = CacheGrowth::default();
        let location = self.0.kept.get_or_init(|| {
            let (location, grown) = keep();
            growth = grown;
            location
        });
        (*location, growth)
    }

    /// The document as an index.
    ///
    /// # Errors
    /// The errors of [`Index::parse`].
    pub fn index(&self) -> Result<Rc<Index>, IndexError> {
        self.0.index.get_or_init(|| Index::parse(self).map(Rc::new)).clone()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Rc::new(Inner { bytes, ..Inner::default() }))
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Body {}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::feature::FeatureRules;
    use crate::machine_type::Description;
    use crate::machine_type::described::Notation;

    #[test]
    fn what_was_found_out_is_shared_by_all_clones() {
        let entry = serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(b"").as_str(), "size": 2,
            "platform": { "os": "linux", "architecture": "amd64" },
        });
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": [entry] });
        let body = Body::from(index.to_string().into_bytes());
        let clone = body.clone();
        assert!(std::ptr::eq(body.as_ptr(), clone.as_ptr()), "not copied");
        assert!(Rc::ptr_eq(&body.index().unwrap(), &clone.index().unwrap()), "parsed once");
        assert!(std::ptr::eq(body.digest(), clone.digest()), "hashed once");
        assert!(body.nature().is_index && !Body::from(b"{}".to_vec()).nature().is_index);
    }

    #[test]
    fn verifies_digests_of_both_kinds() {
        let body = Body::from(Vec::new());
        let sha512 = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                      47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
        let rows = [
            (Digest::of(b"").to_string(), true),
            (Digest::of(b"x").to_string(), false),
            (sha512.to_owned(), true),
            (sha512.replace("cf83", "cf84"), false),
        ];
        for (digest, expected) in rows.iter().chain(&rows) {
            assert_eq!(body.verifies(&Digest::parse(digest).unwrap()), *expected, "{digest}");
        }
    }

    /// A publisher can lead to one index from any number of others, each of which is another walk.
    #[test]
    fn the_results_that_are_kept_are_bounded() {
        let digest = |number: u32| Digest::of(&number.to_le_bytes()).to_string();
        let nested = |number: u32| {
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest(number), "size": 2,
            })
        };
        let index = |entries: &[serde_json::Value]| {
            Body::from(serde_json::json!({ "schemaVersion": 2, "manifests": entries }).to_string().into_bytes())
        };
        let description = Description { architecture: Some("amd64"), ..Description::default() };
        let machine = MachineType::new("machine", &description, &FeatureRules::default()).unwrap();
        let inner = index(&[]);
        for number in 1..2000 {
            let outer = index(&[nested(0), nested(number)]);
            let Turn::Nested(_, walk) = outer.enter(Walk::begin(), &machine, OnNoMatch::Refuse) else { panic!() };
            let turn = inner.enter(walk, &machine, OnNoMatch::Refuse);
            assert!(matches!(turn, Turn::Nested(next, _) if next.digest.as_str() == digest(number)), "{number}");
        }
        assert!(inner.0.turns.borrow().len() <= MAX_TURNS, "{}", inner.0.turns.borrow().len());
    }

    #[test]
    fn made_up_machines_push_out_no_results() {
        let rules = FeatureRules::default();
        let body = Body::from(br#"{ "schemaVersion": 2, "manifests": [] }"#.to_vec());
        let description = Description { architecture: Some("arm64"), ..Description::default() };
        let configured = MachineType::new("machine", &description, &rules).unwrap();
        body.enter(Walk::begin(), &configured, OnNoMatch::Refuse);
        for number in 0..2 * MAX_TURNS {
            let text = format!("architecture=amd64,number={number}");
            let made_up = MachineType::described(&text, Notation::Plain, &rules).unwrap();
            body.enter(Walk::begin(), &made_up, OnNoMatch::Refuse);
        }
        let turns = body.0.turns.borrow();
        assert_eq!(turns.len(), MAX_TURNS / 2);
        assert!(turns.keys().any(|(_, fingerprint, ..)| *fingerprint == configured.fingerprint()));
    }
}
