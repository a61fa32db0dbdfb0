//! The registries of the model and their token service: the permissions at this moment, the documents that tags point
//! to, and the grants so far. A client may get a document only if there is a grant for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::catalogue::{self, DOCUMENTS, Document};
use super::fault::Fault;
use super::response::Response;

/// The clusters, as the configuration has them.
pub(super) const CLUSTERS: [&str; 5] = ["accounts", "shared", "open", "upstream", "tokens"];
/// Those with a token service.
pub(super) const WITH_TOKENS: [&str; 2] = ["shared", "tokens"];
pub(super) const REPOSITORIES: [&str; 2] = ["team/app", "lab/app"];
pub(super) const TAGS: [&str; 2] = ["latest", "next"];

/// Users of the registries, and their passwords: one account with two passwords, and another.
pub(super) const USERS: [(&str, &str); 3] =
    [("me", "secret-of-me-1"), ("me", "secret-of-me-2"), ("you", "secret-of-you")];
/// MetaHub's own credentials at `shared`.
pub(super) const HUB: (&str, &str) = ("hub", "secret-of-the-hub");

/// The sender of a request, as a registry sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Nobody,
    Hub,
    User(usize),
    /// A sender that is not one of the users, and that is never granted anything.
    Stranger,
}

impl Owner {
    /// A place in a table of owners.
    pub(super) const fn place(self) -> Option<usize> {
        match self {
            Self::User(number) => Some(number),
            Self::Nobody => Some(USERS.len()),
            Self::Hub => Some(USERS.len() + 1),
            Self::Stranger => None,
        }
    }
}

const OWNERS: usize = USERS.len() + 2;

pub(super) fn basic((user, password): (&str, &str)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A grant of a registry.
#[derive(Debug)]
pub(super) struct Grant {
    /// When: a number that only rises.
    pub(super) at: u64,
    pub(super) owner: Owner,
    pub(super) cluster: usize,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Ping,
    /// The tag, and the digest that it was said to point to.
    Tag(usize, usize, String),
    /// A manifest, and the type that it was said to have.
    Digest(usize, String, String),
    Blob(usize),
}

/// A token of the token service.
struct Token {
    owner: Owner,
    /// `None` for a ping's.
    repository: Option<usize>,
    until: u64,
}

/// All registries behind the clusters.
pub(super) struct Registries {
    /// Permissions by cluster, owner, repository.
    pub(super) may: [[[bool; REPOSITORIES.len()]; OWNERS]; CLUSTERS.len()],
    /// Which passwords are right.
    pub(super) valid: [bool; USERS.len()],
    /// Documents by cluster, repository, tag; `None` for none.
    pub(super) tags: [[[Option<usize>; TAGS.len()]; REPOSITORIES.len()]; CLUSTERS.len()],
    /// How a refusal looks: a challenge, 403, or as if there were nothing.
    pub(super) refuses_with: u16,
    pub(super) lifetime: u64,
    tokens: Vec<Token>,
    pub(super) grants: Vec<Grant>,
}

impl Registries {
    pub(super) fn new(refuses_with: u16, lifetime: u64, tags: [usize; TAGS.len()]) -> Self {
        Self {
            may: [[[true; REPOSITORIES.len()]; OWNERS]; CLUSTERS.len()],
            valid: [true; USERS.len()],
            tags: [[tags.map(Some); REPOSITORIES.len()]; CLUSTERS.len()],
            refuses_with,
            lifetime,
            tokens: Vec::new(),
            grants: Vec::new(),
        }
    }

    /// All secrets, which must never be seen where they do not belong.
    pub(super) fn secrets(&self) -> impl Iterator<Item = String> {
        let passwords = USERS.iter().chain([&HUB]).flat_map(|user| [user.1.to_owned(), basic(*user)]);
        passwords.chain((0..self.tokens.len()).map(token_text))
    }

    /// The owner of an `Authorization`, valid or not.
    pub(super) fn owner(&self, authorization: Option<&[u8]>) -> Owner {
        let Some(value) = authorization else { return Owner::Nobody };
        let text = String::from_utf8_lossy(value);
        if let Some(number) = USERS.iter().position(|user| basic(*user) == text) {
            return Owner::User(number);
        }
        if basic(HUB) == text {
            return Owner::Hub;
        }
        self.token(&text).map_or(Owner::Stranger, |token| token.owner)
    }

    fn token(&self, authorization: &str) -> Option<&Token> {
        let number = authorization.strip_prefix("Bearer secret-token-")?;
        self.tokens.get(number.parse::<usize>().ok()?)
    }

    fn is_right(&self, owner: Owner) -> bool {
        match owner {
            Owner::User(number) => self.valid[number],
            Owner::Nobody | Owner::Hub => true,
            Owner::Stranger => false,
        }
    }

    /// The token service's answer.
    pub(super) fn give_token(&mut self, path: &str, authorization: Option<&[u8]>, now: u64) -> Response {
        let owner = self.owner(authorization);
        if !self.is_right(owner) {
            return Response::new(401, "application/json", b"{}");
        }
        let repository = REPOSITORIES.iter().position(|name| path.contains(&name.replace('/', "%2F")));
        self.tokens.push(Token { owner, repository, until: now + self.lifetime });
        let token = token_text(self.tokens.len() - 1);
        let body = format!("{{\"token\":\"{token}\",\"expires_in\":{}}}", self.lifetime);
        Response::new(200, "application/json", body.as_bytes())
    }

    /// A registry's answer to a request that is asked at this moment.
    pub(super) fn answer(
        &mut self,
        (at, now): (u64, u64),
        cluster: usize,
        method: &str,
        path: &str,
        authorization: Option<&[u8]>,
        fault: Fault,
    ) -> Response {
        if let Fault::Status(status) = fault {
            return Response::new(status, "application/json", b"{\"errors\":[]}").with("location", "https://elsewhere");
        }
        let path = path.split('?').next().unwrap_or_default();
        let owner = match self.admit(now, cluster, path, authorization) {
            Ok(owner) => owner,
            Err(refusal) => return refusal,
        };
        let mut grant = |what| self.grants.push(Grant { at, owner, cluster, what });
        if path == "/v2/" {
            grant(What::Ping);
            return Response::new(200, "application/json", b"{}");
        }
        let Some((repository, kind, reference)) = parts(path) else {
            return Response::new(404, "application/json", b"{\"errors\":[]}");
        };
        if kind == "blobs" {
            grant(What::Blob(repository));
            return Response::new(200, "application/octet-stream", b"blob");
        }
        let tag = TAGS.iter().position(|tag| *tag == reference);
        let document = tag
            .map_or_else(|| catalogue::find(reference), |tag| Some(&DOCUMENTS[self.tags[cluster][repository][tag]?]));
        let Some(document) = document else { return Response::new(404, "application/json", b"{\"errors\":[]}") };
        let response = fault.upon(manifest(document));
        grant(match tag {
            // MetaHub believes the answer about a tag: the digest that answers HEAD, or the document itself.
            Some(tag) if method == "HEAD" => {
                What::Tag(repository, tag, response.header("docker-content-digest").to_owned())
            }
            Some(tag) => What::Tag(repository, tag, digest(&response.body)),
            None => What::Digest(repository, reference.to_owned(), response.header("content-type").to_owned()),
        });
        response
    }

    /// The sender of a request, if it has permission.
    fn admit(&self, now: u64, cluster: usize, path: &str, authorization: Option<&[u8]>) -> Result<Owner, Response> {
        let challenge = |more: &str| {
            let value = format!("Bearer realm=\"https://evil.example\"{more}");
            Response::new(401, "application/json", b"{}").with("www-authenticate", &value)
        };
        let repository = parts(path).map(|(repository, ..)| repository);
        let owner = self.owner(authorization);
        if WITH_TOKENS.contains(&CLUSTERS[cluster]) {
            let text = String::from_utf8_lossy(authorization.unwrap_or_default());
            let token = self.token(&text).filter(|token| now < token.until && token.repository == repository);
            token.ok_or_else(|| challenge(""))?;
        } else if !self.is_right(owner) {
            return Err(challenge(""));
        }
        let Some(repository) = repository else { return Ok(owner) };
        let place = owner.place().ok_or_else(|| challenge(""))?;
        if self.may[cluster][place][repository] {
            return Ok(owner);
        }
        Err(match self.refuses_with {
            401 => challenge(",error=\"insufficient_scope\""),
            status => Response::new(status, "application/json", b"{\"errors\":[]}"),
        })
    }
}

fn token_text(number: usize) -> String {
    format!("secret-token-{number}")
}

fn manifest(document: &Document) -> Response {
    Response::new(200, document.media_type, &document.bytes).with("docker-content-digest", &document.digest)
}

pub(super) fn digest(bytes: &[u8]) -> String {
    metahub::oci::digest::Digest::of(bytes).to_string()
}

/// Repository, kind and reference of a path.
fn parts(path: &str) -> Option<(usize, &str, &str)> {
    let mut parts = path.strip_prefix("/v2/")?.rsplitn(3, '/');
    let (reference, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some((REPOSITORIES.iter().position(|repository| *repository == name)?, kind, reference))
}
