//! The phases of a request in which it can meet an upstream fault, and the client's request for each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::sound::{Content, FEATURES};
use metahub_testkit::http::{Request, Response};
use metahub_testkit::server::Received;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The GET of a tag that is not known.
    Tag,
    /// The HEAD that asks where a known tag points to.
    Head,
    /// The GET of an index by digest.
    Index,
    /// The GET of the selected image.
    Child,
    /// The GET of an index within the tag's.
    Nested,
    /// The request for a token.
    Token,
    /// The ping that says whether a password is right.
    Verify,
    /// A blob, which passes.
    Blob,
    /// The GET of a document to be explained.
    Explain,
}

/// All, in the order of a row's columns.
pub(super) const PHASES: [Phase; 9] = [
    Phase::Tag,
    Phase::Head,
    Phase::Index,
    Phase::Child,
    Phase::Nested,
    Phase::Token,
    Phase::Verify,
    Phase::Blob,
    Phase::Explain,
];

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Head => "head",
            Self::Index => "index",
            Self::Child => "child",
            Self::Nested => "nested",
            Self::Token => "token",
            Self::Verify => "verify",
            Self::Blob => "blob",
            Self::Explain => "explain",
        }
    }

    /// The repository in which the fault of this number is met in this phase.
    fn repository(self, number: usize) -> String {
        format!("f{number}/{}", self.name())
    }

    /// The fault that a request may be meant for, and the phase; `None` for requests on the way to it.
    pub(super) fn of(request: &Received, content: &Content) -> Option<(usize, Self)> {
        let path = request.path.replace("%2F", "/").replace("%3A", ":");
        if path == "/v2/" {
            let token = request.header("authorization")?.strip_prefix("Basic ")?;
            let login = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
            return Some((number(&login)?, Self::Verify));
        }
        let phase = PHASES.into_iter().find(|phase| path.contains(&format!("/{}", phase.name())))?;
        let path = if phase == Self::Token { path.strip_prefix("/token")? } else { &path };
        let repository = path.split_once("/v2/").map(|(_, repository)| repository);
        let repository = repository.or_else(|| Some(path.split_once("repository:")?.1))?;
        let tail = path.rsplit('/').next().unwrap_or_default();
        let meant = match phase {
            Self::Tag | Self::Explain => request.method == "GET" && tail == "latest",
            Self::Head => request.method == "HEAD" && tail == "latest",
            Self::Index | Self::Nested => request.method == "GET" && tail == content.list_digest,
            Self::Child => request.method == "GET" && tail == content.image_digest,
            Self::Blob => path.contains("/blobs/"),
            Self::Token => true,
            Self::Verify => false,
        };
        meant.then_some((number(repository)?, phase))
    }

    /// The client's request. The first request of [`Phase::Head`] makes the tag known.
    pub(super) fn request(self, number: usize, content: &Content) -> Request {
        let repository = self.repository(number);
        let (host, path) = match self {
            Self::Index => ("registry.test", format!("/v2/{repository}/manifests/{}", content.list_digest)),
            Self::Blob => ("registry.test", format!("/v2/{repository}/blobs/{}", content.blob.digest())),
            Self::Explain => ("registry.test", format!("/metahub/v1/explain?image={repository}:latest")),
            Self::Token => ("tokened.test", format!("/v2/{repository}/manifests/latest")),
            Self::Verify => ("checked.test", "/metahub/v1/machine-types".to_owned()),
            Self::Tag | Self::Head | Self::Child | Self::Nested => {
                ("registry.test", format!("/v2/{repository}/manifests/latest"))
            }
        };
        Request::get(&path).header("host", host).login(&format!("f{number}-type1"), "pw")
    }

    /// Whether an answer with status 200 is the right one.
    pub(super) fn is_right(self, answer: &Response, content: &Content) -> bool {
        let bench = &content.bench;
        match self {
            Self::Index => answer.body == bench.list.bytes,
            Self::Blob => answer.body == content.blob.bytes,
            Self::Verify => answer.json()["machine_types"].is_array(),
            Self::Explain => {
                let document = answer.json();
                let selected = &document["machine_types"][0]["selected"];
                document["digest"] == content.list_digest && *selected == content.image_digest
            }
            Self::Tag | Self::Head | Self::Child | Self::Nested | Self::Token => {
                answer.body == bench.image(FEATURES).manifest.bytes
                    && answer.header("docker-content-digest") == Some(content.image_digest.as_str())
            }
        }
    }
}

/// `f12…` → 12.
fn number(name: &str) -> Option<usize> {
    let rest = name.strip_prefix('f')?;
    let end = rest.find(|sign: char| !sign.is_ascii_digit())?;
    rest.get(..end)?.parse().ok()
}
