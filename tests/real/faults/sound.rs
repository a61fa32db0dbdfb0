//! Sound answers of a registry, in parts that a fault can change.

use std::collections::HashMap;

use metahub::oci::digest::Digest;
use metahub::oci::media_type::{DOCKER_LIST, DOCKER_MANIFEST};

use metahub_testkit::bench::Bench;
use metahub_testkit::image::{Document, Format, index};
use metahub_testkit::server::{Act, Received};

/// The features of the image that a machine of `type1` gets.
pub(super) const FEATURES: &[&str] = &["cpu:broadwell"];

/// The documents that the upstream has in every repository.
pub(super) struct Content {
    pub(super) bench: Bench,
    /// An index whose only entry is the bench's list.
    pub(super) root: Document,
    pub(super) blob: Document,
    pub(super) list_digest: String,
    pub(super) image_digest: String,
    by_digest: HashMap<String, Document>,
}

impl Content {
    pub(super) fn build() -> Self {
        let bench = Bench::build();
        let platform = serde_json::json!({ "architecture": "amd64", "os": "linux" });
        let root = index(Format::Docker, &[bench.list.entry(&platform)]);
        let blob = Document::new("application/octet-stream", vec![b'b'; 3000]);
        let images = bench.images.iter().map(|image| &image.manifest);
        let by_digest = images.chain([&bench.list, &root, &blob]);
        let by_digest = by_digest.map(|document| (document.digest(), document.clone())).collect();
        let (list_digest, image_digest) = (bench.list.digest(), bench.digest(FEATURES));
        Self { bench, root, blob, list_digest, image_digest, by_digest }
    }

    /// The right answer to a request.
    pub(super) fn sound(&self, request: &Received) -> Sound {
        let path = request.path.split('?').next().unwrap_or_default();
        let reference = path.rsplit('/').next().unwrap_or_default();
        let json = |body: &str| Document::new("application/json", body);
        let document = match (path, reference) {
            ("/v2/", _) => json("{}"),
            ("/token", _) => json(r#"{"token":"t0ken","expires_in":300}"#),
            (_, "latest") if path.contains("/nested/") => self.root.clone(),
            (_, "latest") => self.bench.list.clone(),
            (_, digest) => match self.by_digest.get(digest) {
                Some(document) => document.clone(),
                None => {
                    let body = json(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#);
                    return Sound::of(&request.method, "404 Not Found", &body);
                }
            },
        };
        let sound = Sound::of(&request.method, "200 OK", &document);
        let named =
            document.media_type == DOCKER_LIST || document.media_type == DOCKER_MANIFEST || path.contains("/blobs/");
        if named { sound.header("docker-content-digest", document.digest()) } else { sound }
    }
}

/// An answer under construction.
#[derive(Clone)]
pub(super) struct Sound {
    pub(super) method: String,
    /// Of HTTP/2.
    pub(super) stream: u32,
    version: &'static str,
    status: String,
    headers: Vec<(String, Vec<u8>)>,
    raw: Vec<u8>,
    pub(super) body: Vec<u8>,
    length: bool,
}

impl Sound {
    fn of(method: &str, status: &str, document: &Document) -> Self {
        let sound = Self {
            method: method.to_owned(),
            stream: 0,
            version: "HTTP/1.1",
            status: status.to_owned(),
            headers: Vec::new(),
            raw: Vec::new(),
            body: document.bytes.clone(),
            length: true,
        };
        // Each fault has a connection of its own, and Envoy sends nothing more on it.
        sound.header("content-type", &document.media_type).header("connection", "close")
    }

    pub(super) fn on(self, stream: u32) -> Self {
        Self { stream, ..self }
    }

    pub(super) fn version(self, version: &'static str) -> Self {
        Self { version, ..self }
    }

    pub(super) fn status(self, status: impl Into<String>) -> Self {
        Self { status: status.into(), ..self }
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// One more header.
    pub(super) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// This header, and none else of its name.
    pub(super) fn instead(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).header(name, value)
    }

    /// Bytes among the header lines.
    pub(super) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.raw.extend_from_slice(bytes.as_ref());
        self
    }

    /// Another body, of its length.
    pub(super) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Another document: with its digest.
    pub(super) fn document(self, body: impl Into<Vec<u8>>) -> Self {
        let sound = self.body(body);
        let digest = Digest::of(&sound.body).to_string();
        sound.instead("docker-content-digest", digest)
    }

    /// Leaves out the length.
    pub(super) fn endless(self) -> Self {
        Self { length: false, ..self }
    }

    /// All of the head for HTTP/2, which knows no connection there.
    pub(super) fn fields(&self) -> Vec<(String, Vec<u8>)> {
        let status = self.status.split(' ').next().unwrap_or_default();
        let mut fields = vec![(":status".to_owned(), status.as_bytes().to_vec())];
        fields.extend(self.headers.iter().filter(|(name, _)| name != "connection").cloned());
        fields.push(("content-length".to_owned(), self.body.len().to_string().into_bytes()));
        fields
    }

    pub(super) fn text(&self, name: &str) -> String {
        let value = self.headers.iter().find(|(other, _)| other == name);
        value.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    }

    /// Status line and headers, with the blank line.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {}\r\n", self.version, self.status).into_bytes();
        for (name, value) in &self.headers {
            head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        head.extend(&self.raw);
        if self.length {
            head.extend(format!("content-length: {}\r\n", self.body.len()).bytes());
        }
        head.extend(b"\r\n");
        head
    }

    /// All of it; to HEAD without the body.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        if self.method != "HEAD" {
            bytes.extend(&self.body);
        }
        bytes
    }

    /// In chunks of this size with this behind each size, and this instead of the last chunk.
    pub(super) fn chunked(&self, size: usize, extension: &str, end: &[u8]) -> Vec<u8> {
        let mut bytes = self.clone().endless().raw("transfer-encoding: chunked\r\n").head();
        if self.method == "HEAD" {
            return bytes;
        }
        for chunk in self.body.chunks(size) {
            bytes.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(end);
        bytes
    }
}

/// These bytes, and the connection is closed.
pub(super) fn closing(bytes: impl Into<Vec<u8>>) -> Vec<Act> {
    vec![Act::Send(bytes.into()), Act::Close]
}
