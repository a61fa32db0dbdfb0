//! The query of a client's own request: what of it goes upstream, and what it says of the request.

use crate::request::query::RETRY_MARK;

/// The longest `?ns=` that is read, in bytes: no host name has more than 253.
const MAX_NAMESPACE: usize = 270;

/// Whether the client was sent round before.
pub(super) fn is_repeated(path: &str) -> bool {
    query(path).is_some_and(|query| query.split('&').any(|pair| pair == RETRY_MARK))
}

/// The pair of a manifest's query that Envoy's routes may need (containerd's `ns`), with its question mark; or nothing.
pub(super) fn routed(path: &str) -> String {
    namespace(path).map_or_else(String::new, |pair| format!("?{pair}"))
}

/// Whether `ns` looks like a registry's host, if there is one. It goes upstream with the request that asks what a tag
/// points to, and a client must not be able to make a registry's front end refuse that request. It is not left out
/// instead, because the route was chosen by it.
pub(super) fn names_a_host(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%[]/".contains(&byte);
    host(path).is_none_or(|host| NAMESPACE.len() + host.len() < MAX_NAMESPACE && host.bytes().all(is_plain))
}

/// The host that `ns` names, as it is written.
pub(super) fn host(path: &str) -> Option<&str> {
    namespace(path)?.strip_prefix(NAMESPACE)
}

/// The key by which containerd names the registry that it means.
const NAMESPACE: &str = "ns=";

fn namespace(path: &str) -> Option<&str> {
    query(path)?.split('&').find(|pair| pair.starts_with(NAMESPACE))
}

/// The query of a path, without its question mark.
fn query(path: &str) -> Option<&str> {
    path.split_once('?').map(|(_, query)| query)
}
