//! What the registry gets to see of the path of a client's own request.

use crate::oci::reference::Repository;
use crate::request::Request;
use crate::request::query::RETRY;
use crate::text::headers::Headers;

/// Longest `?ns=` that is looked at, in bytes: no host name has more than 253.
const MAX_NAMESPACE: usize = 270;

/// The path of the request as it goes upstream, if it is another than the client's: with the namespace that was put
/// before the repository, and of a manifest's query with what routes may need.
pub(super) fn path(request: &Request, namespace: Option<&Repository>, headers: Headers<'_>) -> Option<String> {
    let sent = headers.text(":path").unwrap_or_default();
    if let Request::Manifest(repository, reference) = request {
        let query = route_query(headers);
        let (repository, reference) = (repository.as_str(), reference.as_str());
        let parts = ["/v2/", repository, "/manifests/", reference, &query];
        let rest = parts.iter().try_fold(sent, |rest, part| rest.strip_prefix(part));
        return if rest == Some("") { None } else { Some(parts.concat()) };
    }
    namespace.and_then(|name| Some(format!("/v2/{name}/{}", sent.strip_prefix("/v2/")?)))
}

/// Whether the client was sent round before.
pub(super) fn is_repeated(headers: Headers<'_>) -> bool {
    query(headers).split('&').any(|pair| pair == RETRY)
}

/// The pair of a manifest's query that Envoy's routes may need (containerd's `ns`), with its question mark; or nothing.
pub(super) fn route_query(headers: Headers<'_>) -> String {
    query(headers).split('&').find(|pair| pair.starts_with("ns=")).map_or_else(String::new, |pair| format!("?{pair}"))
}

/// Whether `ns` looks like a registry's host, as far as there is one. It goes upstream with the request that asks what
/// a tag points to, and that a registry's front end refuses it must not be the client's choice. It is not left out
/// instead, because the route was chosen by it.
pub(super) fn names_a_host(headers: Headers<'_>) -> bool {
    let sent = route_query(headers);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%[]/".contains(&byte);
    sent.len() <= MAX_NAMESPACE && sent.bytes().skip("?ns=".len()).all(is_plain)
}

/// The client's query, without its question mark.
fn query(headers: Headers<'_>) -> &str {
    headers.text(":path").and_then(|path| path.split_once('?')).map_or("", |(_, query)| query)
}
