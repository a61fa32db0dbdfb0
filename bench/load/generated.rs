//! An upstream with as many different images as a measurement wants, and with a count of its requests.
//!
//! The repository `bench/<number>` has the tag `latest`: an index of [`NODES`] entries or of four, each for another
//! kind of machine. Every document is made from the number when it is requested, so a hundred thousand images take no
//! memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metahub::oci::media_type::{OCI_INDEX, OCI_MANIFEST};

use crate::content::{hex, manifest};
use metahub_testkit::Result;
use metahub_testkit::server::{Act, Answer, Received, Server};

/// Images of lower numbers are made once and remembered.
const REMEMBERED: usize = 1_000;

/// An image: its index, and the manifest for each kind of machine.
pub(crate) struct Image {
    pub(crate) index: Document,
    pub(crate) children: Vec<Document>,
}

/// Bytes with their digest.
pub(crate) struct Document {
    pub(crate) digest: String,
    media_type: &'static str,
    pub(crate) text: String,
}

impl Document {
    fn new(media_type: &'static str, text: String) -> Self {
        Self { digest: format!("sha256:{}", hex(text.as_bytes())), media_type, text }
    }
}

impl Image {
    /// Entry `n` asks for the feature `node:<n>`, if there are several kinds of machines; the only one is for all.
    pub(crate) fn new(number: u64, entries: usize) -> Self {
        let child = |entry: usize| Document::new(OCI_MANIFEST, manifest(number * 1_000 + entry as u64));
        let children: Vec<Document> = (0..entries).map(child).collect();
        let entry = |(position, child): (usize, &Document)| {
            let feature = if entries > 4 { format!("node:{position}") } else { format!("nvcap:8.{position}") };
            format!(
                "{{\"mediaType\":\"{OCI_MANIFEST}\",\"digest\":\"{}\",\"size\":{},\"platform\":\
                 {{\"architecture\":\"amd64\",\"os\":\"linux\",\"features\":[\"cpu:haswell\",\"{feature}\"]}}}}",
                child.digest,
                child.text.len()
            )
        };
        let entries: Vec<String> = children.iter().enumerate().map(entry).collect();
        let index = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, entries.join(","));
        Self { index: Document::new(OCI_INDEX, index), children }
    }

    fn find(&self, reference: &str) -> Option<&Document> {
        if reference == "latest" {
            return Some(&self.index);
        }
        std::iter::once(&self.index).chain(&self.children).find(|document| document.digest == reference)
    }
}

/// The requests that the upstream got, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) manifest_gets: u64,
    pub(crate) manifest_heads: u64,
    pub(crate) others: u64,
}

struct Shared {
    entries: usize,
    remembered: Vec<OnceLock<Arc<Image>>>,
    gets: AtomicU64,
    heads: AtomicU64,
    others: AtomicU64,
    delay: AtomicU64,
}

/// A running upstream; it ends with the program.
pub(crate) struct Generated {
    pub(crate) port: u16,
    _server: Server,
    shared: Arc<Shared>,
}

impl Generated {
    /// An upstream whose indexes have this many entries.
    pub(crate) fn start(entries: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            entries,
            remembered: (0..REMEMBERED).map(|_| OnceLock::new()).collect(),
            gets: AtomicU64::new(0),
            heads: AtomicU64::new(0),
            others: AtomicU64::new(0),
            delay: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&shared);
        let server = Server::forgetful(move |request| theirs.answer(request))?;
        Ok(Self { port: server.port(), _server: server, shared })
    }

    /// The image of the repository `bench/<number>`.
    pub(crate) fn image(&self, number: u64) -> Arc<Image> {
        self.shared.image(number)
    }

    /// From now on the GET of a manifest is answered this late.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.shared.delay.store(u64::try_from(delay.as_millis()).unwrap_or_default(), Ordering::Relaxed);
    }

    /// The requests since the last call.
    pub(crate) fn take_counts(&self) -> Counts {
        Counts {
            manifest_gets: self.shared.gets.swap(0, Ordering::Relaxed),
            manifest_heads: self.shared.heads.swap(0, Ordering::Relaxed),
            others: self.shared.others.swap(0, Ordering::Relaxed),
        }
    }
}

impl Shared {
    fn image(&self, number: u64) -> Arc<Image> {
        let make = || Arc::new(Image::new(number, self.entries));
        match usize::try_from(number).ok().and_then(|number| self.remembered.get(number)) {
            Some(slot) => Arc::clone(slot.get_or_init(make)),
            None => make(),
        }
    }

    fn answer(&self, request: &Received) -> Vec<Act> {
        let Some((number, reference)) = manifest_of(&request.path) else {
            self.others.fetch_add(1, Ordering::Relaxed);
            return Answer::new(200).body("{}").acts();
        };
        let is_head = request.method == "HEAD";
        let counter = if is_head { &self.heads } else { &self.gets };
        counter.fetch_add(1, Ordering::Relaxed);
        let delay = if is_head { 0 } else { self.delay.load(Ordering::Relaxed) };
        let image = self.image(number);
        let answer = image.find(reference).map_or_else(
            || Answer::new(404),
            |document| {
                Answer::document(document.media_type, document.text.as_bytes())
                    .header("docker-content-digest", &document.digest)
            },
        );
        vec![Act::Pause(Duration::from_millis(delay)), Act::Send(answer.bytes_to(request))]
    }
}

/// Number and reference of `/v2/bench/<number>/manifests/<reference>`.
fn manifest_of(path: &str) -> Option<(u64, &str)> {
    let (number, reference) = path.strip_prefix("/v2/bench/")?.split_once("/manifests/")?;
    Some((number.parse().ok()?, reference))
}
