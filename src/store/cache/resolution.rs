//! The resolution of a tag for a machine type.

use super::documents::Location;
use super::record::{put, take, take_number, take_text};
use crate::oci::digest::Digest;
use crate::oci::index::Descriptor;

/// Format of the records; to be raised whenever it changes. The rules of selection have a version of their own, which
/// is in the machine type's fingerprint and so in the keys of the records.
const FORMAT: u8 = 3;

/// The result of selection where a registry is only observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// An image would have been selected.
    Selected,
    /// Selection would have gone on in a nested index that the cache did not have.
    Nested,
    /// There would have been no image.
    Nothing,
}

impl Observed {
    const ALL: [Self; 3] = [Self::Selected, Self::Nested, Self::Nothing];

    /// A number above 0 for the record.
    fn number(self) -> u64 {
        Self::ALL.iter().zip(1..).find_map(|(one, number)| (*one == self).then_some(number)).unwrap_or_default()
    }

    fn of(number: u64) -> Option<Self> {
        Self::ALL.iter().zip(1..).find_map(|(one, known)| (number == known).then_some(*one))
    }
}

/// The resolution of a tag for all machine types that are alike. It holds as long as the tag points to `top`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The document that the tag pointed to: an index, or the single manifest that was passed through.
    pub top: Digest,
    /// The manifest that was served. Its digest is `top`'s if nothing had to be selected.
    pub served: Descriptor,
    /// The reason for this one, in words.
    pub reason: String,
    /// The features for which the image has no variant, joined; empty if it has them all.
    pub missing: String,
    /// How many other images only list order tells apart from the one that was selected.
    pub indistinguishable: u64,
    /// The result of selection, if the registry is only observed: then the tag's own document was served.
    pub observed: Option<Observed>,
    /// The place where the manifest was kept.
    pub location: Option<Location>,
}

/// A resolution that upstream has confirmed to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The time of the confirmation, in seconds since the Unix epoch.
    pub at: u64,
    /// The last refusal of the same caller before that; 0 if there was none.
    pub refusal: u64,
    /// The resolution that was confirmed.
    pub resolution: Resolution,
}

impl Resolution {
    /// Whether the tag's document itself was served: it is no index of images for machines.
    #[must_use]
    pub fn passed_through(&self) -> bool {
        self.top == self.served.digest
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut record = vec![FORMAT];
        let numbers = [self.served.size, self.indistinguishable, self.observed.map_or(0, Observed::number)];
        numbers.iter().for_each(|number| record.extend_from_slice(&number.to_le_bytes()));
        let location = self.location.map(Location::encode).unwrap_or_default();
        let texts =
            [self.top.as_str(), self.served.digest.as_str(), &self.served.media_type, &self.reason, &self.missing];
        texts.iter().for_each(|text| put(&mut record, text.as_bytes()));
        put(&mut record, &location);
        record
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (format, mut rest) = value.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let rest = &mut rest;
        let (size, indistinguishable, observed) = (take_number(rest)?, take_number(rest)?, take_number(rest)?);
        let top = Digest::parse(&take_text(rest)?).ok()?;
        let digest = Digest::parse(&take_text(rest)?).ok()?;
        let media_type = take_text(rest)?;
        Some(Self {
            top,
            served: Descriptor { media_type, digest, size },
            reason: take_text(rest)?,
            missing: take_text(rest)?,
            indistinguishable,
            observed: Observed::of(observed),
            location: Location::decode(take(rest)?),
        })
    }
}

impl Confirmed {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut record = [self.at.to_le_bytes(), self.refusal.to_le_bytes()].concat();
        record.extend(self.resolution.encode());
        record
    }

    pub(super) fn decode(mut value: &[u8]) -> Option<Self> {
        let (at, refusal) = (take_number(&mut value)?, take_number(&mut value)?);
        Some(Self { at, refusal, resolution: Resolution::decode(value)? })
    }
}
