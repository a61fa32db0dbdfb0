//! The document: the index and its entries, read in one pass.

use std::borrow::Cow;

use super::entries::Entries;
use super::nature::own_media_type;
use super::{Index, IndexError, MAX_BYTES, MAX_ENTRIES};
use crate::oci::media_type::Kind;
use crate::text::json::{Reader, Stop};
use crate::text::printable::printable;

/// Fields of an image manifest.
const BESIDE: [&str; 4] = ["layers", "config", "fsLayers", "blobs"];

impl Index {
    /// Parses an index. Memory is linear in `bytes`.
    ///
    /// # Errors
    /// [`IndexError`] when the document as a whole is no index; a single bad entry is no error (see
    /// [`Index::unreadable`]).
    pub fn parse(bytes: &[u8]) -> Result<Self, IndexError> {
        if bytes.len() > MAX_BYTES {
            return Err(IndexError::TooLarge);
        }
        let malformed = |problem: &dyn ToString| IndexError::Malformed(printable(&problem.to_string(), 160));
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(&error))?;
        let mut document = Document::default();
        let mut entries = Entries::new();
        let mut json = Reader::new(text);
        document.read(&mut json, &mut entries).map_err(|Stop| malformed(&json.malformed()))?;
        if !document.has_manifests {
            return Err(IndexError::NoManifests);
        }
        if entries.count > MAX_ENTRIES {
            return Err(IndexError::TooManyEntries);
        }
        if let Some(field) = document.beside {
            return Err(IndexError::Ambiguous(field));
        }
        if let Some(media_type) =
            document.media_type.as_ref().filter(|media_type| Kind::of(media_type) == Kind::Manifest)
        {
            return Err(IndexError::NotAnIndex(printable(media_type, 100)));
        }
        if entries.too_many_features {
            return Err(IndexError::TooManyFeatures);
        }
        let artifact_type = document.artifact_type.is_some_and(|artifact_type| !artifact_type.is_empty());
        let own_media_type = document.own_media_type.filter(|own| !own.is_empty()).map(Cow::into_owned);
        let (tables, unreadable) = entries.finish();
        Ok(Self { tables, unreadable, own_media_type, artifact_type })
    }
}

/// The index without its entries.
#[derive(Default)]
struct Document<'a> {
    media_type: Option<Cow<'a, str>>,
    /// The same as runtimes read it.
    own_media_type: Option<Cow<'a, str>>,
    artifact_type: Option<Cow<'a, str>>,
    has_manifests: bool,
    /// The first field that has no business in an index.
    beside: Option<&'static str>,
    seen: Vec<&'static str>,
}

impl<'a> Document<'a> {
    fn read(&mut self, json: &mut Reader<'a>, entries: &mut Entries<'a>) -> Result<(), Stop> {
        json.object(|json, name| {
            let names = ["mediaType", "artifactType", "manifests"].into_iter().chain(BESIDE);
            let Some(name) = names.into_iter().find(|known| *known == name) else {
                let Some(own) = own_media_type(json, name)? else { return json.skip() };
                self.own_media_type = own;
                return Ok(());
            };
            if self.seen.contains(&name) {
                return Err(json.stop("duplicate field"));
            }
            self.seen.push(name);
            if json.null()? {
                return Ok(());
            }
            match name {
                "mediaType" => {
                    self.media_type = Some(string(json)?);
                    self.own_media_type.clone_from(&self.media_type);
                }
                "artifactType" => self.artifact_type = Some(string(json)?),
                "manifests" => {
                    self.has_manifests = true;
                    json.list(|json| entries.read(json))?;
                }
                _ => {
                    self.beside.get_or_insert(name);
                    json.skip()?;
                }
            }
            Ok(())
        })?;
        json.end()
    }
}

fn string<'a>(json: &mut Reader<'a>) -> Result<Cow<'a, str>, Stop> {
    match json.string()? {
        Some(text) => Ok(text),
        None => Err(json.stop("half of a surrogate pair before")),
    }
}
