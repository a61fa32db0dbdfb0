//! The faults that an answer of a registry can have.

use super::super::input::Input;
use super::catalogue::DOCUMENTS;
use super::response::Response;

/// A fault of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The connection breaks; Envoy answers 503 to a client's own request.
    BrokenOff,
    /// This status instead of an answer.
    Status(u16),
    /// Another content type.
    Type(&'static str),
    /// Another digest in the header.
    Digest(usize),
    NoDigest,
    /// Another document instead of the one that was asked for.
    Document(usize),
    /// The last byte is missing.
    Truncated,
    /// The first byte is another one.
    Corrupt,
    /// Compressed although the request did not ask for it.
    Compressed,
    /// More than the worker has room for.
    Overfull,
}

impl Fault {
    /// Mostly none.
    pub(super) fn choose(input: &mut Input<'_>) -> Self {
        let document = |input: &mut Input<'_>| input.below(DOCUMENTS.len());
        match input.below(44) {
            0..=23 => Self::None,
            24 => Self::BrokenOff,
            25..=29 => Self::Status(input.pick(&[400, 401, 403, 404, 405, 429, 500, 503, 301, 204])),
            30..=32 => Self::Type(DOCUMENTS[document(input)].media_type),
            33 => Self::Digest(document(input)),
            34 => Self::NoDigest,
            35 | 36 => Self::Document(document(input)),
            37 => Self::Truncated,
            38 | 39 => Self::Corrupt,
            40..=42 => Self::Compressed,
            _ => Self::Overfull,
        }
    }

    /// A good answer with this fault.
    pub(super) fn upon(self, response: Response) -> Response {
        let with_body = |body: &[u8]| {
            let length = body.len().to_string();
            Response { body: body.to_vec(), ..response.clone() }.with("content-length", &length)
        };
        match self {
            Self::None | Self::BrokenOff | Self::Status(_) | Self::Overfull => response,
            Self::Type(media_type) => response.with("content-type", media_type),
            Self::Digest(number) => response.with("docker-content-digest", &DOCUMENTS[number].digest),
            Self::NoDigest => {
                let headers = response.headers.into_iter().filter(|(name, _)| name != "docker-content-digest");
                Response { headers: headers.collect(), body: response.body }
            }
            Self::Document(number) => with_body(&DOCUMENTS[number].bytes),
            Self::Truncated => with_body(&response.body[..response.body.len().saturating_sub(1)]),
            Self::Corrupt => {
                let mut body = response.body.clone();
                body.iter_mut().take(1).for_each(|byte| *byte ^= 1);
                with_body(&body)
            }
            Self::Compressed => with_body(COMPRESSED).with("content-encoding", "gzip"),
        }
    }
}

/// The body that no client may ever get.
pub(super) const COMPRESSED: &[u8] = b"\x1f\x8b compressed";
