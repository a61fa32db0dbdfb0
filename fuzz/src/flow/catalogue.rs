//! All documents of the model registries, with what is needed to judge who may get which of them: requirements are an
//! architecture and features that are compared letter by letter, so that the judge is as simple as it can be.

use std::sync::LazyLock;

use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use serde_json::{Value, json};

/// A machine type of the model.
pub(super) struct Machine {
    pub(super) name: &'static str,
    pub(super) architecture: &'static str,
    pub(super) features: &'static [&'static str],
}

pub(super) const MACHINES: [Machine; 5] = [
    Machine { name: "plain", architecture: "amd64", features: &[] },
    Machine { name: "mpi", architecture: "amd64", features: &["mpi:openmpi"] },
    Machine { name: "gpu", architecture: "amd64", features: &["gpu:a", "mpi:mpich"] },
    Machine { name: "twin", architecture: "amd64", features: &["mpi:openmpi"] },
    Machine { name: "arm", architecture: "arm64", features: &["mpi:openmpi"] },
];

/// The requirements of an entry of an index; without an architecture it has no platform.
#[derive(Clone, Copy)]
struct Needs(Option<&'static str>, &'static [&'static str]);

impl Needs {
    fn are_met_by(self, machine: &Machine) -> bool {
        let Self(architecture, features) = self;
        architecture.is_none_or(|architecture| architecture == machine.architecture)
            && features.iter().all(|feature| machine.features.contains(feature))
    }
}

enum Content {
    Image,
    /// The requirements of each entry, and the document that it leads to.
    Index(Vec<(Needs, usize)>),
    Artifacts,
}

/// A document of the model.
pub(super) struct Document {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: &'static str,
    pub(super) digest: String,
    content: Content,
}

impl Document {
    pub(super) const fn is_index(&self) -> bool {
        !matches!(self.content, Content::Image)
    }

    /// Whether a machine type would get one image of it by tag, if any.
    pub(super) const fn is_image_index(&self) -> bool {
        matches!(self.content, Content::Index(_))
    }
}

/// All documents, the nested ones before those that name them.
pub(super) static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(documents);

pub(super) fn find(digest: &str) -> Option<&'static Document> {
    DOCUMENTS.iter().find(|document| document.digest == digest)
}

/// Whether a document may be the answer where a tag points to `top`. `machine` is `None` for clients that see whole
/// indexes; with `lax` all clients may see an index in which nothing fits.
pub(super) fn may_get(top: &str, served: &str, machine: Option<&Machine>, lax: bool) -> bool {
    let Some(machine) = machine else { return top == served };
    match find(top).map(|document| &document.content) {
        // A document that is not in the catalogue was broken by a fault; it passes as it is if it is not an index.
        None | Some(Content::Image | Content::Artifacts) => top == served,
        Some(Content::Index(entries)) if top == served => {
            // An image without a platform has none to inherit here.
            let is_image = |number: usize| matches!(DOCUMENTS[number].content, Content::Image);
            let mut fits = entries.iter().filter(|(needs, number)| needs.0.is_some() || !is_image(*number));
            lax && !fits.any(|(needs, _)| needs.are_met_by(machine))
        }
        Some(Content::Index(entries)) => leads_to(entries, served, machine),
    }
}

fn leads_to(entries: &[(Needs, usize)], served: &str, machine: &Machine) -> bool {
    entries.iter().filter(|(needs, _)| needs.are_met_by(machine)).any(|(_, number)| {
        let document = &DOCUMENTS[*number];
        match &document.content {
            Content::Image => document.digest == served,
            Content::Index(entries) => leads_to(entries, served, machine),
            Content::Artifacts => false,
        }
    })
}

const AMD: Option<&str> = Some("amd64");
const ARM: Option<&str> = Some("arm64");
const OPEN: &[&str] = &["mpi:openmpi"];
const MPICH: &[&str] = &["mpi:mpich"];
const GPU: &[&str] = &["gpu:a"];
/// Above this size an answer passes from upstream.
const LARGE: usize = 70_000;

#[derive(Default)]
struct Making(Vec<Document>);

impl Making {
    fn add(&mut self, media_type: &'static str, bytes: Vec<u8>, content: Content) -> usize {
        let digest = Digest::of(&bytes).to_string();
        self.0.push(Document { bytes, media_type, digest, content });
        self.0.len() - 1
    }

    fn image(&mut self, media_type: &'static str, padding: usize) -> usize {
        let text = json!({
            "schemaVersion": 2, "mediaType": media_type, "number": self.0.len(), "padding": "x".repeat(padding),
        });
        self.add(media_type, text.to_string().into_bytes(), Content::Image)
    }

    fn index(&mut self, media_type: &'static str, padding: usize, entries: &[(Needs, usize)]) -> usize {
        let manifests: Vec<Value> = entries.iter().map(|(needs, number)| self.entry(*needs, *number)).collect();
        let text = json!({
            "schemaVersion": 2, "mediaType": media_type, "manifests": manifests,
            "annotations": { "number": self.0.len().to_string(), "padding": "x".repeat(padding) },
        });
        self.add(media_type, text.to_string().into_bytes(), Content::Index(entries.to_vec()))
    }

    fn entry(&self, Needs(architecture, features): Needs, number: usize) -> Value {
        let document = &self.0[number];
        let mut entry =
            json!({ "mediaType": document.media_type, "digest": document.digest, "size": document.bytes.len() });
        if let Some(architecture) = architecture {
            entry["platform"] = json!({ "os": "linux", "architecture": architecture, "features": features });
        }
        entry
    }
}

fn documents() -> Vec<Document> {
    let all = &mut Making::default();
    let plain = all.image(DOCKER_MANIFEST, 0);
    let open = all.image(OCI_MANIFEST, 0);
    let mpich = all.image(OCI_MANIFEST, 0);
    let gpu = all.image(DOCKER_MANIFEST, 0);
    let arm = all.image(OCI_MANIFEST, 0);
    let large = all.image(OCI_MANIFEST, LARGE);
    let large_open = all.image(DOCKER_MANIFEST, LARGE);
    let amd_only = all.index(OCI_INDEX, 0, &[(Needs(AMD, OPEN), open), (Needs(AMD, &[]), plain)]);
    let arm_only = all.index(OCI_INDEX, 0, &[(Needs(ARM, OPEN), arm)]);
    all.index(
        DOCKER_LIST,
        0,
        &[
            (Needs(AMD, &[]), plain),
            (Needs(AMD, OPEN), open),
            (Needs(AMD, MPICH), mpich),
            (Needs(AMD, GPU), gpu),
            (Needs(ARM, &[]), arm),
        ],
    );
    all.index(OCI_INDEX, 0, &[(Needs(AMD, GPU), gpu), (Needs(AMD, OPEN), large_open), (Needs(AMD, &[]), large)]);
    all.index(OCI_INDEX, LARGE, &[(Needs(ARM, OPEN), arm), (Needs(AMD, MPICH), mpich)]);
    all.index(OCI_INDEX, 0, &[(Needs(ARM, &[]), arm_only), (Needs(AMD, &[]), amd_only)]);
    let nested = all.index(OCI_INDEX, 0, &[(Needs(None, &[]), amd_only), (Needs(AMD, GPU), gpu)]);
    all.index(OCI_INDEX, 0, &[(Needs(None, &[]), nested), (Needs(ARM, &[]), arm)]);
    all.index(OCI_INDEX, 0, &[]);
    // Nothing fits in the first nested index; an image takes its platform from the entry that leads there.
    all.index(OCI_INDEX, 0, &[(Needs(AMD, &[]), arm_only), (Needs(AMD, &[]), amd_only)]);
    let bare = all.index(OCI_INDEX, 0, &[(Needs(None, &[]), plain), (Needs(ARM, &[]), arm)]);
    all.index(OCI_INDEX, 0, &[(Needs(AMD, GPU), arm_only), (Needs(AMD, &[]), bare)]);
    let artifacts = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX, "artifactType": "application/x",
        "manifests": [all.entry(Needs(AMD, &[]), plain)],
    });
    all.add(OCI_INDEX, artifacts.to_string().into_bytes(), Content::Artifacts);
    std::mem::take(&mut all.0)
}
