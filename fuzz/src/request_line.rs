//! Any bytes as method and path: accepted names are parts of the path, and no other text is a name.

use metahub::oci::reference::{Reference, Repository};
use metahub::request::said::Said;
use metahub::request::{Method, Request};

use super::log_text::harmless;

/// A path that says a machine type is read as what it is without.
fn said(path: &[u8]) {
    let Some(said) = std::str::from_utf8(path).ok().and_then(|path| Said::of(path, "machines")) else { return };
    assert!(path.starts_with(said.lead.as_bytes()) && said.lead.contains(&format!("/machines/{}", said.machine_type)));
    assert!(!said.machine_type.contains(['/', '?']));
    assert!(said.path().starts_with("/v2/") && said.path().len() < path.len() + "/v2/".len());
}

pub(crate) fn check(bytes: &[u8]) {
    let (method, path) = bytes.split_at(bytes.iter().position(|byte| *byte == b' ').unwrap_or_default());
    assert_eq!(Method::parse(method).is_ok(), method == b"GET" || method == b"HEAD");
    let path = path.strip_prefix(b" ").unwrap_or(path);
    said(path);
    let request = match Request::parse(path) {
        Ok(request) => request,
        Err(error) => return assert!(harmless(&error.to_string())),
    };
    if let Some(repository) = request.repository() {
        assert!(is_a_name(repository.as_str()), "{repository:?}");
    }
    let bare = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    match &request {
        Request::Manifest(repository, reference) => {
            let written = format!("/v2/{repository}/manifests/{}", reference.as_str());
            assert_eq!(bare, written.as_bytes(), "what is asked for is what is written");
            if let Reference::Tag(tag) = reference {
                assert!(tag.as_str().len() <= 128 && tag.as_str().bytes().all(is_a_word));
            }
        }
        Request::Blob(repository) => assert!(bare.starts_with(format!("/v2/{repository}/blobs/").as_bytes())),
        Request::Tags(repository) => assert_eq!(bare, format!("/v2/{repository}/tags/list").as_bytes()),
        _ => {}
    }
    let namespace = Repository::parse("library").expect("a name");
    let (request, _) = request.in_namespace(Some(&namespace));
    assert!(request.repository().is_none_or(|repository| repository.as_str().contains('/')));
}

/// The grammar of the OCI distribution specification, §Pulling manifests, as far as it can be said in a line.
fn is_a_name(name: &str) -> bool {
    let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        part.bytes().all(|byte| is_lower(byte) || matches!(byte, b'.' | b'_' | b'-'))
            && part.bytes().next().is_some_and(is_lower)
            && part.bytes().next_back().is_some_and(is_lower)
            && !part.contains("..")
    };
    name.len() <= 255 && name.split('/').all(is_part)
}

fn is_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}
