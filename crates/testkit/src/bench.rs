//! The repository `qnib/bench` of the demo: one name, four builds of one program for linux/amd64.

use serde_json::json;

use super::Result;
use super::elf::Architecture;
use super::image::{Document, Format, Image, index};
use super::registry::Registry;

/// The repository's name.
pub const REPOSITORY: &str = "qnib/bench";
/// The features of the four entries, in the list's order; the first has none and fits every machine.
pub const FEATURES: [&[&str]; 4] = [&[], &["cpu:skylake"], &["cpu:broadwell"], &["cpu:broadwell", "nvcap:5.2"]];

/// The whole repository: a Docker manifest list and its images, in the order of [`FEATURES`].
pub struct Bench {
    pub list: Document,
    pub images: Vec<Image>,
}

impl Bench {
    /// The bytes are the same every time.
    pub fn build() -> Self {
        let images: Vec<Image> = FEATURES
            .iter()
            .map(|features| Image::printing(Format::Docker, Architecture::Amd64, &line(features)))
            .collect();
        let entry = |(image, features): (&Image, &&[&str])| {
            let platform = match features {
                [] => json!({ "architecture": "amd64", "os": "linux" }),
                features => json!({ "architecture": "amd64", "features": features, "os": "linux" }),
            };
            image.manifest.entry(&platform)
        };
        let entries: Vec<_> = images.iter().zip(FEATURES.iter()).map(entry).collect();
        Self { list: index(Format::Docker, &entries), images }
    }

    /// Uploads everything, with the list under the tag `latest`.
    pub fn push(&self, registry: &Registry) -> Result<()> {
        self.push_as(registry, REPOSITORY)
    }

    /// The same as another repository.
    pub fn push_as(&self, registry: &Registry, repository: &str) -> Result<()> {
        for image in &self.images {
            registry.push_image(repository, image)?;
        }
        registry.push_manifest(repository, "latest", &self.list)
    }

    /// The image with exactly these features.
    pub fn image(&self, features: &[&str]) -> &Image {
        let position = FEATURES.iter().position(|entry| *entry == features).expect("one of FEATURES");
        &self.images[position]
    }

    /// The digest of the image with exactly these features.
    pub fn digest(&self, features: &[&str]) -> String {
        self.image(features).manifest.digest()
    }
}

/// The line that the container of the image with these features prints.
pub fn line(features: &[&str]) -> String {
    let target = if features.is_empty() { "generic".to_owned() } else { features.join(",") };
    format!(">> This container is optimised for: {target}")
}
