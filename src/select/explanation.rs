//! The reverse query: which machine type gets what of an image, and why (docs/explain.schema.json).
//!
//! The walk through nested indexes is the one of a pull ([`crate::select::Walk`]), so that the answer is what a pull
//! returns.

mod document;
mod notes;
mod page;
mod walks;

use std::rc::Rc;
use std::sync::Arc;

use self::document::Document;
pub use self::notes::notes;
use self::page::Page;
use self::walks::Walks;
use crate::machine_type::{MachineType, listing};
use crate::oci::digest::Digest;
use crate::oci::index::{Descriptor, Index};
use crate::select::OnNoMatch;
use crate::text::json::Json;

/// The document that the registry has for an image.
#[derive(Debug)]
pub struct Image {
    /// The image, as it was asked for.
    pub name: String,
    /// Its `Content-Type`.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// The document as an index, if it is one.
    pub index: Option<Rc<Index>>,
    /// Its registry is only observed: pulls get the document as it is.
    pub observed: bool,
}

/// An answer in the making.
#[derive(Debug)]
pub struct Explanation {
    name: String,
    media_type: String,
    observed: bool,
    walks: Walks,
    /// The machine types that are still to be explained, in the order of their names.
    machine_types: Vec<Arc<MachineType>>,
    first_page: bool,
    /// The most machine types of a page.
    limit: usize,
}

impl Explanation {
    /// Explains `image` for these machine types, which are in the order of their names, from the first after `after`
    /// on.
    #[must_use]
    pub fn new(image: Image, machine_types: &[Arc<MachineType>], after: Option<&str>, on_no_match: OnNoMatch) -> Self {
        let machine_types: Vec<_> = listing::behind(machine_types, after).cloned().collect();
        let walks = Walks::begin(image.digest, image.index, &machine_types, on_no_match);
        let Image { name, media_type, observed, .. } = image;
        Self { name, media_type, observed, walks, machine_types, first_page: after.is_none(), limit: usize::MAX }
    }

    /// The same, about this many machine types at most: the others are for other pages.
    #[must_use]
    pub fn within(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// A nested index that the explanation needs and does not have yet. It must be [added](Self::add) before the next.
    #[must_use]
    pub fn wants(&mut self) -> Option<Descriptor> {
        self.walks.wants()
    }

    /// Adds a nested index, or the message of a pull if it cannot be used.
    pub fn add(&mut self, descriptor: Descriptor, index: Result<Rc<Index>, String>) {
        self.walks.add(descriptor, index);
    }

    /// One page of the answer. `rest` is the request's query without `after`.
    #[must_use]
    pub fn page(&self, rest: &str) -> Json {
        let page = Page::of(&self.machine_types, &self.walks, self.limit);
        let next = page.next_after.map(|last| format!("/metahub/v1/explain?{rest}&after={last}"));
        let (image, media_type, walks) = (&*self.name, &*self.media_type, &self.walks);
        let mut members = Document { image, media_type, observed: self.observed, walks, page, next }.members();
        if self.first_page {
            members.extend(document::entries(walks));
        }
        Json::Object(members)
    }
}
